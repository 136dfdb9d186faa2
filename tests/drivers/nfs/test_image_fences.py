"""Image stores on a real NFS server: a call that was given up, and acts after a later one ended.

It is stopped before one of its requests, the later calls run to their end, and then it goes on.
"""

import asyncio
import contextlib
import hashlib
import itertools
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import msgspec
import pytest

from engines import require_engine
from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.answers import Absent, OwnedKind, StoreState
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Busy, DriverError, NotFound, Precondition
from holdfast.contract.requests import CallContext, Request, Role, verb_of
from holdfast_drivers.nfs import NfsImageProvider, fences, session
from holdfast_drivers.nfs.config import NfsImageConfig
from holdfast_drivers.nfs.fences import Fences
from holdfast_drivers.nfs.libnfs import Client
from holdfast_drivers.upload_facts import part_of
from running_testbeds import Backend, Running, running
from sweeps import Sweep

pytestmark = pytest.mark.slow
LONGEST = 200
"""More requests than any of these calls makes."""
LATE = 5
_numbers = itertools.count()
Plain = tuple[object, ...]


@pytest.fixture(scope="module")
def bed() -> Iterator[Running]:
    require_engine()
    with running(Backend(provider="nfs-image", kind="container"), f"fences-{os.getpid()}") as found:
        yield found


class Stop:
    """Where a call is stopped, and what happens meanwhile."""

    def __init__(self) -> None:
        self.left = 0
        self.act: Callable[[], object] | None = None

    def __call__(self) -> None:
        act = self.act
        if act is None:
            return
        if self.left == 0:
            self.act = None
            act()
        self.left -= 1


class Stopping(Client):
    """A connection that stops before one of its requests."""

    stop: ClassVar[Stop]

    def call(self, name: str, path: str, *arguments: object) -> int:
        self.stop()
        return super().call(name, path, *arguments)


class Probed(msgspec.Struct, frozen=True):
    """A probe, among requests."""

    of: Any


class Got(msgspec.Struct, frozen=True):
    """The question what a store is, among requests."""


class Party(msgspec.Struct, frozen=True):
    """The ports of one who works on a store."""

    image: Any
    life_cycle: Any

    async def call(self, request: Request | Probed | Got, fence: int) -> object:
        """Make a call."""
        if isinstance(request, Probed):
            return await self.image.probe(context(fence), verb_of(request.of), request.of)
        if isinstance(request, Got):
            return await self.life_cycle.get(context(fence))
        verb = verb_of(request)
        port = self.image if hasattr(self.image, verb) else self.life_cycle
        return await getattr(port, verb)(context(fence), request)

    async def reach(self) -> None:
        """Connect, so that the requests that follow are the calls' own."""
        await self.image.health(context(0), requests.CheckHealth())
        with contextlib.suppress(NotFound):
            await self.life_cycle.get(context(0))


def context(fence: int) -> CallContext:
    return CallContext(operation=f"op-{fence}", fence=fence, deadline=runtime().now() + 120)


@asynccontextmanager
async def party(config: NfsImageConfig) -> AsyncIterator[Party]:
    provider = NfsImageProvider()
    async with (
        provider.image(config) as image,
        provider.life_cycle(config, Role.IMAGE) as life_cycle,
    ):
        yield Party(image, life_cycle)


def start(upload: str = "one") -> Any:
    return requests.StartUpload(upload=upload, key="key", kind=ObjectKind.ISO)


def part(upload: str = "one", data: bytes = b"") -> Any:
    return requests.UploadPart(upload=upload, number=1, data=data or upload.encode())


