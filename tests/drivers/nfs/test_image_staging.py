"""What an image store on NFS makes of things that a late call has taken, and of fences' room."""

import asyncio
import errno
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from folder_export import FolderClient, undisturbed
from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.answers import Absent, Done
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Busy, InUse, Precondition
from holdfast.contract.requests import CallContext, Role, verb_of
from holdfast_drivers.nfs import NfsImageProvider, fences, session
from holdfast_drivers.nfs.config import NfsImageConfig
from holdfast_drivers.nfs.fences import Fences
from holdfast_drivers.upload_facts import part_of

CONFIG = NfsImageConfig(server="127.0.0.1", export="/export", namespace="images")
LATE, LATER = 5, 9
DATA = b"bytes"
PART = requests.UploadPart(upload="up", number=1, data=DATA)
START = requests.StartUpload(upload="up", key="key", kind=ObjectKind.ISO)
COMPLETE = requests.CompleteUpload(
    upload="up",
    parts=(part_of(PART),),
    size_bytes=len(DATA),
    sha256=hashlib.sha256(DATA).hexdigest(),
)
HOOK = Callable[[str, str], None]


def context(fence: int) -> CallContext:
    return CallContext(operation=f"op-{fence}", fence=fence, deadline=runtime().now() + 60)


class Worker:
    """The ports of one who works on the store, and the connections of both."""

    def __init__(self, image: Any, life_cycle: Any) -> None:
        self.image, self.life_cycle = image, life_cycle

    async def call(self, request: requests.Request, fence: int) -> Any:
        verb = verb_of(request)
        port = self.image if hasattr(self.image, verb) else self.life_cycle
        return await getattr(port, verb)(context(fence), request)


class Export:
    """A folder in place of a server."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.store = root / "images" / "image"
        self.before: HOOK = undisturbed
        patch.setattr(session, "Client", self._connection)

    def _connection(self, *_: object) -> FolderClient:
        client = FolderClient(self.root)
        client.before = self._before
        return client

    def _before(self, verb: str, path: str) -> None:
        self.before(verb, path)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        provider = NfsImageProvider()
        async with (
            provider.image(CONFIG) as image,
            provider.life_cycle(CONFIG, Role.IMAGE) as life_cycle,
        ):
            yield Worker(image, life_cycle)

    def run(self, story: Callable[[Worker], Awaitable[None]]) -> None:
        async def told() -> None:
            async with self.worker() as worker:
                await worker.call(requests.InitializeStore(name="images"), 1)
                await story(worker)

        asyncio.run(told())

    def take(self, shelf: str, name: str, fence: int = LATE) -> None:
        """As a late call that is killed right after it has taken something."""
        kind = shelf.removesuffix("s")
        (self.store / shelf / name).rename(
            self.store / "staging" / f"taken-{kind}.{name}.{fence:016x}"
        )


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    return Export(tmp_path, monkeypatch)


@pytest.mark.parametrize("shelf", ["objects", "uploads"])
def test_what_a_late_call_took_still_holds_its_store(export: Export, shelf: str) -> None:
    """Nothing that was acknowledged goes with a store that is given back."""

    async def story(worker: Worker) -> None:
        await worker.call(START, LATER)
        await worker.call(PART, LATER)
        if shelf == "objects":
            await worker.call(COMPLETE, LATER)
        export.take(shelf, "key" if shelf == "objects" else "up")
        with pytest.raises(InUse):
            await worker.call(requests.DeleteStore(), LATER + 1)
        if shelf == "uploads":
            await worker.call(COMPLETE, LATER + 2)
        assert (await worker.image.get(context(0), requests.GetObject(key="key"))).data == DATA

    export.run(story)


def test_what_a_call_took_that_was_the_last_one_holds_no_store(export: Export) -> None:
    async def story(worker: Worker) -> None:
        for request in (START, PART, COMPLETE):
            await worker.call(request, LATE)
        export.take("objects", "key", fence=LATER)
        await worker.call(requests.DeleteStore(), LATER + 1)
        assert not export.store.exists()

    export.run(story)


def test_a_completion_is_found_while_a_late_call_has_taken_its_object(export: Export) -> None:
    """What it made is neither absent nor a failure."""

    async def story(worker: Worker) -> None:
        for request in (START, PART, COMPLETE):
            await worker.call(request, LATER)
        export.take("objects", "key")
        told = await worker.image.probe(context(LATER + 1), "complete_upload", COMPLETE)
        assert isinstance(told, Done)

    export.run(story)


def test_a_completion_that_was_cut_off_is_found_while_its_object_is_taken(export: Export) -> None:
    """The upload is still there, and the object is not made twice nor called absent."""

    async def story(worker: Worker) -> None:
        for request in (START, PART):
            await worker.call(request, LATER)
        row = (export.store / "uploads" / "up").read_bytes()
        await worker.call(COMPLETE, LATER)
        (export.store / "uploads" / "up").write_bytes(row)
        export.take("objects", "key")
        told = await worker.image.probe(context(LATER + 1), "complete_upload", COMPLETE)
        assert getattr(told, "names", ()) == ("uploads/up",)

    export.run(story)


def test_a_late_attachment_does_not_survive_a_later_detachment(export: Export) -> None:
    """Also where it renames the host's file while that is about to be taken."""

    async def story(worker: Worker) -> None:
        host = "host"
        await worker.call(requests.AttachHost(host=host), 2)
        hosts = export.store / "hosts"

        def late(verb: str, path: str) -> None:
            if verb == "rename" and "/hosts/host." in path:
                export.before = undisturbed
                Path(export.root / path.lstrip("/")).rename(hosts / f"host.{LATE:016x}")

        export.before = late
        told = await worker.call(requests.DetachHost(host=host), LATER)
        assert told.hosts == ()

    export.run(story)


