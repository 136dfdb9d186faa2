"""Temporary addresses on a genuine Swift and on the gateway: whom they let read what, how long."""

import os
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from engines import require_engine
from holdfast.contract import requests
from holdfast.contract.errors import NotFound, Precondition
from holdfast.contract.requests import Role
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.config import SwiftConfig
from holdfast_drivers.swift.connection import open_connection
from holdfast_drivers.swift.image_driver import SwiftImageDriver
from holdfast_drivers.swift.lifecycle import SwiftLifeCycle
from holdfast_drivers.swift.store import URL_KEY
from running_testbeds import Backend, Running, running
from swift_stores import Store, context, on_a_store

pytestmark = pytest.mark.slow
PARTS = (b"0123456", b"789")


@pytest.fixture(scope="module", params=("container", "container:gateway"))
def swift(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A running Swift, and the gateway."""
    require_engine()
    with running(Backend(provider="swift", kind=request.param), f"urls-{os.getpid()}") as found:
        yield found


async def address(store: Store, key: str, seconds: float = 60.0) -> str:
    request = requests.TemporaryUrl(key=key, expires_s=seconds)
    return (await store.image.temporary_url(context(), request)).url


def test_an_address_reads_one_object_and_does_nothing_else(swift: Running) -> None:
    """Who has the address reads the whole object or a range, whatever its key; no more."""

    async def story(store: Store) -> None:
        keys = ("images/a.b", "a b", "%2e", "日本語", "?", "#", "!/d", "~")
        for key in keys:
            await store.put(f"up {key}", *PARTS, key=key)
        await store.put("empty", key="empty")
        before = await store.things()
        async with httpx.AsyncClient(trust_env=False) as http:
            for key in keys:
                url = await address(store, key)
                assert (await http.get(url)).content == b"".join(PARTS)
                part = await http.get(url, headers={"range": "bytes=5-8"})
                assert part.content == b"5678"
            assert (await http.get(await address(store, "empty"))).content == b""
            url = await address(store, "images/a.b")
            for refused in (
                await http.put(url, content=b"other"),
                await http.delete(url),
                await http.post(url),
                await http.get(url.replace("images.fa.eb", "empty")),
                await http.get(url.partition("?")[0]),
            ):
                assert refused.status_code == 401
        assert await store.things() == before
        with pytest.raises(NotFound):
            await address(store, "absent")

    on_a_store(swift, story)


def test_an_address_ends_when_it_was_said_to(swift: Running) -> None:
    """The server itself refuses an address whose time is over, and not one that has time left."""

    async def story(store: Store) -> None:
        await store.put("up", *PARTS)
        short, long = await address(store, "images/a.b", 1.0), await address(store, "images/a.b")
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(short)
            while answer.is_success:  # the server's clock decides
                answer = await http.get(short)
            assert answer.status_code == 401
            assert (await http.get(long)).is_success
            await store.image.delete(context(), requests.DeleteObject(key="images/a.b"))
            assert (await http.get(long)).status_code == 404

    on_a_store(swift, story)


def test_one_key_signs_for_all_and_is_never_replaced(swift: Running) -> None:
    """Another driver, a store made again and a changed password leave every address as it is."""

    async def story(store: Store) -> None:
        await store.put("up", *PARTS)
        first = await address(store, "images/a.b")
        config = store.connection.config
        async with httpx.AsyncClient(trust_env=False) as http, open_connection(config) as other:
            await SwiftLifeCycle(other).initialize(
                context(), requests.InitializeStore(name="store")
            )
            request = requests.TemporaryUrl(key="images/a.b", expires_s=60.0)
            second = await SwiftImageDriver(other).temporary_url(context(), request)
            assert (await http.get(first)).is_success
            assert (await http.get(second.url)).is_success
            secret = await SwiftImageDriver(other)._store.url_key(Call(context()))  # pyright: ignore[reportPrivateUsage] - nobody else may see it
        assert config.key not in secret
        shown = f"{first}{second}{await store.things()}{store.connection.server}"
        assert secret not in shown

    on_a_store(swift, story)


def test_a_key_that_was_taken_away_is_told_and_made_again(swift: Running) -> None:
    """Without a key no address is made; making the store again brings the first key back."""

    async def story(store: Store) -> None:
        await store.put("up", *PARTS)
        first = await address(store, "images/a.b")
        place = store.image._store.place  # pyright: ignore[reportPrivateUsage] - as an operator would
        await place.describe(Call(context()), {URL_KEY: ""})
        with pytest.raises(Precondition, match="initialize"):
            await address(store, "images/a.b")
        life_cycle = SwiftLifeCycle(store.connection)
        await life_cycle.initialize(context(), requests.InitializeStore(name="store"))
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(first)).is_success
            await place.describe(Call(context()), {URL_KEY: "the operator's own"})
            await life_cycle.initialize(context(), requests.InitializeStore(name="store"))
            assert (await http.get(await address(store, "images/a.b"))).is_success

    on_a_store(swift, story)


def test_an_empty_container_of_somebody_else_is_left(swift: Running) -> None:
    """Giving back a store that never was removes what a lost call began, and nothing else."""
    good = swift.testbed.config(Role.IMAGE, "somebody")
    assert isinstance(good, SwiftConfig)
    config = msgspec.structs.replace(good, namespace=f"{good.namespace}-x")

    async def play() -> None:
        async with open_connection(config) as connection:
            image, life_cycle = SwiftImageDriver(connection), SwiftLifeCycle(connection)
            place = image._store.place  # pyright: ignore[reportPrivateUsage] - as somebody else would
            await place.make(Call(context()), {})
            await life_cycle.delete_store(context(), requests.DeleteStore())
            assert await place.look(Call(context())) is not None
            await life_cycle.initialize(context(), requests.InitializeStore(name="store"))
            await life_cycle.delete_store(context(), requests.DeleteStore())
            assert await place.look(Call(context())) is None

    swift.run(play())
