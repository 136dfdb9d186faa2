"""``holdfast demo`` in a process of its own that may die any moment; and who records its word."""

import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from crashing.looking import Seen, command, recover_and_look
from crashing.points import Point, Points, Said, Told
from holdfast.cli.demo import run_demo
from holdfast.cli.recover import run_recover
from holdfast.concurrency.runtime import RealRuntime, use_runtime
from holdfast.demo.acknowledgement import Promise
from holdfast.demo.play import CATALOGUE

SEED = 20
"""Of the demo's ids: the points of two runs are the same."""

_told = msgspec.json.Decoder(Told)


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """So long after the demo said something for the n-th time: its progress, not its speed."""

    lines: int
    seconds: float


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What the recorder knows of one run of the demo."""

    status: int
    """The exit code, or minus the signal."""
    points: tuple[Point, ...]
    promises: tuple[Promise, ...]
    seconds: float


def in_child(work: Callable[[], None], log: Path) -> int:
    """Fork, and do the work in the child; the child's process id. What it prints goes to a file."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - the child ends here, whatever it was
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def play(
    folder: Path, image: Path, log: Path, *, kill_at: int = -1, moment: Moment | None = None
) -> Played:
    """Play the demo, kill it at a point or a moment, and say what it had acknowledged."""
    reading, writing = os.pipe()

    def work() -> None:
        os.close(reading)
        with (
            use_runtime(RealRuntime(seed=SEED)),
            Points(folder, writing, kill_at).observing(),
        ):
            run_demo(image=image, directory=folder)

    started = time.monotonic()
    child = in_child(work, log)
    os.close(writing)
    told = _record(reading, child, moment)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    lines = [_told.decode(line) for line in told.splitlines()]
    return Played(
        status=os.waitstatus_to_exitcode(status),
        points=tuple(one for one in lines if isinstance(one, Point)),
        promises=tuple(one.promise for one in lines if isinstance(one, Said)),
        seconds=time.monotonic() - started,
    )


def _record(reading: int, child: int, moment: Moment | None) -> bytes:
    """All that the child says until it is dead; it is killed at its moment."""
    deadline: float | None = None
    told = bytearray()
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([reading], [], [], left)
        if not ready:
            os.killpg(child, signal.SIGKILL)
            deadline = moment = None
            continue
        data = os.read(reading, 65536)
        if not data:
            return bytes(told)
        told += data
        if moment is not None and deadline is None and told.count(b"\n") > moment.lines:
            deadline = time.monotonic() + moment.seconds


def recover_and_die(folder: Path, log: Path, *, kill_at: int) -> None:
    """Recover, and be killed at a point of that, where it has so many."""
    reading, writing = os.pipe()

    def work() -> None:
        os.close(reading)
        with Points(folder, writing, kill_at).observing():
            command(run_recover, folder / CATALOGUE)

    child = in_child(work, log)
    os.close(writing)
    _record(reading, child, None)
    os.close(reading)
    os.waitpid(child, 0)


def look_in_child(folder: Path, promises: Sequence[Promise], *, answer: Path, log: Path) -> Seen:
    """Recover and look in a process of its own, which knows nothing of the one that died."""

    def work() -> None:
        answer.write_bytes(msgspec.json.encode(recover_and_look(folder, promises)))

    _, status = os.waitpid(in_child(work, log), 0)
    if status != 0:
        return Seen(problems=(f"recovery died: {log.read_text()}",))
    seen = msgspec.json.decode(answer.read_bytes(), type=Seen)
    answer.unlink()
    return seen
