"""The testbed on a lent bucket, against a server that this test started and now treats as real."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from fault_world import World
from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable
from holdfast.contract.live_store import LiveStore
from holdfast.contract.requests import Role
from holdfast.contract.testbed import TestbedKind
from holdfast.stores.plugins import load_provider
from holdfast_drivers.s3.config import S3Config
from holdfast_drivers.s3.embedded_testbed import EmbeddedTestbed, embedded_testbed

pytestmark = pytest.mark.slow


def described(testbed: EmbeddedTestbed, secret: str | None = None) -> LiveStore:
    """The server as its owner would describe it."""
    config = testbed.config(Role.IMAGE, "anything")
    assert isinstance(config, S3Config)
    server = testbed._server  # pyright: ignore[reportPrivateUsage] # the owner's own access
    folder: Path = server._folder  # pyright: ignore[reportPrivateUsage] # as above
    admin = json.loads((folder / "identities.json").read_text())["identities"][0]["credentials"][0]
    return LiveStore(
        image={
            "endpoint": config.endpoint,
            "access_key": config.access_key,
            "secret_key": config.secret_key,
            "bucket": config.bucket,
        },
        inspector={
            "access_key": admin["accessKey"],
            "secret_key": secret or admin["secretKey"],
        },
        hosts=("host-x",),
    )


def test_a_store_is_made_used_and_given_back_in_a_lent_bucket() -> None:
    """The lender's hosts are used, the inspector sees the object, and nothing is left."""

    async def story() -> None:
        provider = load_provider("s3")
        async with embedded_testbed(f"live-lent-{os.getpid()}") as lent:
            start = provider.live_testbed(described(lent))
            async with start("run") as testbed:
                assert testbed.kind is TestbedKind.LIVE
                assert testbed.hosts == ("host-x",)
                assert not testbed.faults
                before = await testbed.inspector(Role.IMAGE, "space").inventory()
                async with World(provider, testbed, Role.IMAGE, "space") as world:
                    await world.open()
                    await world.put("object")
                    assert [thing.key for thing in await world.things()] == ["object", "store"]
                    await world.clear()
                assert await testbed.inspector(Role.IMAGE, "space").inventory() == before

    asyncio.run(story())


def test_an_inspector_that_is_not_let_in_is_told_before_anything_is_done() -> None:
    """Wrong credentials of the inspector are the environment's fault, and are not repeated."""

    async def story() -> None:
        async with embedded_testbed(f"live-shut-{os.getpid()}") as lent:
            start = load_provider("s3").live_testbed(described(lent, secret="canary-secret"))
            with pytest.raises(EnvironmentUnavailable, match="inspector cannot look") as refused:
                await start("run").__aenter__()
            assert "canary" not in str(refused.value)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("store", "told"),
    [
        (LiveStore(), r"no image store; add a table \[image\]"),
        (LiveStore(image={"endpoint": "http://127.0.0.1:9"}), "needs the configuration keys"),
        (
            LiveStore(
                image={
                    "endpoint": "http://127.0.0.1:9",
                    "access_key": "a",
                    "secret_key": "b",
                    "bucket": "c",
                }
            ),
            "inspector needs credentials of its own",
        ),
    ],
)
def test_a_description_that_lacks_something_says_what(store: LiveStore, told: str) -> None:
    """What the file has to have is named."""
    with pytest.raises(ConfigurationError, match=told):
        load_provider("s3").live_testbed(store)
