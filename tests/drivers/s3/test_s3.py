"""The s3 driver on a genuine server: what the conformance suite does not ask."""

import asyncio
import os
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from holdfast.contract import requests
from holdfast.contract.errors import Corrupt, NotFound, Unauthenticated, Unavailable
from holdfast.contract.handles import HttpHandle
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import Role
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.config import S3Config
from holdfast_drivers.s3.connecting import open_bucket
from holdfast_drivers.s3.rows import object_name
from holdfast_drivers.s3.values import Description
from running_testbeds import Backend, Running, running
from s3_stores import KINDS, context, get, in_store, put

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=KINDS)
def bed(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running(Backend(provider="s3", kind=request.param), f"test-s3-{os.getpid()}") as found:
        yield found


def test_parts_of_all_sizes_become_one_object(bed: Running) -> None:
    """Small parts between large ones are joined in order, and nothing of them is left."""
    parts = [bytes([number]) * size for number, size in enumerate((6 << 20, 3, 7 << 20, 1, 2))]

    async def work(driver: ImageDriver, _: S3Config) -> None:
        await put(driver, "mixed", *parts)
        assert await get(driver, "mixed") == b"".join(parts)
        owned = [
            thing.kind async for thing in driver.enumerate(context(), requests.EnumerateOwned())
        ]
        assert sorted(owned) == ["object", "store"]

    in_store(bed, "mixed", work)


def test_more_keys_than_one_listing_shows(bed: Running) -> None:
    """1,100 objects come in pages, each once and in byte order, and folded into one prefix."""

    async def work(driver: ImageDriver, config: S3Config) -> None:
        await put(driver, "many/0000", b"x")
        async with open_bucket(config) as bucket:
            call = Call(context())
            first = await bucket.get(call, object_name("many/0000"))
            assert first is not None
            row = Description(metadata=first.head.metadata)
            for start in range(1, 1100, 20):
                async with asyncio.TaskGroup() as group:
                    for number in range(start, min(start + 20, 1100)):
                        name = object_name(f"many/{number:04}")
                        group.create_task(bucket.put(call, name, first.data, row))
        keys: list[str] = []
        token = ""
        while True:
            page = await driver.list(context(), requests.ListObjects(token=token, limit=300))
            keys += [item.key for item in page.items]
            token = page.token
            if not token:
                break
        assert keys == [f"many/{number:04}" for number in range(1100)]
        folded = await driver.list(context(), requests.ListObjects(delimiter="/"))
        assert (folded.items, folded.prefixes, folded.token) == ((), ("many/",), "")

    in_store(bed, "many", work)


def test_an_address_is_good_for_one_object_and_for_a_while(bed: Running) -> None:
    """The server itself refuses a presigned address that was changed, and one that has expired."""

    async def work(driver: ImageDriver, _: S3Config) -> None:
        await put(driver, "public", b"everybody may read this")
        await put(driver, "secret", b"nobody may read this")
        handle = await driver.open_object(context(), requests.OpenObject(key="public"))
        assert isinstance(handle, HttpHandle)
        async with httpx.AsyncClient(trust_env=False) as http:
            read = await http.get(handle.url)
            assert read.content == b"everybody may read this"
            other = handle.url.replace("/objects/public", "/objects/secret")
            assert (await http.get(other)).status_code == 403
            longer = handle.url.replace("X-Amz-Expires=604800", "X-Amz-Expires=604799")
            assert (await http.get(longer)).status_code == 403
            await _expires(driver, http)

    in_store(bed, "addresses", work)


async def _expires(driver: ImageDriver, http: httpx.AsyncClient) -> None:
    """An address for a second ends, one for longer does not; neither writes or deletes."""
    urls = [
        (
            await driver.temporary_url(
                context(), requests.TemporaryUrl(key="public", expires_s=seconds)
            )
        ).url
        for seconds in (1.0, 60.0)
    ]
    short, long = urls
    answer = await http.get(short)
    while answer.is_success:  # the server's clock decides
        answer = await http.get(short)
    assert answer.status_code == 403
    for refused in (await http.put(long, content=b"x"), await http.delete(long)):
        assert refused.status_code == 403
    assert (await http.get(long)).content == b"everybody may read this"
    with pytest.raises(NotFound):
        await driver.temporary_url(context(), requests.TemporaryUrl(key="absent", expires_s=1.0))


def test_two_drivers_change_a_store_at_once(bed: Running) -> None:
    """Hosts that are attached at the same time are all attached: rows change conditionally."""

    async def work(_: ImageDriver, config: S3Config) -> None:
        async with bed.provider.life_cycle(config, Role.IMAGE) as life_cycle:
            async with asyncio.TaskGroup() as group:
                for name in ("a", "b", "c"):
                    group.create_task(life_cycle.attach(context(), requests.AttachHost(host=name)))
            assert (await life_cycle.get(context())).hosts == ("a", "b", "c")

    in_store(bed, "hosts", work)


def test_damage_in_the_bucket_is_told(bed: Running) -> None:
    """An object whose bytes somebody else replaced is Corrupt, not read."""

    async def work(driver: ImageDriver, config: S3Config) -> None:
        await put(driver, "key", b"as it was")
        async with open_bucket(config) as bucket:
            call = Call(context())
            head = await bucket.head(call, object_name("key"))
            assert head is not None
            description = Description(metadata=head.metadata)
            await bucket.put(call, object_name("key"), b"otherwise", description)
        with pytest.raises(Corrupt):
            await get(driver, "key")

    in_store(bed, "damage", work)


def test_no_secret_is_in_a_message(bed: Running) -> None:
    """A wrong secret is named by its setting, and neither it nor a signature is repeated."""

    async def work(_: ImageDriver, config: S3Config) -> None:
        wrong = msgspec.structs.replace(config, secret_key="canary" * 6)
        async with bed.provider.image(wrong) as driver:
            with pytest.raises(Unauthenticated, match="secret_key") as refused:
                await driver.get(context(), requests.GetObject(key="key"))
        assert "canary" not in str(refused.value)
        assert "Signature" not in str(refused.value).replace("SignatureDoesNotMatch", "")
        gone = msgspec.structs.replace(config, endpoint="http://127.53.5.255:9")
        async with bed.provider.image(gone) as driver:
            with pytest.raises(Unavailable, match=r"127\.53\.5\.255"):
                await driver.delete(context(), requests.DeleteObject(key="key"))
        other = msgspec.structs.replace(config, bucket="holdfast-absent")
        async with bed.provider.image(other) as driver:
            with pytest.raises(NotFound, match="bucket"):
                await driver.get(context(), requests.GetObject(key="key"))

    in_store(bed, "secrets", work)
