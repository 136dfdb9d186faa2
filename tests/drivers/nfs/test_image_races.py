"""Image stores on a real NFS server: calls in the middle of others, and calls that come late."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import PurePosixPath

import pytest

from engines import require_engine
from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Busy, DriverError, NotFound, Precondition
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.nfs import NfsImageProvider
from holdfast_drivers.nfs.config import NfsImageConfig
from holdfast_drivers.nfs.image_testbed import nfs_image_testbed
from holdfast_drivers.nfs.libnfs import Client, Status
from holdfast_drivers.nfs.objects import Objects
from holdfast_drivers.nfs.store_folder import Shelves
from holdfast_drivers.nfs.uploads import Uploads
from holdfast_drivers.upload_facts import part_of

pytestmark = pytest.mark.slow
SHA256 = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
START = requests.StartUpload(upload="u", key="o", kind=ObjectKind.ISO)
PART = requests.UploadPart(upload="u", number=1, data=b"one")
COMPLETE = requests.CompleteUpload(upload="u", parts=(part_of(PART),), size_bytes=3, sha256=SHA256)
ABORT = requests.AbortUpload(upload="u")
DELETE = requests.DeleteObject(key="o")
EARLIER, LATER = 5, 9


@pytest.fixture(autouse=True)
def _engine() -> None:
    require_engine()


class Interrupted(Client):
    """A connection on which something else happens once: before or after one of its calls."""

    moment: Callable[[str, str], bool] | None = None
    act: Callable[[], object] | None = None

    def interrupt(self, moment: Callable[[str, str], bool], act: Callable[[], object]) -> None:
        """Have ``act`` happen at the first such moment."""
        self.moment, self.act = moment, act

    def _at(self, call: str, path: str) -> None:
        if self.moment is not None and self.act is not None and self.moment(call, path):
            self.moment = None
            self.act()

    def rename(self, old: str, new: str) -> None:
        self._at("before rename", new)
        super().rename(old, new)
        self._at("after rename", new)

    def entries(self, path: str) -> dict[str, Status]:
        self._at("before listing", path)
        return super().entries(path)


class World:
    """One store, and two who work on it."""

    def __init__(self, config: NfsImageConfig) -> None:
        address = config.address()
        ends = time.monotonic() + 600
        self.one = Interrupted(address, lambda: ends - time.monotonic())
        self.other = Client(address, lambda: ends - time.monotonic())
        shelves = Shelves(config)
        self.uploads = Uploads(shelves, Objects(config, shelves))
        self._made = 0

    def fresh(self, prefix: str) -> str:
        """A new id."""
        self._made += 1
        return f"{prefix}-{self._made:016x}"

    def start(self, client: Client, fence: int = 0) -> answers.UploadInfo:
        """Open the upload."""
        return self.uploads.start(client, START, "op", self.fresh("up"), fence)

    def send(self, client: Client, fence: int = 0) -> answers.PartInfo:
        """Send its part."""
        return self.uploads.send(client, PART, self.fresh("part"), fence)

    def complete(self, client: Client, fence: int = 0) -> answers.ObjectInfo:
        """Make the object."""
        return self.uploads.complete(client, COMPLETE, "op", self.fresh("new"), fence)

    def abort(self, client: Client, fence: int = 0) -> answers.Gone:
        """Drop the upload."""
        return self.uploads.abort(client, ABORT, fence)

    def delete(self, client: Client, fence: int = 0) -> answers.Gone:
        """Delete the object."""
        return self.uploads.objects.delete(client, DELETE, fence)


Told = Callable[[World], None]


@asynccontextmanager
async def world() -> AsyncIterator[tuple[World, Callable[[], AsyncIterator[answers.OwnedThing]]]]:
    """A store of its own on a server of its own."""
    async with nfs_image_testbed(runtime().new_id("test")) as testbed:
        config = testbed.config(Role.IMAGE, "races")
        ctx = CallContext(operation="operation", deadline=runtime().now() + 600)
        provider = NfsImageProvider()
        async with provider.life_cycle(config, Role.IMAGE) as life_cycle:
            await life_cycle.initialize(ctx, requests.InitializeStore(name="images"))
        async with provider.image(config) as driver:
            made = await asyncio.to_thread(World, config)
            yield made, lambda: driver.enumerate(ctx, requests.EnumerateOwned())
            await asyncio.to_thread(made.one.close)
            await asyncio.to_thread(made.other.close)


def story(told: Told) -> list[OwnedKind]:
    """Tell a story in a thread, and what there is afterwards."""

    async def main() -> list[OwnedKind]:
        async with world() as (seen, owned):
            await asyncio.to_thread(told, seen)
            return sorted([thing.kind async for thing in owned()])

    return asyncio.run(main())


def in_folder(call: str, folder: str) -> Callable[[str, str], bool]:
    """The moment of a call about something in a folder of the store, or about that folder."""
    return lambda seen, path: seen == call and folder in PurePosixPath(path).parts[-2:]


def test_what_was_aborted_never_becomes_an_object() -> None:
    """An abort that is answered while a completion is about to publish takes its file away."""

    def told(seen: World) -> None:
        seen.start(seen.one)
        seen.send(seen.one)
        seen.one.interrupt(in_folder("before rename", "objects"), lambda: seen.abort(seen.other))
        with pytest.raises((Busy, NotFound)):
            seen.complete(seen.one)

    assert story(told) == [OwnedKind.STORE]


def test_opening_an_upload_spares_the_parts_of_whoever_opened_it_first() -> None:
    """Two open one upload; what the quicker one has sent meanwhile is not swept away."""

    def told(seen: World) -> None:
        def quicker() -> None:
            seen.start(seen.other)
            seen.send(seen.other)

        seen.one.interrupt(in_folder("before listing", "parts"), quicker)
        seen.start(seen.one)
        assert seen.complete(seen.other).size_bytes == 3

    assert story(told) == [OwnedKind.OBJECT, OwnedKind.STORE]


def test_the_end_of_a_completion_spares_an_upload_that_was_opened_again() -> None:
    """Who is late to clear up finds another upload under the key, and leaves it alone."""

    def told(seen: World) -> None:
        def again() -> None:
            seen.abort(seen.other)
            seen.start(seen.other)
            seen.send(seen.other)

        seen.start(seen.one)
        seen.send(seen.one)
        seen.one.interrupt(in_folder("after rename", "objects"), again)
        seen.complete(seen.one)
        row = seen.uploads.find(seen.other, "u")
        assert row is not None
        assert list(seen.uploads.parts(seen.other, row)) == [1]

    assert story(told) == [OwnedKind.OBJECT, OwnedKind.STORE, OwnedKind.UPLOAD]


LATE: dict[str, tuple[list[Callable[[World], object]], Callable[[World], object]]] = {
    "abort after start": (
        [lambda seen: seen.start(seen.one, LATER)],
        lambda seen: seen.abort(seen.other, EARLIER),
    ),
    "part after start": (
        [lambda seen: seen.start(seen.one, LATER)],
        lambda seen: seen.send(seen.other, EARLIER),
    ),
    "deletion after completion": (
        [
            lambda seen: seen.start(seen.one, LATER),
            lambda seen: seen.send(seen.one, LATER),
            lambda seen: seen.complete(seen.one, LATER),
        ],
        lambda seen: seen.delete(seen.other, EARLIER),
    ),
    "completion after completion of another": (
        [
            lambda seen: seen.start(seen.one, 1),
            lambda seen: seen.send(seen.one, 2),
            lambda seen: seen.complete(seen.one, LATER),
            lambda seen: seen.start(seen.one),
            lambda seen: seen.send(seen.one),
        ],
        lambda seen: seen.complete(seen.other, EARLIER),
    ),
}


@pytest.mark.parametrize(("before", "late"), LATE.values(), ids=list(LATE))
def test_a_call_is_refused_where_what_is_there_is_of_a_later_one(
    before: list[Callable[[World], object]], late: Callable[[World], object]
) -> None:
    """A late call neither replaces nor removes what a later one made."""

    def told(seen: World) -> None:
        for call in before:
            call(seen)
        with pytest.raises(DriverError) as error:
            late(seen)
        assert isinstance(error.value, Precondition)
        assert error.value.state == "fenced"

    story(told)
