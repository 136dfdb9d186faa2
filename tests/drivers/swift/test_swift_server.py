"""The Swift driver on a genuine Swift: calls that break off anywhere, two at once, old tokens."""

import asyncio
import hashlib
import os
from collections.abc import Iterator

import pytest

from engines import require_engine
from holdfast.contract import requests
from holdfast.contract.answers import Done, ObjectInfo, OwnedKind, Partial
from holdfast.contract.errors import Conflict, Corrupt, DriverError, Invalid, Unknown
from holdfast.contract.handles import HttpHandle
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast.data import open_block_io
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.config import SwiftConfig
from holdfast_drivers.swift.connection import open_connection
from holdfast_drivers.swift.lifecycle import SwiftLifeCycle
from races import KEY
from running_testbeds import Backend, Running, running
from sweeps import Sweep
from swift_stores import MANY, Store, broken_off, completion, context, on_a_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swift() -> Iterator[Running]:
    """A running Swift."""
    require_engine()
    with running(Backend(provider="swift", kind="container"), f"swift-{os.getpid()}") as found:
        yield found


@pytest.mark.parametrize("parts", [(b"one",), (b"one", b"two"), ()])
def test_a_completion_that_breaks_off_anywhere(swift: Running, parts: tuple[bytes, ...]) -> None:
    """The old object or the new one is there, whole; the repetition makes it the new one, alone."""

    async def story(store: Store) -> None:
        for at in (sweep := Sweep(MANY, len(parts), every=2)):
            await store.put(f"old-{at}", b"old", b"er")
            await store.start(f"new-{at}")
            sent = [await store.send(f"new-{at}", *part) for part in enumerate(parts, 1)]
            await store.send(f"new-{at}", 9, b"not named")
            request = completion(f"new-{at}", sent, *parts)
            whole = hashlib.sha256(b"".join(parts)).hexdigest()

            async def complete(request: requests.CompleteUpload = request) -> ObjectInfo:
                return await store.image.complete_upload(context(), request)

            died = await broken_off(store, at, complete)
            between = [thing for thing in await store.things() if thing.kind is OwnedKind.OBJECT]
            old = hashlib.sha256(b"older").hexdigest()
            assert [thing.digest in {old, whole} for thing in between] == [True]
            probed = await store.image.probe(context(), "complete_upload", request)
            assert isinstance(probed, Done) or died
            made = await complete()
            assert await complete() == made
            after = await store.things()
            assert [(thing.kind, thing.digest) for thing in after] == [(OwnedKind.OBJECT, whole)]
            assert await store.owned() == [(OwnedKind.OBJECT, KEY)]
            probed = await store.image.probe(context(), "complete_upload", request)
            assert probed == Done(answer=made)
            sweep.at_place(died)

    on_a_store(swift, story)


@pytest.mark.parametrize("parts", [(b"one",), (b"one", b"two"), ()])
def test_a_deletion_that_breaks_off_anywhere(swift: Running, parts: tuple[bytes, ...]) -> None:
    """The object is there or not; the repetition removes what it was made of, and nothing else."""

    async def story(store: Store) -> None:
        await store.start("beside")
        await store.send("beside", 1, b"kept")
        request = requests.DeleteObject(key=KEY)
        for at in (sweep := Sweep(MANY, len(parts), every=2)):
            await store.put(f"up-{at}", *parts)
            died = await broken_off(store, at, lambda: store.image.delete(context(), request))
            probed = await store.image.probe(context(), "delete", request)
            left = await store.owned()
            gone = (OwnedKind.OBJECT, KEY) not in left
            assert isinstance(probed, Partial) == (gone and len(left) > 1)
            await store.image.delete(context(), request)
            assert [(thing.kind, thing.key) for thing in await store.things()] == [
                (OwnedKind.UPLOAD, "beside")
            ]
            assert await store.owned() == [(OwnedKind.UPLOAD, "beside")]
            sweep.at_place(died)

    on_a_store(swift, story)


