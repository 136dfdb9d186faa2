"""The moments of a demo at which it can be killed, told to the recorder before the demo goes on."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from holdfast.catalogue import observer as commits
from holdfast.demo import acknowledgement
from holdfast.demo.acknowledgement import Promise
from holdfast.files import mutations
from holdfast.files.mutations import Mutation


class Point(msgspec.Struct, frozen=True, kw_only=True, tag="point"):
    """A moment before or after a mutation of a file or a commit of the catalogue."""

    number: int
    what: str
    where: str = ""


class Said(msgspec.Struct, frozen=True, kw_only=True, tag="said"):
    """The demo acknowledged something."""

    promise: Promise


Told = Point | Said


class Points:
    """Numbers the points, tells the recorder of each, and ends the process at one of them.

    Args:
        recorder: a pipe; what was written to it survives the writer.
        kill_at: the number of the point at which to die, or -1.
    """

    def __init__(self, folder: Path, recorder: int, kill_at: int) -> None:
        self._folder = folder
        self._recorder = recorder
        self._kill_at = kill_at
        self._number = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def observing(self) -> Iterator[None]:
        """Be told of everything inside the context."""
        with (
            mutations.observe(_Mutations(self)),
            commits.observe(_Commits(self)),
            acknowledgement.observe(self._said),
        ):
            yield

    def reach(self, what: str, where: str = "") -> None:
        """The process is at a point; it may be its last."""
        with self._lock:
            where = where.removeprefix(f"{self._folder}/")
            self._tell(Point(number=self._number, what=what, where=where))
            if self._number == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            self._number += 1

    def _said(self, promise: Promise) -> None:
        with self._lock:
            self._tell(Said(promise=promise))

    def _tell(self, told: Told) -> None:
        line = msgspec.json.encode(told) + b"\n"
        assert os.write(self._recorder, line) == len(line)


class _Mutations:
    def __init__(self, points: Points) -> None:
        self._points = points

    def before(self, mutation: Mutation) -> None:
        self._points.reach(f"before {mutation.kind}", mutation.path)

    def after(self, mutation: Mutation) -> None:
        self._points.reach(f"after {mutation.kind}", mutation.path)


class _Commits:
    def __init__(self, points: Points) -> None:
        self._points = points

    def before(self) -> None:
        self._points.reach("before commit")

    def after(self) -> None:
        self._points.reach("after commit")
