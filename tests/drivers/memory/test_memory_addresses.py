"""The reference driver's copies of objects and temporary addresses."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import (
    Conflict,
    NotFound,
    OutOfRange,
    Precondition,
    Unavailable,
)
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import Fault, Testbed, TestbedKind
from holdfast.layers import ImageGuard, LifeCycleGuard
from holdfast.stores.open_store import open_image, open_life_cycle
from holdfast_drivers.memory import MemoryProvider
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from worlds import refused, tell_in

CTX = CallContext(operation="op-1", deadline=1e9)
ODD_KEYS = ("a/b", "../c", "%2e%2e", "é d?#&", "日本語")


class World(NamedTuple):
    """An image store in memory whose addresses are served."""

    driver: ImageGuard
    life_cycle: LifeCycleGuard
    testbed: Testbed

    async def put(
        self, key: str, data: bytes, kind: ObjectKind = ObjectKind.ISO, content_type: str = "a/b"
    ) -> answers.ObjectInfo:
        """An object of one part."""
        upload = f"{key} {len(data)} {kind}"
        await self.driver.start_upload(
            CTX,
            requests.StartUpload(upload=upload, key=key, kind=kind, content_type=content_type),
        )
        sent = await self.driver.upload_part(
            CTX, requests.UploadPart(upload=upload, number=1, data=data)
        )
        complete = requests.CompleteUpload(
            upload=upload,
            parts=(sent.part,),
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        return await self.driver.complete_upload(CTX, complete)

    async def copy(self, key: str, target: str) -> answers.ObjectInfo:
        return await self.driver.copy(CTX, requests.CopyObject(key=key, target=target))

    async def get(self, key: str) -> bytes:
        return (await self.driver.get(CTX, requests.GetObject(key=key))).data

    async def address(self, key: str) -> str:
        request = requests.TemporaryUrl(key=key, expires_s=60.0)
        return (await self.driver.temporary_url(CTX, request)).url


def tell(story: Callable[[World], Awaitable[None]]) -> None:
    """Run a story in a store of its own."""
    tell_in(world(), story)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    provider = MemoryProvider()
    async with provider.testbeds()[TestbedKind.EMBEDDED]("test") as testbed:
        config = testbed.config(Role.IMAGE, "ns")
        async with (
            open_life_cycle(provider, config, Role.IMAGE) as life_cycle,
            open_image(provider, config) as driver,
        ):
            await life_cycle.initialize(CTX, requests.InitializeStore(name="store"))
            yield World(driver, life_cycle, testbed)


async def asked(url: str, method: str = "GET", content: bytes = b"") -> httpx.Response:
    """What anybody is answered."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, url, content=content)


def test_a_copy_is_an_object_of_its_own() -> None:
    """It has what its source has but the id, and stays when the source is gone."""

    async def story(w: World) -> None:
        source = await w.put("o", b"x" * 1000, ObjectKind.VOLUME)
        made = await w.copy("o", "p")
        assert (made.key, made.kind, made.content_type) == ("p", source.kind, "a/b")
        assert (made.size_bytes, made.sha256) == (1000, source.sha256)
        assert made.id != source.id
        await w.driver.delete(CTX, requests.DeleteObject(key="o"))
        assert await w.get("p") == b"x" * 1000

    tell(story)


def test_a_copy_is_made_once_and_replaces_nothing() -> None:
    """The same again is the answer; other bytes, kinds and types are a conflict."""

    async def story(w: World) -> None:
        source = await w.put("o", b"same")
        made = await w.copy("o", "p")
        assert await w.copy("o", "p") == made
        assert await w.copy("o", "o") == source
        await w.put("bytes", b"other")
        await w.put("kind", b"same", ObjectKind.VOLUME)
        await w.put("type", b"same", content_type="c/d")
        for target in ("bytes", "kind", "type"):
            before = await w.driver.head(CTX, requests.HeadObject(key=target))
            await refused(Conflict, w.copy("o", target))
            assert await w.driver.head(CTX, requests.HeadObject(key=target)) == before
        await refused(NotFound, w.copy("absent", "p"))

    tell(story)


