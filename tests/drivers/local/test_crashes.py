"""Kill or cut the power at every mutation of every call: nothing is lost, doubled or left over."""

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from holdfast.concurrency.runtime import InlineRuntime, use_runtime
from holdfast.contract import requests
from holdfast.contract.answers import Absent, Done, OwnedKind, Partial, ProbeResult, StoreInfo
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import NotFound
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext, PartReference, Request, Role, verb_of
from holdfast.contract.testbed import Inspected
from holdfast.data import content_digest, open_block_io
from holdfast.files.mutations import Mutation, observe
from holdfast_conformance.power_cut import PowerCut, Recorder
from holdfast_drivers.local import LocalProvider
from holdfast_drivers.local.config import LocalConfig
from holdfast_drivers.local.inspector import LocalInspector
from holdfast_drivers.upload_facts import part_of

MIB = 1 << 20


@dataclass(frozen=True)
class Opened:
    """One store, opened."""

    life_cycle: LifeCycle
    primary: PrimaryDriver
    image: ImageDriver


@dataclass(frozen=True)
class Case:
    """A call that changes something, and the store it is made on."""

    name: str
    role: Role
    request: Request
    prepare: Callable[[Opened], Awaitable[None]] | None = None


FENCES = itertools.count((1 << 32) + 1)


def context(operation: str = "op-tested") -> CallContext:
    """A call of an owner whose fences rise, as an engine's do."""
    return CallContext(operation=operation, fence=next(FENCES), deadline=1e9)


def call(opened: Opened, case: Case) -> Awaitable[object]:
    """Make the case's call."""
    ports = (opened.life_cycle, opened.primary if case.role is Role.PRIMARY else opened.image)
    verb = verb_of(case.request)
    port = next(port for port in ports if hasattr(port, verb))
    made: Awaitable[object] = getattr(port, verb)(context(), case.request)
    return made


async def probe(opened: Opened, case: Case) -> ProbeResult | None:
    """What became of the case's call; ``None`` for the verbs of the life cycle."""
    verb = verb_of(case.request)
    if hasattr(opened.life_cycle, verb):
        return None
    driver = opened.primary if case.role is Role.PRIMARY else opened.image
    return await driver.probe(context(), verb, case.request)


def run(root: Path, role: Role, use: Callable[[Opened], Awaitable[object]]) -> object:
    """Open the store in ``root`` and use it, all in this thread."""

    async def main() -> object:
        config = LocalConfig(root=str(root), namespace="crash")
        async with AsyncExitStack() as stack:
            provider = LocalProvider()
            return await use(
                Opened(
                    await stack.enter_async_context(provider.life_cycle(config, role)),
                    await stack.enter_async_context(provider.primary(config)),
                    await stack.enter_async_context(provider.image(config)),
                )
            )

    with use_runtime(InlineRuntime(seed=int.from_bytes(os.urandom(8), "big"))):
        return asyncio.run(main())


def inventory(root: Path, role: Role) -> list[Inspected]:
    """What is in the store, without the ids that differ from run to run."""
    inspector = LocalInspector(root, root / "crash" / role.value, role)
    with use_runtime(InlineRuntime(seed=0)):
        things = asyncio.run(inspector.inventory()).things
    return [
        Inspected(
            kind=thing.kind,
            key=thing.key,
            size_bytes=thing.size_bytes,
            digest=thing.digest,
            detail=thing.detail,
            unfinished=thing.unfinished,
        )
        for thing in things
    ]


def copy_tree(source: Path, target: Path) -> None:
    """Copy with holes and hard links."""
    subprocess.run(["cp", "-a", source, target], check=True)


def prepare(root: Path, case: Case) -> None:
    """Make the store that the case needs."""
    root.mkdir()
    if case.prepare is not None:
        run(root, case.role, case.prepare)


async def empty_store(opened: Opened) -> None:
    await opened.life_cycle.initialize(context("op-before"), requests.InitializeStore(name="store"))


async def things_in_primary(opened: Opened) -> None:
    ctx, driver = context("op-before"), opened.primary
    await opened.life_cycle.initialize(ctx, requests.InitializeStore(name="store"))
    await opened.life_cycle.attach(ctx, requests.AttachHost(host="host"))
    for key in ("free", "granted"):
        await driver.create_volume(ctx, requests.CreateVolume(key=key, size_bytes=MIB))
        await driver.grant(ctx, requests.Grant(volume=key, host="host"))
        handle = await driver.open(ctx, requests.Open(volume=key, host="host"))
        async with open_block_io(handle) as content:
            await content.write_at(4096, key.encode())
            await driver.create_snapshot(ctx, requests.CreateSnapshot(key=f"of {key}", volume=key))
            await content.write_at(8192, b"later")
            await content.flush()
    await driver.revoke(ctx, requests.Revoke(volume="free", host="host"))
    await driver.create_volume(ctx, requests.CreateVolume(key="bare", size_bytes=MIB))


def _part(upload: str, number: int, data: bytes) -> requests.UploadPart:
    return requests.UploadPart(upload=upload, number=number, data=data)


