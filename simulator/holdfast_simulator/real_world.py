"""What must not be reached from virtual time: threads, sockets, processes, real clocks, real waits.

Python's own audit events tell of sockets and processes. Functions for the others are replaced
while a virtual loop runs, and refuse only the thread it is in. A library that stamps its
log lines may look at a clock, this project's code may not.
"""

import _thread
import inspect
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NoReturn

from holdfast.contract.errors import HoldfastError

_FORBIDDEN_EVENTS = {
    "os.fork": "a process",
    "os.posix_spawn": "a process",
    "socket.__new__": "a socket",
    "subprocess.Popen": "a process",
}
_CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")
_DOORS = (
    (time, "sleep", "a real wait"),
    (_thread, "start_new_thread", "a thread"),
    (threading, "_start_new_thread", "a thread"),
)
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib"))


class RealWorldReached(HoldfastError):
    """Something in virtual time reached for a thread, a socket, a process or a real clock."""


def forbidden(what: str) -> NoReturn:
    """Refuse ``what``."""
    raise RealWorldReached(
        f"{what} was asked for in virtual time, where there is none; "
        "go through holdfast.concurrency.runtime.runtime()"
    )


_guards: list[Callable[[], bool]] = []


def watch(inside: Callable[[], bool]) -> None:
    """From now on refuse whatever ``inside`` says happens in virtual time; audit hooks stay."""
    if not _guards:
        sys.addaudithook(_audit)
    if inside not in _guards:
        _guards.append(inside)


def _audit(event: str, _arguments: tuple[Any, ...]) -> None:
    what = _FORBIDDEN_EVENTS.get(event)
    if what is not None and any(inside() for inside in _guards):
        forbidden(what)


def _asked_by_us() -> bool:
    """Whether the caller of a clock is this project's code, or a test's."""
    here = inspect.currentframe()
    caller = here and here.f_back and here.f_back.f_back
    if caller is None:
        return False
    module = str(caller.f_globals.get("__name__", ""))
    return module.startswith("holdfast") or not caller.f_code.co_filename.startswith(_LIBRARIES)


def _clock(name: str, inside: Callable[[], bool]) -> Callable[[], float]:
    real: Callable[[], float] = getattr(time, name)

    def clock() -> float:
        if inside() and _asked_by_us():
            forbidden(f"the real clock time.{name}")
        return real()

    return clock


def _door(module: ModuleType, name: str, what: str, inside: Callable[[], bool]) -> Any:
    real = getattr(module, name)

    def door(*args: Any, **kwargs: Any) -> Any:
        if inside():
            forbidden(what)
        return real(*args, **kwargs)

    return door


@contextmanager
def doors_closed(inside: Callable[[], bool]) -> Iterator[None]:
    """While ``inside`` is true, refuse real clocks to this project's code, and waits and threads to
    everybody.
    """
    replaced: list[tuple[ModuleType, str, Any]] = [
        (time, name, _clock(name, inside)) for name in _CLOCKS
    ]
    replaced += [(module, name, _door(module, name, what, inside)) for module, name, what in _DOORS]
    real = [getattr(module, name) for module, name, _ in replaced]
    for module, name, instead in replaced:
        setattr(module, name, instead)
    try:
        yield
    finally:
        for (module, name, _), was in zip(replaced, real, strict=True):
            setattr(module, name, was)