def complete(upload: str = "one", data: bytes = b"") -> Any:
    data = data or upload.encode()
    return requests.CompleteUpload(
        upload=upload,
        parts=(part_of(part(upload, data)),),
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


ABORT: Any = requests.AbortUpload(upload="one")
DELETE: Any = requests.DeleteObject(key="key")
ATTACH: Any = requests.AttachHost(host="host")
DETACH: Any = requests.DetachHost(host="host")
MAINTAIN: Any = requests.MaintainStore()
CANCEL: Any = requests.CancelMaintenance()
GIVE_BACK: Any = requests.DeleteStore()
AGAIN: Any = requests.InitializeStore(name="images", identity="store-00000000000000aa")
ONE = [start(), part()]
TWO = [start("two"), part("two")]
MADE = [*ONE, complete()]


class Tale(msgspec.Struct, frozen=True):
    """What was, the call that is late, what came later, and what must work in the end."""

    before: Sequence[Any]
    late: Any
    later: Sequence[Any]
    then: Sequence[Any] = ()


TALES = {
    "complete, delete": Tale(ONE, complete(), [DELETE]),
    "complete, completed and deleted": Tale(ONE, complete(), [complete(), DELETE]),
    "complete, another": Tale([*ONE, *TWO], complete(), [complete("two")]),
    "complete, another and deleted": Tale([*ONE, *TWO], complete(), [complete("two"), DELETE]),
    "complete, abort": Tale(ONE, complete(), [ABORT]),
    "complete, opened again": Tale(ONE, complete(), [ABORT, *ONE], [complete()]),
    "complete, probe": Tale(ONE, complete(), [Probed(complete())]),
    "delete, another": Tale([*MADE, *TWO], DELETE, [complete("two")]),
    "delete, deleted and another": Tale([*MADE, *TWO], DELETE, [DELETE, complete("two")]),
    "delete, another and deleted": Tale([*MADE, *TWO], DELETE, [complete("two"), DELETE]),
    "delete, probe": Tale(MADE, DELETE, [Probed(DELETE)]),
    "start, abort": Tale([], start(), [ABORT]),
    "start, probe": Tale([], start(), [Probed(start())]),
    "send, abort": Tale([start()], part(), [ABORT]),
    "send, again": Tale(
        [start()], part(data=b"late"), [part(data=b"new")], [complete(data=b"new")]
    ),
    "send, probe": Tale([start()], part(), [Probed(part())]),
    "abort, opened again": Tale(ONE, ABORT, [ABORT, *ONE], [complete()]),
    "abort, probe": Tale(ONE, ABORT, [Probed(ABORT)]),
    "attach, detach": Tale([], ATTACH, [DETACH]),
    "attach, get": Tale([], ATTACH, [Got()]),
    "detach, attach": Tale([ATTACH], DETACH, [ATTACH]),
    "detach, detached and attached": Tale([ATTACH], DETACH, [DETACH, ATTACH]),
    "detach, get": Tale([ATTACH], DETACH, [Got()]),
    "maintain, cancel": Tale([], MAINTAIN, [MAINTAIN, CANCEL]),
    "maintain, get": Tale([], MAINTAIN, [Got()]),
    "cancel, maintain": Tale([MAINTAIN], CANCEL, [MAINTAIN]),
    "cancel, get": Tale([MAINTAIN], CANCEL, [Got()]),
    "give back, get": Tale([], GIVE_BACK, [Got()]),
    "give back, attach": Tale([], GIVE_BACK, [ATTACH]),
    "give back, maintain": Tale([], GIVE_BACK, [MAINTAIN]),
    "give back, given back and made again": Tale([], GIVE_BACK, [GIVE_BACK, AGAIN]),
    "maintain, given back and made again": Tale([], MAINTAIN, [GIVE_BACK, AGAIN]),
}


async def seen(other: Party) -> Plain:
    """What there is: the store, what is in it, and what of it could be completed."""
    try:
        store = await other.life_cycle.get(context(0))
        stream = other.image.enumerate(context(0), requests.EnumerateOwned())
        things = {
            (thing.kind.value, thing.id, thing.key, thing.size_bytes)
            async for thing in stream
            if thing.kind is not OwnedKind.TEMPORARY
        }
    except NotFound:
        return ()
    return store, frozenset(things)


async def told(bed: Running, tale: Tale, at: int) -> bool:
    """Stop the late call before the request of this number; whether it makes so many."""
    config = bed.testbed.config(Role.IMAGE, f"fences-{next(_numbers)}")
    assert isinstance(config, NfsImageConfig)
    stop = Stopping.stop = Stop()
    loop = asyncio.get_running_loop()
    after: list[Plain] = []
    async with party(config) as late, party(config) as other:
        await other.life_cycle.initialize(context(1), requests.InitializeStore(name="images"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session, "Client", Stopping)
            await late.reach()
        for request in tale.before:
            await other.call(request, 2)

        async def later() -> None:
            answers: list[object] = []
            for fence, request in enumerate(tale.later, LATE + 1):
                try:
                    answers.append(await other.call(request, fence))
                except DriverError as error:
                    answers.append(error)
            after.append((*await seen(other), answers))

        stop.left = at
        stop.act = lambda: asyncio.run_coroutine_threadsafe(later(), loop).result()
        try:
            answer: object = await late.call(tale.late, LATE)
        except DriverError as error:
            answer = error
        came = stop.act is None
        stop.act = None
        if not came:
            return False
        assert after, (at, answer)  # what came later was told, and not taken for an answer
        *before, answers = after[0]
        own = getattr(answer, "id", "").replace("obj-", "up-")  # it ended what it has made
        there = await seen(other)
        assert _without(there, own) == _without(before, own), (at, answer, answers)
        for request in tale.then:
            await other.call(request, 20)
        await _cleared(bed, other, config, (at, answer, answers))
    return True


def _without(found: Sequence[Any], own: str) -> Plain:
    """What was seen, but for the upload with this id."""
    return *found[:1], *({thing for thing in things if thing[1] != own} for things in found[1:])


async def _cleared(bed: Running, other: Party, config: NfsImageConfig, what: object) -> None:
    """See that nothing stays that no call would remove."""
    for fence, request in enumerate([CANCEL, DETACH, ABORT, _abort("two"), DELETE], 30):
        try:
            await other.call(request, fence)
        except NotFound:  # the store is given back
            break
    things = (await bed.testbed.inspector(Role.IMAGE, config.namespace).inventory()).things
    assert {thing.kind for thing in things} <= {OwnedKind.STORE}, what
    await bed.testbed.remove(Role.IMAGE, config.namespace)


def _abort(upload: str) -> Any:
    return requests.AbortUpload(upload=upload)


@pytest.mark.parametrize("name", TALES)
def test_a_late_call_changes_nothing_after_a_later_one(bed: Running, name: str) -> None:
    """Whichever of its requests the late call has come to, what is there stays as it was."""

    async def all_places() -> None:
        for at in (sweep := Sweep(LONGEST, list(TALES).index(name), every=5)):
            sweep.at_place(await told(bed, TALES[name], at))

    bed.run(all_places())


def test_what_was_deleted_is_not_made_again_by_a_call_that_begins_late(bed: Running) -> None:
    """What is gone keeps its fence: the object, the upload, the host."""

    async def story() -> None:
        config = bed.testbed.config(Role.IMAGE, "gone")
        assert isinstance(config, NfsImageConfig)
        async with party(config) as one:
            await one.life_cycle.initialize(context(1), requests.InitializeStore(name="images"))
            for request in ONE:
                await one.call(request, 2)
            await one.call(DELETE, 9)
            for late in (complete(), DELETE):
                with pytest.raises(Precondition) as error:
                    await one.call(late, LATE)
                assert error.value.state == "fenced"
            await one.call(ABORT, 9)
            await one.call(DETACH, 9)
            for late in (start(), part(), complete(), ABORT, ATTACH, MAINTAIN, GIVE_BACK):
                with pytest.raises((Precondition, NotFound)):
                    await one.call(late, LATE)
            assert await one.call(Probed(complete()), 10) == Absent()
            assert (await one.life_cycle.get(context(0))).hosts == ()
            assert (await one.life_cycle.get(context(0))).state is StoreState.UP
        await bed.testbed.remove(Role.IMAGE, "gone")

    bed.run(story())


def test_what_a_late_call_took_and_was_killed_with_is_back(bed: Running) -> None:
    """An object and an upload for who asks for them, a store for who initializes it."""

    async def story() -> None:
        config = bed.testbed.config(Role.IMAGE, "taken")
        assert isinstance(config, NfsImageConfig)
        folder, by = f"/{config.folder}/{config.namespace}", f"{LATE:016x}"

        def take(*renamed: tuple[str, str]) -> None:
            client = Client(config.address(), lambda: 60.0)
            for old, new in renamed:
                client.rename(f"{folder}/{old}", f"{folder}/{new}")
            client.close()

        async with party(config) as one:
            asked = requests.InitializeStore(name="images")
            made = await one.life_cycle.initialize(context(9), asked)
            for request in [*MADE, start("two"), part("two")]:
                await one.call(request, 9)
            staged = "image/staging/taken"
            await asyncio.to_thread(
                take,
                ("image/objects/key", f"{staged}-object.key.{by}"),
                ("image/uploads/two", f"{staged}-upload.two.{by}"),
            )
            got = await one.image.get(context(0), requests.GetObject(key="key"))
            assert got.data == b"one"
            await one.call(complete("two"), 10)
            await one.call(DELETE, 11)
            await asyncio.to_thread(take, ("image", f".image.leaving.gone-1.{by}"))
            assert (await one.life_cycle.initialize(context(12), asked)).id == made.id
        await bed.testbed.remove(Role.IMAGE, "taken")

    bed.run(story())


def test_no_late_call_is_let_through_and_nothing_grows(
    bed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many things in one bucket, a lower fence than the last one is never let through."""
    monkeypatch.setattr(fences, "_BUCKETS", 1)

    async def story() -> None:
        config = bed.testbed.config(Role.IMAGE, "table")
        assert isinstance(config, NfsImageConfig)
        async with party(config) as one:
            await one.life_cycle.initialize(context(0), requests.InitializeStore(name="images"))
        await asyncio.to_thread(enter_many, config)
        await bed.testbed.remove(Role.IMAGE, "table")

    bed.run(story())


def enter_many(config: NfsImageConfig) -> None:
    """Enter fences of many things in no order, and compare with what was let through."""
    ends = time.monotonic() + 600
    client = Client(config.address(), lambda: ends - time.monotonic())
    folder = f"/{config.folder}/{config.namespace}/image"
    table, chance, highest = Fences(folder), random.Random(0), dict[str, int]()
    for number in range(300):
        key = f"key-{chance.randrange(40)}"
        fence = max(1, number + chance.randrange(-60, 20))
        try:
            table.enter(client, "object", key, fence)
        except Precondition:
            assert fence < highest[key]
        except Busy:
            continue
        else:
            assert fence >= highest.get(key, 0)
            highest[key] = fence
            table.check(client, "object", key, fence)
    assert len(client.entries(f"{folder}/fences/00")) <= 2 * 15
    client.close()