def _complete(upload: str) -> requests.CompleteUpload:
    parts = (_part(upload, 1, b"one"), _part(upload, 2, b"two"))
    references: tuple[PartReference, ...] = tuple(part_of(part) for part in parts)
    return requests.CompleteUpload(
        upload=upload, parts=references, size_bytes=6, sha256=SHA256_OF_ONETWO
    )


SHA256_OF_ONETWO = "25b6746d5172ed6352966a013d93ac846e1110d5a25e8f183b5931f4688842a1"


async def things_in_image(opened: Opened) -> None:
    ctx, driver = context("op-before"), opened.image
    await opened.life_cycle.initialize(ctx, requests.InitializeStore(name="store"))
    for upload, key in (("first", "old"), ("again", "old"), ("open", "new")):
        await driver.start_upload(
            ctx, requests.StartUpload(upload=upload, key=key, kind=ObjectKind.ISO)
        )
        for number, data in ((1, b"one"), (2, b"two"), (3, b"three")):
            await driver.upload_part(ctx, _part(upload, number, data))
        if upload == "first":
            await driver.complete_upload(ctx, _complete(upload))


def _source(source: requests.Source) -> requests.CreateVolume:
    return requests.CreateVolume(key="new", size_bytes=2 * MIB, source=source)


PRIMARY_CALLS: dict[str, Request] = {
    "create": requests.CreateVolume(key="new", size_bytes=MIB),
    "create from snapshot": _source(requests.SnapshotSource("of free")),
    "create from volume": _source(requests.VolumeSource("granted")),
    "delete": requests.DeleteVolume(key="bare"),
    "grow": requests.ResizeVolume(key="free", size_bytes=2 * MIB),
    "shrink": requests.ResizeVolume(key="free", size_bytes=8192, shrink=True),
    "revert": requests.RevertVolume(key="free", snapshot="of free"),
    "snapshot": requests.CreateSnapshot(key="new", volume="granted"),
    "delete snapshot": requests.DeleteSnapshot(key="of free"),
    "grant": requests.Grant(volume="free", host="host"),
    "revoke": requests.Revoke(volume="granted", host="host"),
    "maintain": requests.MaintainStore(),
}
IMAGE_CALLS: dict[str, Request] = {
    "start upload": requests.StartUpload(upload="new", key="new", kind=ObjectKind.ISO),
    "part": _part("open", 4, b"four"),
    "part again": _part("open", 3, b"another three"),
    "complete": _complete("open"),
    "complete over another": _complete("again"),
    "abort": requests.AbortUpload(upload="open"),
    "delete object": requests.DeleteObject(key="old"),
}
CASES = [
    *(Case(name, Role.PRIMARY, made, things_in_primary) for name, made in PRIMARY_CALLS.items()),
    *(Case(name, Role.IMAGE, made, things_in_image) for name, made in IMAGE_CALLS.items()),
    Case("initialize", Role.PRIMARY, requests.InitializeStore(name="new")),
    Case("delete store", Role.IMAGE, requests.DeleteStore(), empty_store),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


class Killer:
    """Records mutations and ends the process without warning before or after one of them."""

    def __init__(self, moment: int, record: Path) -> None:
        self._left = moment
        self._record = record
        self._done: list[Mutation] = []

    def before(self, mutation: Mutation) -> None:  # noqa: ARG002 - the port's name
        self._step()

    def after(self, mutation: Mutation) -> None:
        self._done.append(mutation)
        self._step()

    def _step(self) -> None:
        if self._left == 0:
            self._record.write_bytes(msgspec.msgpack.encode(self._done))
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def killed_at(moment: int, root: Path, case: Case) -> list[Mutation]:
    """Make the call in a process that is killed at one of its moments; what it did until then."""
    record = root.with_suffix(".record")
    child = os.fork()
    if child == 0:
        with observe(Killer(moment, record)):
            run(root, case.role, lambda opened: call(opened, case))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    return msgspec.msgpack.decode(record.read_bytes(), type=list[Mutation])


def temporary(things: list[Inspected]) -> list[Inspected]:
    return [thing for thing in things if thing.kind is OwnedKind.TEMPORARY]


async def _leftovers(opened: Opened, role: Role) -> int:
    driver = opened.primary if role is Role.PRIMARY else opened.image
    stream = driver.enumerate(context(), requests.EnumerateOwned())
    return len([thing async for thing in stream if thing.kind is OwnedKind.TEMPORARY])


def check_converges(root: Path, case: Case, expected: list[Inspected], answer: object) -> None:
    """After a crash: what is left is shown, and the probe is right or a repetition ends it all."""
    left = inventory(root, case.role)
    store_is_there = any(thing.kind is OwnedKind.STORE for thing in left)
    if store_is_there:
        shown = run(root, case.role, lambda opened: _leftovers(opened, case.role))
        assert shown == len(temporary(left))
        probed = run(root, case.role, lambda opened: probe(opened, case))
        if isinstance(probed, Done):
            assert (type(probed.answer), left) == (type(answer), expected)
            return
        assert probed is None or isinstance(probed, Absent | Partial)
        assert not isinstance(probed, Absent) or not temporary(left)
    repeated = run(root, case.role, lambda opened: call(opened, case))
    assert type(repeated) is type(answer)
    assert inventory(root, case.role) == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@each_case
def test_a_kill_at_every_mutation_converges(case: Case, tmp_path: Path) -> None:
    """Killed before or after any mutation, a call that is repeated ends as if nothing had been.

    That holds after a power cut, too, once the repetition (or the probe, where it says that there
    is nothing to repeat) was answered.
    """
    prepare(tmp_path / "before", case)
    copy_tree(tmp_path / "before", tmp_path / "whole")
    answers: list[object] = []
    recorder = Recorder()
    with observe(recorder):
        answers.append(run(tmp_path / "whole", case.role, lambda opened: call(opened, case)))
    expected = inventory(tmp_path / "whole", case.role)
    assert temporary(expected) == []
    for moment in range(2 * len(recorder.mutations)):
        root = tmp_path / f"killed-{moment}"
        scratch = tmp_path / f"scratch-{moment}"
        scratch.mkdir()
        copy_tree(tmp_path / "before", root)
        cut = PowerCut(root, scratch)
        afterwards = Recorder()
        done = killed_at(moment, root, case)
        with observe(afterwards):
            check_converges(root, case, expected, answers[0])
        for mutation in (*done, *afterwards.mutations):
            cut.apply(mutation)
        cut.write_survivors(tmp_path / f"survived-{moment}")
        assert inventory(tmp_path / f"survived-{moment}", case.role) == expected


async def seen(opened: Opened) -> StoreInfo | None:
    """What the store says of itself; ``None`` where it is absent."""
    try:
        return await opened.life_cycle.get(context())
    except NotFound:
        return None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.name in {"initialize", "maintain", "delete store"}],
    ids=lambda case: case.name,
)
def test_what_a_store_says_of_itself_survives_a_power_cut(case: Case, tmp_path: Path) -> None:
    """Whatever a killed call left, what is reported of the store is true after a power cut too."""
    prepare(tmp_path / "before", case)
    copy_tree(tmp_path / "before", tmp_path / "whole")
    recorder = Recorder()
    with observe(recorder):
        run(tmp_path / "whole", case.role, lambda opened: call(opened, case))
    for moment in range(2 * len(recorder.mutations)):
        root, scratch = tmp_path / f"killed-{moment}", tmp_path / f"scratch-{moment}"
        scratch.mkdir()
        copy_tree(tmp_path / "before", root)
        cut, looked = PowerCut(root, scratch), Recorder()
        done = killed_at(moment, root, case)
        with observe(looked):
            found = run(root, case.role, seen)
        for mutation in (*done, *looked.mutations):
            cut.apply(mutation)
        cut.write_survivors(tmp_path / f"survived-{moment}")
        assert run(tmp_path / f"survived-{moment}", case.role, seen) == found