def test_a_late_attachment_gives_no_file_of_a_later_one_its_own_name(export: Export) -> None:
    async def story(worker: Worker) -> None:
        attach = requests.AttachHost(host="host")
        await worker.call(attach, 2)
        loop = asyncio.get_running_loop()
        async with export.worker() as other:

            async def later() -> None:
                await other.call(attach, LATER)

            def stop(verb: str, path: str) -> None:
                if verb == "entries" and path.endswith("/hosts"):
                    export.before = undisturbed
                    asyncio.run_coroutine_threadsafe(later(), loop).result()

            export.before = stop
            with pytest.raises(Precondition, match="later call"):
                await worker.call(attach, LATE)
        assert [path.name for path in (export.store / "hosts").iterdir()] == [f"host.{LATER:016x}"]

    export.run(story)


@pytest.mark.parametrize(
    "name", ["taken-host.x", "taken-host.a.zz", "taken-host", "taken-host.a.b.c"]
)
def test_a_strangers_file_in_staging_stops_no_life_cycle(export: Export, name: str) -> None:
    async def story(worker: Worker) -> None:
        (export.store / "staging" / name).write_bytes(b"")
        assert (await worker.life_cycle.get(context(LATER))).hosts == ()
        await worker.call(requests.AttachHost(host="host"), LATER + 1)

    export.run(story)


def test_parts_of_other_uploads_end_no_completion(
    export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are sent while a large one is joined, its fence is still known."""
    monkeypatch.setattr(fences, "_BUCKETS", 1)
    (export.root / "store").mkdir()
    table, client = Fences("store"), FolderClient(export.root)
    table.enter(client, "upload", "up", LATE)
    table.enter(client, "object", "key", LATE)
    for number in range(100):
        table.enter(client, "part", f"other/{number}", LATER + number)
    table.check(client, "upload", "up", LATE)
    table.check(client, "object", "key", LATE)


def test_a_deletion_whose_fence_had_no_room_is_told_to_come_again(
    export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not called late, which nobody knows; and the object is there."""
    monkeypatch.setattr(fences, "_BUCKETS", 1)

    async def story(worker: Worker) -> None:
        for request in (START, PART, COMPLETE):
            await worker.call(request, 2)
        table = Fences("images/image")

        def crowd(verb: str, path: str) -> None:
            if verb == "rename" and path.endswith("/objects/key"):
                export.before = undisturbed
                for number in range(40):
                    table.enter(FolderClient(export.root), "object", f"other-{number}", LATER)

        export.before = crowd
        with pytest.raises(Busy):
            await worker.call(requests.DeleteObject(key="key"), LATE)
        assert (await worker.image.get(context(0), requests.GetObject(key="key"))).data == DATA

    export.run(story)


@pytest.mark.parametrize("verb", ["get", "head", "abort"])
def test_what_is_back_right_after_it_was_not_found_is_found(export: Export, verb: str) -> None:
    """The call that took it may bring it back itself, before anybody else comes to it."""

    async def story(worker: Worker) -> None:
        for request in (START, PART, *([COMPLETE] if verb != "abort" else [])):
            await worker.call(request, LATER)
        shelf, name = ("uploads", "up") if verb == "abort" else ("objects", "key")
        export.take(shelf, name)

        def back(asked: str, path: str) -> None:
            if asked == "entries" and path.endswith("/staging"):
                export.before = undisturbed
                (taken,) = (export.store / "staging").iterdir()
                taken.rename(export.store / shelf / name)

        export.before = back
        if verb == "get":
            await worker.image.get(context(0), requests.GetObject(key="key"))
        elif verb == "head":
            await worker.image.head(context(0), requests.HeadObject(key="key"))
        else:
            abort = requests.AbortUpload(upload="up")
            told = await worker.image.probe(context(0), "abort_upload", abort)
            assert told == Absent()

    export.run(story)


def test_a_late_call_on_a_full_export_removes_nothing(export: Export) -> None:
    """Where its fence finds no room it is compared all the same."""

    async def story(worker: Worker) -> None:
        for request in (START, PART, COMPLETE):
            await worker.call(request, 2)
        delete = requests.DeleteObject(key="key")
        assert await worker.image.probe(context(LATER), "delete", delete) == Absent()

        def full(verb: str, path: str) -> None:
            if verb in {"create", "rename", "link"}:
                raise OSError(errno.ENOSPC, "full", path)

        export.before = full
        with pytest.raises(Precondition):
            await worker.call(delete, LATE)
        await worker.image.head(context(0), requests.HeadObject(key="key"))
        await worker.call(delete, LATER + 1)

    export.run(story)
