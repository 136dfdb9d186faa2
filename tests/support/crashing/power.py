"""Power cuts: what was not synced is gone, and recovery must hold on what is left.

One run of the demo is recorded: each mutation of a file, each promise, and the catalogue's files as
each commit left them (SQLite syncs them itself). The record is then replayed, and at each fsync and
commit the tree is rebuilt from what had been synced, in the same place, recovered and looked at.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from crashing.looking import Seen
from crashing.playing import SEED, in_child, look_in_child
from holdfast.catalogue import observer as commits
from holdfast.cli.demo import run_demo
from holdfast.concurrency.runtime import RealRuntime, use_runtime
from holdfast.demo import acknowledgement
from holdfast.demo.acknowledgement import Promise
from holdfast.demo.play import CATALOGUE
from holdfast.files import mutations
from holdfast.files.mutations import Mutation, MutationKind
from holdfast_conformance.power_cut import PowerCut

_ENDINGS = ("", "-wal")


class Mutated(msgspec.Struct, frozen=True, tag="mutated"):
    """A file or folder was changed."""

    mutation: Mutation


class Committed(msgspec.Struct, frozen=True, tag="committed"):
    """The catalogue is durable as it is; its files were kept under this number."""

    number: int


class Promised(msgspec.Struct, frozen=True, tag="promised"):
    """The demo acknowledged something."""

    promise: Promise


Event = Mutated | Committed | Promised


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """A power cut, and what recovery made of it."""

    after: str
    seen: Seen


class _Record:
    """Keeps the events of a run, and copies of the catalogue's files."""

    def __init__(self, folder: Path, kept: Path) -> None:
        self.events: list[Event] = []
        self._folder = folder
        self._kept = kept

    def before(self, mutation: Mutation | None = None) -> None:
        """Nothing has changed yet."""

    def after(self, mutation: Mutation | None = None) -> None:
        """A mutation, or a commit, is done."""
        if mutation is not None:
            self.events.append(Mutated(mutation))
            return
        number = len(self.events)
        for ending in _ENDINGS:
            source = self._folder / f"{CATALOGUE}{ending}"
            if source.exists():
                shutil.copyfile(source, self._kept / f"{number}{ending}")
        self.events.append(Committed(number))

    def said(self, promise: Promise) -> None:
        """The demo acknowledged something."""
        self.events.append(Promised(promise))


def record(folder: Path, image: Path, kept: Path, log: Path) -> list[Event]:
    """Play the demo to its end and keep everything that happened."""
    answer = kept / "events"

    def work() -> None:
        events = _Record(folder, kept)
        with (
            use_runtime(RealRuntime(seed=SEED)),
            mutations.observe(events),
            commits.observe(events),
            acknowledgement.observe(events.said),
        ):
            run_demo(image=image, directory=folder)
        answer.write_bytes(msgspec.msgpack.encode(events.events))

    _, status = os.waitpid(in_child(work, log), 0)
    assert status == 0, log.read_text()
    return msgspec.msgpack.decode(answer.read_bytes(), type=list[Event])


class _Replay:
    """The tree and the promises as of each event of a record, in the folders of a workplace."""

    def __init__(self, workplace: Path, image: Path) -> None:
        self._stage, self._kept, scratch = (
            workplace / name for name in ("stage", "kept", "scratch")
        )
        for folder in (self._stage, self._kept, scratch):
            folder.mkdir()
        self.demo = self._stage / "demo"
        self.events = record(self.demo, image, self._kept, workplace / "log")
        shutil.rmtree(self._stage)
        self._stage.mkdir()
        self._power = PowerCut(self._stage, scratch)
        self._committed = -1
        self.promises: list[Promise] = []

    def do(self, event: Event) -> str:
        """Repeat an event; what it made durable, or nothing."""
        match event:
            case Mutated(mutation=mutation):
                self._power.apply(mutation)
                if mutation.kind in (MutationKind.FSYNC_FILE, MutationKind.FSYNC_DIRECTORY):
                    return f"{mutation.kind} {Path(mutation.path).relative_to(self._stage)}"
            case Committed(number=number):
                self._committed = number
                return f"commit {number}"
            case Promised(promise=promise):
                self.promises.append(promise)
        return ""

    def cut(self) -> None:
        """Leave on the stage what survives a power cut now."""
        shutil.rmtree(self._stage)
        self._power.write_survivors(self._stage)
        for ending in _ENDINGS:
            source = self._kept / f"{self._committed}{ending}"
            if source.exists() and self.demo.exists():
                shutil.copyfile(source, self.demo / f"{CATALOGUE}{ending}")


def power_cuts(
    workplace: Path, image: Path, *, every: int, never: Collection[MutationKind] = ()
) -> Iterator[Cut]:
    """Cut the power after each fsync and each commit of a demo (or after every n-th of them).

    ``never`` names kinds of fsync that are taken not to have happened: to see that it would show.
    """
    replay = _Replay(workplace, image)
    durable, count = "", 0
    answer, log = workplace / "seen", workplace / "log"
    for event in [*replay.events, None]:
        # What is promised after a sync and before the next one must survive a cut between them.
        if durable and not isinstance(event, Promised):
            if count % every == 0:
                replay.cut()
                seen = look_in_child(replay.demo, replay.promises, answer=answer, log=log)
                yield Cut(after=durable, seen=seen)
            count += 1
            durable = ""
        if isinstance(event, Mutated) and event.mutation.kind in never:
            continue
        if event is not None:
            durable = replay.do(event) or durable
