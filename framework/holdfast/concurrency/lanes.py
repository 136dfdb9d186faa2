"""Lanes: threads of their own for one owner's blocking work, so that what is stuck in one delays no
other.

The lane of a store travels in a context variable: whatever its driver gives to ``run_blocking`` or
``asyncio.to_thread`` runs in it. A runtime decides what its lanes are: threads in real time, in
virtual time whatever takes as long as it is to take.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, Token
from typing import Final, ParamSpec, TypeVar

from holdfast.concurrency.late_calls import may_still_act

P = ParamSpec("P")
T = TypeVar("T")

STORE_THREADS: Final = 4
"""How many blocking calls may run at once in one store."""


class Lane(ABC):
    """A place for blocking work, apart from all other work; one call after another, unless it was
    opened with several threads.
    """

    @abstractmethod
    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work after all that was given to this lane before."""

    @abstractmethod
    def close(self) -> None:
        """Take no more work; what was begun is finished."""


class InlineLane(Lane):
    """Runs everything inline, after one turn of the loop."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it now."""
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    def close(self) -> None:
        """Nothing is held."""


class ThreadLane(Lane):
    """Runs everything in threads of its own, which are made when they are needed."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="holdfast-lane")
        # For what is given to the loop's threads, which may wait in turn for work in the others.
        self.loop_threads = ThreadPoolExecutor(threads, thread_name_prefix="holdfast-lane-loop")

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in a thread."""
        work = self.threads.submit(lambda: function(*args, **kwargs))
        may_still_act(work)
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Let the threads end with what they were given."""
        self.threads.shutdown(wait=False)
        self.loop_threads.shutdown(wait=False)


_lane: ContextVar[Lane | None] = ContextVar("holdfast_lane", default=None)


def lane() -> Lane | None:
    """The lane of this context, if it has one."""
    return _lane.get()


def enter_lane(chosen: Lane | None) -> "Token[Lane | None]":
    """Begin what ``in_lane`` does, where every object counts; ``leave_lane`` ends it."""
    return _lane.set(chosen)


def leave_lane(token: "Token[Lane | None]") -> None:
    """End what ``enter_lane`` began."""
    _lane.reset(token)


class in_lane:  # noqa: N801 - used like a function; as a generator it would cost more
    """Run the blocking work of this context in a lane; ``None`` is the threads all others share."""

    __slots__ = ("_chosen", "_token")

    def __init__(self, chosen: Lane | None) -> None:
        self._chosen = chosen

    def __enter__(self) -> None:
        self._token = _lane.set(self._chosen)

    def __exit__(self, *_: object) -> None:
        _lane.reset(self._token)
