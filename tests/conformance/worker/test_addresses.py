"""Requests to temporary addresses, and what a trace may tell of them."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.handles import ExtentHandle, FileHandle, HttpHandle
from holdfast.contract.requests import CallContext, Role
from holdfast_conformance.address_steps import FetchAddress, FetchExpired, Method
from holdfast_conformance.payload import expand, middle
from holdfast_conformance.trace import AddressMade, Fetched, FetchResult, HandleRead
from holdfast_conformance.worker import addresses
from holdfast_conformance.worker.addresses import Addresses
from holdfast_conformance.worker.object_handles import read_object
from holdfast_drivers.memory.backend import (
    Backend,
    Store,
    StoredObject,
    object_token,
)
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.address import AddressNeverExpires
from holdfast_drivers.memory.testbed import run_testbed

CTX = CallContext(operation="op-1", deadline=1e9)
CONTENT = expand(1, 1000)
NOTHING_REFUSED = Fetched(result=FetchResult.REFUSED, status=403)


class Bench:
    """A backend with two objects, whose real server is asked."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.driver = MemoryImageDriver(backend, "ns")
        self.store = backend.stores[Role.IMAGE, "ns"] = Store("store-1", "store")
        for key, data in (("o", CONTENT), ("p", b"other")):
            self.store.objects[key] = StoredObject(
                key,
                f"id-{key}",
                ObjectKind.ISO,
                "a/b",
                data,
                hashlib.sha256(data).hexdigest(),
                "",
                "",
            )
        self.kept = Addresses(timeout_s=5.0)

    def keep(self, name: str, key: str, expires_s: float = 60.0) -> AddressMade:
        return self.kept.keep(name, self.driver.address(key, expires_s), expires_s)

    async def fetch(self, name: str, method: Method = Method.GET, path_of: str = "") -> Fetched:
        return await self.kept.fetch(FetchAddress(address=name, method=method, path_of=path_of))


def on_bench(
    story: Callable[[Bench], Awaitable[None]], backend_type: type[Backend] = Backend
) -> None:
    """Tell a story with a server of its own."""

    async def told() -> None:
        async with run_testbed(backend_type, "test") as testbed:
            await story(Bench(testbed.backend))

    asyncio.run(told())


def test_an_address_gives_size_and_digest_and_is_told_without_itself() -> None:
    """What comes back is what a trace may hold."""

    async def story(b: Bench) -> None:
        assert b.keep("a", "o") == AddressMade()
        found = await b.fetch("a")
        digest = hashlib.sha256(CONTENT).hexdigest()
        assert found == Fetched(
            result=FetchResult.GIVEN, status=200, length_bytes=1000, sha256=digest
        )
        assert b"signature" not in msgspec.json.encode(found)

    on_bench(story)


def test_what_a_server_refuses_is_told_as_refused() -> None:
    """Other methods, another object's path, and an object that is gone."""

    async def story(b: Bench) -> None:
        b.keep("a", "o")
        b.keep("b", "p")
        assert await b.fetch("a", Method.PUT) == NOTHING_REFUSED
        assert await b.fetch("a", Method.DELETE) == NOTHING_REFUSED
        assert await b.fetch("a", path_of="b") == NOTHING_REFUSED
        del b.store.objects["o"]
        assert (await b.fetch("a")).status == 404

    on_bench(story)


def test_where_there_is_no_address_there_is_nothing() -> None:
    """Neither without one, nor where two are alike, is anything sent."""

    async def story(b: Bench) -> None:
        b.keep("a", "o")
        assert (await b.fetch("absent")).result is FetchResult.NOTHING
        assert (await b.fetch("a", path_of="absent")).result is FetchResult.NOTHING
        assert (await b.fetch("a", path_of="a")).result is FetchResult.NOTHING

    on_bench(story)


def test_a_server_that_gives_no_answer_has_failed() -> None:
    """Neither a server that is down nor one that is gone refuses."""
    kept: list[Addresses] = []

    async def story(b: Bench) -> None:
        b.keep("a", "o")
        b.backend.down = True
        assert await b.fetch("a") == Fetched(result=FetchResult.FAILED, status=503)
        kept.append(b.kept)

    on_bench(story)
    gone = asyncio.run(kept[0].fetch(FetchAddress(address="a")))
    assert (gone.result, gone.detail) == (FetchResult.FAILED, "ConnectionRefusedError")


def test_an_expired_address_is_waited_for_and_refused() -> None:
    """It is tried when its time is over, and not before."""

    async def story(b: Bench) -> None:
        b.keep("brief", "o", 0.05)
        assert await b.kept.fetch(FetchExpired(address="brief")) == NOTHING_REFUSED

    on_bench(story)


def test_an_address_that_goes_on_working_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a grace the last answer counts."""
    monkeypatch.setattr(addresses, "_GRACE_S", 0.05)
    monkeypatch.setattr(addresses, "_ROUNDED_S", 0.0)

    async def story(b: Bench) -> None:
        b.keep("brief", "o", 0.05)
        found = await b.kept.fetch(FetchExpired(address="brief"))
        assert found.result is FetchResult.GIVEN

    on_bench(story, AddressNeverExpires)


@pytest.mark.parametrize(
    "url", ["", "/o?a=b", "ftp://h/o", "http:///o", "http://h", "http://h:x/o", "http://h/a b", "é"]
)
def test_what_is_no_address_is_a_problem(url: str) -> None:
    """An address is absolute, of http or https, and written as it is sent."""

    async def kept() -> AddressMade:
        return Addresses(timeout_s=1.0).keep("a", url, 1.0)

    assert asyncio.run(kept()).problem


def test_a_handle_is_read_whole_and_by_a_range() -> None:
    """Both digests are those of the content."""

    async def story(b: Bench) -> None:
        token = object_token("id-o", "o")
        handle = ExtentHandle(space=b.backend.name, token=token, size_bytes=1000)
        offset, length = middle(1000)
        assert (await read_object(handle)).read == HandleRead(
            size_bytes=1000,
            sha256=hashlib.sha256(CONTENT).hexdigest(),
            middle_sha256=hashlib.sha256(CONTENT[offset : offset + length]).hexdigest(),
        )

    on_bench(story)


def test_a_handle_that_cannot_be_read_says_why() -> None:
    """The error is the answer, so that the property of the handle is the one that fails."""
    answer = asyncio.run(read_object(FileHandle(path="/nowhere/at/all", size_bytes=5)))

    assert answer.read is not None
    assert answer.read.problem.startswith("Unavailable: ")


def test_a_trace_holds_no_right_to_read() -> None:
    """Queries, headers and users are cut off the addresses in a handle."""
    handle = HttpHandle(
        url="http://user:word@127.0.0.1:1/o?signature=secret",
        size_bytes=1,
        headers=(("X-Token", "secret"),),
    )
    told = msgspec.json.encode(asyncio.run(read_object(handle)))

    assert b"secret" not in told
    assert b"word" not in told
    assert b"127.0.0.1:1/o" in told
