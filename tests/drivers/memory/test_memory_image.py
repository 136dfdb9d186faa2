import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import (
    Conflict,
    Corrupt,
    Denied,
    Invalid,
    NotFound,
    OutOfRange,
    Precondition,
    Unavailable,
)
from holdfast.contract.requests import CallContext, PartReference, Role
from holdfast.contract.testbed import Fault, Inspected
from holdfast.data import open_block_io
from holdfast.layers import ImageGuard, LifeCycleGuard
from holdfast.stores.open_store import open_image, open_life_cycle
from holdfast_drivers.memory import MemoryProvider
from holdfast_drivers.memory.backend import Backend
from holdfast_drivers.memory.testbed import MemoryTestbed, start_backend
from worlds import refused, tell_in

CTX = CallContext(operation="op-1", deadline=1e9)


class World(NamedTuple):
    """An image store in memory, its life cycle and its testbed."""

    driver: ImageGuard
    life_cycle: LifeCycleGuard
    testbed: MemoryTestbed

    async def start(
        self, upload: str, key: str, kind: ObjectKind = ObjectKind.TEMPLATE
    ) -> answers.UploadInfo:
        request = requests.StartUpload(upload=upload, key=key, kind=kind)
        return await self.driver.start_upload(CTX, request)

    async def send(self, upload: str, number: int, data: bytes) -> PartReference:
        request = requests.UploadPart(upload=upload, number=number, data=data)
        return (await self.driver.upload_part(CTX, request)).part

    async def complete(
        self, upload: str, parts: tuple[PartReference, ...], data: bytes
    ) -> answers.ObjectInfo:
        request = requests.CompleteUpload(
            upload=upload,
            parts=parts,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        return await self.driver.complete_upload(CTX, request)

    async def put(self, key: str, data: bytes) -> answers.ObjectInfo:
        await self.start(f"u-{key}", key)
        parts = (await self.send(f"u-{key}", 1, data),) if data else ()
        return await self.complete(f"u-{key}", parts, data)

    async def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        request = requests.GetObject(key=key, offset_bytes=offset, length_bytes=length)
        return (await self.driver.get(CTX, request)).data

    async def listed(
        self, prefix: str = "", delimiter: str = "", limit: int = 1000
    ) -> tuple[list[str], list[str]]:
        keys: list[str] = []
        prefixes: list[str] = []
        token = ""
        while True:
            page = await self.driver.list(
                CTX,
                requests.ListObjects(prefix=prefix, delimiter=delimiter, token=token, limit=limit),
            )
            keys += [item.key for item in page.items]
            prefixes += page.prefixes
            token = page.token
            if not token:
                return keys, prefixes

    async def things(self) -> tuple[Inspected, ...]:
        return (await self.testbed.inspector(Role.IMAGE, "ns").inventory()).things


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    provider = MemoryProvider()
    testbed = MemoryTestbed(start_backend(Backend, "test"))
    config = testbed.config(Role.IMAGE, "ns")
    async with (
        open_life_cycle(provider, config, Role.IMAGE) as life_cycle,
        open_image(provider, config) as driver,
    ):
        await life_cycle.initialize(CTX, requests.InitializeStore(name="store"))
        yield World(driver, life_cycle, testbed)


def tell(story: Callable[[World], Awaitable[None]]) -> None:
    tell_in(world(), story)


def test_objects_come_back_as_they_were_put() -> None:
    """Bytes, size, kind and digest come back, also of an object of 0 bytes."""

    async def story(w: World) -> None:
        for data in (b"", b"x", bytes(range(256)) * 100):
            made = await w.put("o", data)
            assert made.size_bytes == len(data)
            assert made.sha256 == hashlib.sha256(data).hexdigest()
            assert await w.get("o") == data
            assert await w.driver.head(CTX, requests.HeadObject(key="o")) == made

    tell(story)


def test_parts_are_joined_by_number_and_replaced_when_sent_again() -> None:
    """Parts come in any order, the last with a number counts, and unnamed ones are dropped."""

    async def story(w: World) -> None:
        await w.start("u", "o")
        second = await w.send("u", 2, b"b" * 20)
        await w.send("u", 1, b"old" * 20)
        first = await w.send("u", 1, b"a" * 20)
        await w.send("u", 3, b"never named")
        made = await w.complete("u", (second, first), b"a" * 20 + b"b" * 20)
        assert await w.get("o") == b"a" * 20 + b"b" * 20
        assert await w.complete("u", (second, first), b"a" * 20 + b"b" * 20) == made
        assert [thing.kind for thing in await w.things()] == ["object", "store"]

    tell(story)


def test_wrong_parts_are_invalid_and_leave_the_upload_open() -> None:
    """A missing, foreign, outdated or repeated part is Invalid, one too small is OutOfRange."""

    async def story(w: World) -> None:
        await w.start("u", "o")
        part = await w.send("u", 1, b"a" * 20)
        missing = PartReference(number=2, size_bytes=20, tag=part.tag)
        foreign = PartReference(number=1, size_bytes=20, tag="another")
        await refused(Invalid, w.complete("u", (part, missing), b"a" * 40))
        await refused(Invalid, w.complete("u", (foreign,), b"a" * 20))
        await refused(Invalid, w.complete("u", (part, part), b"a" * 40))
        small = await w.send("u", 1, b"a" * 15)
        last = await w.send("u", 2, b"b")
        await refused(OutOfRange, w.complete("u", (small, last), b"a" * 15 + b"b"))
        await refused(NotFound, w.complete("never", (), b""))
        assert (await w.complete("u", (small,), b"a" * 15)).size_bytes == 15

    tell(story)


def test_a_wrong_digest_or_size_is_corrupt_and_keeps_the_earlier_object() -> None:
    """What was under the key before stays when an upload is not what was sent."""

    async def story(w: World) -> None:
        before = await w.put("o", b"before")
        await w.start("u", "o")
        part = await w.send("u", 1, b"after")
        await refused(Corrupt, w.complete("u", (part,), b"other"))
        await refused(Corrupt, w.complete("u", (part,), b"longer than that"))
        assert await w.driver.head(CTX, requests.HeadObject(key="o")) == before
        assert (await w.complete("u", (part,), b"after")).id != before.id
        assert await w.get("o") == b"after"

    tell(story)


def test_upload_keys_belong_to_one_upload() -> None:
    """The same upload can be started again; another under its key is a conflict."""

    async def story(w: World) -> None:
        assert await w.start("u", "o") == await w.start("u", "o")
        await refused(Conflict, w.start("u", "other"))
        await refused(Conflict, w.start("u", "o", ObjectKind.ISO))
        abort = requests.AbortUpload(upload="u")
        gone = await w.driver.abort_upload(CTX, abort)
        assert await w.driver.abort_upload(CTX, abort) == gone
        await refused(NotFound, w.send("u", 1, b"x"))
        await refused(NotFound, w.get("o"))

    tell(story)


@pytest.mark.slow
@given(
    st.binary(max_size=40),
    st.integers(-50, 50),
    st.one_of(st.none(), st.integers(1, 50)),
)
def test_ranges_are_slices(data: bytes, offset: int, length: int | None) -> None:
    """A range is the slice asked for, cut at the end; one that starts past it is OutOfRange."""

    async def story(w: World) -> None:
        await w.put("o", data)
        start = max(0, len(data) + offset) if offset < 0 else offset
        if start and start >= len(data):
            await refused(OutOfRange, w.get("o", offset, length))
            return
        end = len(data) if length is None else start + length
        assert await w.get("o", offset, length) == data[start:end]

    tell(story)


def test_damage_is_noticed() -> None:
    """An object whose bytes changed in the backend is Corrupt, never bytes."""

    async def story(w: World) -> None:
        await w.put("o", b"right")
        w.testbed.backend.stores[Role.IMAGE, "ns"].objects["o"].data = b"wrong"
        await refused(Corrupt, w.get("o"))

    tell(story)


def test_a_handle_reads_the_object_until_it_is_gone() -> None:
    """An object's handle is read-only and ends with the object."""

    async def story(w: World) -> None:
        await w.put("o", b"data")
        handle = await w.driver.open_object(CTX, requests.OpenObject(key="o"))
        async with open_block_io(handle) as content:
            assert await content.read_at(0, 4) == b"data"
            await refused(Denied, content.write_at(0, b"x"))
            delete = requests.DeleteObject(key="o")
            gone = await w.driver.delete(CTX, delete)
            await refused(Denied, content.read_at(0, 4))
            assert await w.driver.delete(CTX, delete) == gone

    tell(story)


KEYS = st.text(st.sampled_from("ab/%é"), min_size=1, max_size=4)


@pytest.mark.slow
@given(
    st.sets(KEYS, max_size=8),
    st.sampled_from(["", "a", "a/", "é"]),
    st.sampled_from(["", "/", "b"]),
    st.integers(1, 4),
)
def test_lists_fold_keys_and_page_through_them(
    keys: set[str], prefix: str, delimiter: str, limit: int
) -> None:
    """Every key under the prefix is listed once in byte order, deeper ones as one prefix."""

    async def story(w: World) -> None:
        for key in keys:
            await w.put(key, b"")
        plain: list[str] = []
        folded: set[str] = set()
        for key in sorted(keys, key=str.encode):
            if key.startswith(prefix):
                at = key.find(delimiter, len(prefix)) if delimiter else -1
                if at < 0:
                    plain.append(key)
                else:
                    folded.add(key[: at + len(delimiter)])
        assert await w.listed(prefix, delimiter, limit) == (
            plain,
            sorted(folded, key=str.encode),
        )

    tell(story)


def test_probes_tell_what_became_of_an_upload() -> None:
    """Each step of an upload is Absent before it was made and Done with its answer after."""

    async def story(w: World) -> None:
        probe = w.driver.probe
        data = b"x" * 20
        start = requests.StartUpload(upload="u", key="o", kind=ObjectKind.ISO)
        send = requests.UploadPart(upload="u", number=1, data=data)
        assert await probe(CTX, "start_upload", start) == answers.Absent()
        started = await w.driver.start_upload(CTX, start)
        assert await probe(CTX, "start_upload", start) == answers.Done(answer=started)
        assert await probe(CTX, "upload_part", send) == answers.Absent()
        sent = await w.driver.upload_part(CTX, send)
        assert await probe(CTX, "upload_part", send) == answers.Done(answer=sent)
        complete = requests.CompleteUpload(
            upload="u", parts=(sent.part,), size_bytes=20, sha256=hashlib.sha256(data).hexdigest()
        )
        assert await probe(CTX, "complete_upload", complete) == answers.Absent()
        made = await w.driver.complete_upload(CTX, complete)
        assert await probe(CTX, "complete_upload", complete) == answers.Done(answer=made)
        assert await probe(CTX, "start_upload", start) == answers.Done(answer=started)
        abort = requests.AbortUpload(upload="u")
        assert isinstance(await probe(CTX, "abort_upload", abort), answers.Done)
        delete = requests.DeleteObject(key="o")
        assert await probe(CTX, "delete", delete) == answers.Absent()
        gone = await w.driver.delete(CTX, delete)
        assert await probe(CTX, "delete", delete) == answers.Done(answer=gone)

    tell(story)


def test_figures_and_enumeration_count_open_uploads() -> None:
    """Parts of an open upload use space and are enumerated as unfinished."""

    async def story(w: World) -> None:
        await w.put("o", b"12345")
        await w.start("u", "p")
        await w.send("u", 1, b"123")
        stats = await w.driver.stats(CTX, requests.GetStats())
        assert (stats.used_bytes, stats.objects) == (8, 1)
        stream = w.driver.enumerate(CTX, requests.EnumerateOwned())
        owned = {(thing.kind, thing.key, thing.unfinished) async for thing in stream}
        assert owned == {
            (answers.OwnedKind.STORE, "store", False),
            (answers.OwnedKind.OBJECT, "o", False),
            (answers.OwnedKind.UPLOAD, "u", True),
        }
        inspected = {(thing.kind, thing.key, thing.unfinished) for thing in await w.things()}
        assert inspected == owned

    tell(story)


def test_maintenance_takes_no_new_uploads_and_an_outage_is_unavailable() -> None:
    """In maintenance open uploads may end but none starts; while down every verb is refused."""

    async def story(w: World) -> None:
        await w.start("u", "o")
        await w.life_cycle.maintain(CTX, requests.MaintainStore())
        await refused(Precondition, w.start("v", "p"))
        part = await w.send("u", 1, b"x")
        await w.complete("u", (part,), b"x")
        async with w.testbed.inject(Fault.DOWN):
            await refused(Unavailable, w.get("o"))
            await refused(Unavailable, w.driver.delete(CTX, requests.DeleteObject(key="never")))
            health = await w.driver.health(CTX, requests.CheckHealth())
            assert health.state is answers.HealthState.DOWN
        assert await w.get("o") == b"x"

    tell(story)