def test_an_abortion_that_breaks_off_anywhere(swift: Running) -> None:
    """The upload stays, with fewer parts at most, until the repetition ends it."""

    async def story(store: Store) -> None:
        for at in (sweep := Sweep(MANY)):
            upload = f"up-{at}"
            await store.start(upload)
            for number in (1, 2):
                await store.send(upload, number, b"part")
            request = requests.AbortUpload(upload=upload)

            async def abort(request: requests.AbortUpload = request) -> object:
                return await store.image.abort_upload(context(), request)

            died = await broken_off(store, at, abort)
            expected = [(OwnedKind.UPLOAD, upload)] if died else []
            assert await store.owned() == expected
            await abort()
            assert (await store.owned(), await store.things()) == ([], [])
            sweep.at_place(died)

    on_a_store(swift, story)


def test_two_who_make_one_store_at_once(swift: Running) -> None:
    """One of two names wins, the other is a conflict, and both then see the one."""
    config = swift.testbed.config(Role.IMAGE, "contended")
    assert isinstance(config, SwiftConfig)

    async def play() -> None:
        async with open_connection(config) as one, open_connection(config) as other:
            both = [SwiftLifeCycle(one), SwiftLifeCycle(other)]
            named = [requests.InitializeStore(name=name) for name in ("a", "b")]
            answers = await asyncio.gather(
                *(each.initialize(context(), name) for each, name in zip(both, named, strict=True)),
                return_exceptions=True,
            )
            lost = [answer for answer in answers if isinstance(answer, DriverError)]
            seen = [await each.get(context()) for each in both]
            assert len(lost) <= 1
            assert all(isinstance(error, Conflict | Unknown) for error in lost)
            assert seen[0] == seen[1]
            await asyncio.gather(
                *(
                    each.attach(context(), requests.AttachHost(host=f"host-{number}"))
                    for number, each in enumerate(both)
                )
            )
            assert (await both[0].get(context())).hosts == ("host-0", "host-1")
        await swift.testbed.remove(Role.IMAGE, "contended")

    swift.run(play())


def test_an_old_token_is_renewed_once(swift: Running) -> None:
    """After all tokens were revoked the next call works, and nobody notices."""

    async def story(store: Store) -> None:
        await store.put("up", b"data")
        async with swift.testbed.inject(Fault.REVOKED):
            with pytest.raises(DriverError, match=r"user 'test:tester'.*key"):
                await store.image.head(context(), requests.HeadObject(key=KEY))
        assert (await store.image.head(context(), requests.HeadObject(key=KEY))).size_bytes == 4

    on_a_store(swift, story)


def test_a_handle_reads_without_credentials(swift: Running) -> None:
    """An opened object is read by ranges; its address holds no token and fits no other object."""

    async def story(store: Store) -> None:
        await store.put("up", b"0123456", b"789")
        await store.put("other", b"another", key="other")
        handle = await store.image.open_object(context(), requests.OpenObject(key=KEY))
        assert isinstance(handle, HttpHandle)
        assert not handle.headers
        async with open_block_io(handle) as content:
            assert await content.read_at(5, 4) == b"5678"
        other = HttpHandle(url=handle.url.replace("images.fa.eb", "other"), size_bytes=7)
        assert other.url != handle.url
        async with open_block_io(other) as content:
            with pytest.raises(DriverError):
                await content.read_at(0, 1)

    on_a_store(swift, story)


def test_damaged_parts_and_objects_are_found(swift: Running) -> None:
    """Another part than the one acknowledged is refused, and a lost segment is Corrupt."""

    async def story(store: Store) -> None:
        await store.start("up")
        sent = [await store.send("up", 1, b"one"), await store.send("up", 2, b"two")]
        inside = store.image._store  # pyright: ignore[reportPrivateUsage] - damaged on purpose
        segments = inside.segments
        names = [entry.name for entry in await segments.all(Call(context()), "d/") or []]
        await segments.put(Call(context()), names[0], b"eno", {})
        with pytest.raises(Invalid, match="part 1"):
            await store.image.complete_upload(context(), completion("up", sent, b"one", b"two"))
        await store.send("up", 1, b"one")
        await store.image.complete_upload(context(), completion("up", sent, b"one", b"two"))
        await segments.delete(Call(context()), names[0])
        with pytest.raises(Corrupt):
            await store.image.get(context(), requests.GetObject(key=KEY))

    on_a_store(swift, story)