@pytest.mark.slow
@each_case
def test_what_was_answered_survives_a_power_cut(case: Case, tmp_path: Path) -> None:
    """With everything that was not synced gone, an answered call holds, and any other converges."""
    root = tmp_path / "store"
    prepare(root, case)
    (tmp_path / "scratch").mkdir()
    cut = PowerCut(root, tmp_path / "scratch")
    recorder = Recorder()
    with observe(recorder):
        answer = run(root, case.role, lambda opened: call(opened, case))
    expected = inventory(root, case.role)
    root.rename(tmp_path / "whole")
    for mutation in recorder.mutations:
        cut.write_survivors(root)
        check_converges(root, case, expected, answer)
        shutil.rmtree(root)
        cut.apply(mutation)
    cut.write_survivors(root)
    assert inventory(root, case.role) == expected


@pytest.mark.slow
def test_flushed_blocks_survive_a_power_cut(tmp_path: Path) -> None:
    """What was flushed through a handle is there after a cut, and what was not may be lost."""
    root = tmp_path / "store"
    root.mkdir()
    run(root, Role.PRIMARY, things_in_primary)
    (tmp_path / "scratch").mkdir()
    cut, recorder = PowerCut(root, tmp_path / "scratch"), Recorder()

    async def write(opened: Opened) -> str:
        request = requests.Open(volume="granted", host="host")
        async with open_block_io(await opened.primary.open(context(), request)) as content:
            await content.write_at(0, b"flushed")
            await content.flush()
            digest = await content_digest(content)
            await content.write_at(0, b"lost")
            return digest

    with observe(recorder):
        digest = run(root, Role.PRIMARY, write)
    for mutation in recorder.mutations:
        cut.apply(mutation)
    cut.write_survivors(tmp_path / "left")
    volumes = [
        thing for thing in inventory(tmp_path / "left", Role.PRIMARY) if thing.key == "granted"
    ]
    assert [thing.digest for thing in volumes if thing.kind is OwnedKind.VOLUME] == [digest]