def test_maintenance_lets_no_copy_in() -> None:
    """A store in maintenance refuses a copy."""

    async def story(w: World) -> None:
        await w.put("o", b"x")
        await w.life_cycle.maintain(CTX, requests.MaintainStore())
        await refused(Precondition, w.copy("o", "p"))
        await refused(NotFound, w.get("p"))

    tell(story)


def test_a_probe_tells_what_became_of_a_copy() -> None:
    """Before it there is nothing; after it the lost answer is known, also without the source."""

    async def story(w: World) -> None:
        request = requests.CopyObject(key="o", target="p")
        await w.put("o", b"x")
        assert await w.driver.probe(CTX, "copy", request) == answers.Absent()
        made = await w.copy("o", "p")
        assert await w.driver.probe(CTX, "copy", request) == answers.Done(answer=made)
        await w.driver.delete(CTX, requests.DeleteObject(key="o"))
        assert await w.driver.probe(CTX, "copy", request) == answers.Done(answer=made)
        await w.put("o", b"another")
        assert await w.driver.probe(CTX, "copy", request) == answers.Absent()

    tell(story)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_address_gives_its_object_to_everybody(key: str) -> None:
    """Without credentials, whatever the key looks like; and it is the object under the key."""

    async def story(w: World) -> None:
        await w.put(key, b"content")
        url = await w.address(key)
        answer = await asked(url)
        assert (answer.status_code, answer.content) == (200, b"content")
        await w.driver.delete(CTX, requests.DeleteObject(key=key))
        assert (await asked(url)).status_code == 404

    tell(story)


def test_an_address_is_good_for_nothing_else() -> None:
    """Not for another method, another object, a longer time, or once its time is over."""

    async def story(w: World) -> None:
        await w.put("o", b"content")
        await w.put("p", b"other")
        url, other = urlsplit(await w.address("o")), urlsplit(await w.address("p"))
        for method in ("PUT", "DELETE"):
            answer = await asked(url.geturl(), method, b"x" * 100_000)
            assert answer.status_code == 403
        longer = url._replace(query=url.query.replace("expires=", "expires=9"))
        for wrong in (url._replace(path=other.path), longer, url._replace(query="")):
            assert (await asked(wrong.geturl())).status_code == 403
        driver = w.driver.driver
        assert isinstance(driver, MemoryImageDriver)
        assert (await asked(driver.address("o", -1.0))).status_code == 403
        assert await w.get("o") == b"content"

    tell(story)


def test_no_address_ends_another() -> None:
    """Two addresses of one object work side by side, and go on when the driver is closed."""

    async def story(w: World) -> None:
        await w.put("o", b"content")
        config = w.testbed.config(Role.IMAGE, "ns")
        async with open_image(MemoryProvider(), config) as second:
            request = requests.TemporaryUrl(key="o", expires_s=30.0)
            urls = [await w.address("o"), (await second.temporary_url(CTX, request)).url]
        assert [(await asked(url)).content for url in urls] == [b"content"] * 2

    tell(story)


def test_an_address_that_cannot_be_made_is_an_error() -> None:
    """No object, too long, nobody there: each says so, and an answer does not show its address."""

    async def story(w: World) -> None:
        await refused(NotFound, w.address("absent"))
        await w.put("o", b"x")
        longest = 8 * 24 * 3600.0
        request = requests.TemporaryUrl(key="o", expires_s=longest)
        await refused(OutOfRange, w.driver.temporary_url(CTX, request))
        url = await w.address("o")
        async with w.testbed.inject(Fault.DOWN):
            await refused(Unavailable, w.address("o"))
            assert (await asked(url)).status_code == 503
        assert url not in repr(answers.UrlInfo(url=url))

    tell(story)


def test_the_server_ends_with_its_testbed() -> None:
    """Afterwards nobody listens where the addresses were."""
    urls: list[str] = []

    async def story(w: World) -> None:
        await w.put("o", b"x")
        urls.append(await w.address("o"))

    tell(story)
    with pytest.raises(httpx.ConnectError):
        asyncio.run(asked(urls[0]))
