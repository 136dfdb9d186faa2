"""Linux process facilities that keep a driver's processes from outliving a run."""

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STARTING_SCANS_MAX = 20
_STARTING_S = 0.001
RUN_VARIABLE = "HOLDFAST_RUN"
"""The environment variable that marks every process of a run, whatever becomes of its parents."""


def backend_mark(run: str) -> str:
    """What marks the processes of a run's testbed: they outlive a worker that is ended."""
    return f"{run}-backend"


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the process ``parent``, which started it, is gone."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # The parent was already gone when the request was made.
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Have orphaned descendants become children of this process, where they can be ended."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def processes_of(run: str) -> tuple[int, ...]:
    """The processes that carry this run's mark, this one excepted."""
    mark = f"{RUN_VARIABLE}={run}".encode()
    environments: dict[int, bytes] = {}
    for _ in range(_STARTING_SCANS_MAX):
        environments = dict(_environments())
        if all(environments.values()):
            break
        time.sleep(_STARTING_S)
    return tuple(pid for pid, found in environments.items() if mark in found.split(b"\0"))


def _environments() -> Iterator[tuple[int, bytes]]:
    """Each other process with its environment, empty only for the instant in which it starts."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            entry.joinpath("exe").readlink()  # which neither kernel threads nor zombies have
            yield int(entry.name), entry.joinpath("environ").read_bytes()
        except OSError:
            continue  # It ended meanwhile, or belongs to someone else.


def children() -> tuple[int, ...]:
    """The children of this process, adopted ones included."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        try:
            found.extend(map(int, (task / "children").read_text().split()))
        except OSError:
            continue  # The thread ended meanwhile.
    return tuple(found)


def end_processes(run: str, spared: frozenset[int] = frozenset()) -> int:
    """Kill and reap every process that carries the run's mark; how many there were."""
    ended: set[int] = set()
    while remaining := set(processes_of(run)) - spared - ended:
        for pid in remaining:
            _kill(pid)
            ended.add(pid)
    for pid in ended & set(children()):
        _reap(pid)
    return len(ended)


def end_adopted(own: frozenset[int]) -> None:
    """Kill and reap the children that this process adopted; ``own`` are those it started.

    A child that shares this process's session was started here, whoever asked for it.
    """
    while adopted := [pid for pid in children() if pid not in own and _is_apart(pid)]:
        for pid in adopted:
            _kill(pid)
            _reap(pid)


def _is_apart(pid: int) -> bool:
    try:
        return os.getsid(pid) != os.getsid(0)
    except ProcessLookupError:
        return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return
