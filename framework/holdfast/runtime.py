"""The one source of time, randomness, new ids and blocking work; the framework and drivers use no
other.

The runtime travels in a context variable, so that the same code runs in real time and in virtual
time.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Lane(ABC):
    """A place for blocking work that runs one call after another, apart from all other work."""

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


class _ThreadLane(Lane):
    """Runs everything in one thread of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="holdfast-lane")

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in the thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Let the thread end with what it was given."""
        self._thread.shutdown(wait=False)


class Runtime(ABC):
    """What an orchestrator's surroundings provide."""

    random: random.Random

    def now(self) -> float:
        """Seconds on the running loop's clock: monotonic, of arbitrary origin."""
        return asyncio.get_running_loop().time()

    @abstractmethod
    def wall_clock(self) -> float:
        """Seconds since the epoch, for people's eyes only."""

    def new_id(self, prefix: str) -> str:
        """A new opaque id, ``prefix-`` and 16 hexadecimal digits."""
        return f"{prefix}-{self.random.getrandbits(64):016x}"

    @abstractmethod
    async def run_blocking(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run blocking work: in a thread in real time, inline in virtual time."""

    @abstractmethod
    async def drained(self) -> None:
        """Return when the blocking work that is under way now has ended.

        A caller that is cancelled, or gives up, leaves its work running; this waits for it.
        """

    @abstractmethod
    def open_lane(self) -> Lane:
        """A lane of its own for one owner's blocking work: other work never delays it."""


class RealRuntime(Runtime):
    """Real time: threads for blocking work, the system's entropy for ids.

    Args:
        seed: fixes the random numbers and ids; ``None`` takes the system's entropy.
        threads: how many blocking calls may run at once.
    """

    def __init__(self, *, seed: int | None = None, threads: int = 8) -> None:
        self.random = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="holdfast")
        self._under_way: set[Future[Any]] = set()

    def wall_clock(self) -> float:
        """The system's clock."""
        import time  # noqa: PLC0415 - the only place that may read the clock

        return time.time()

    async def run_blocking(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run it in one of the threads."""
        work = self._threads.submit(lambda: function(*args, **kwargs))
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        return await asyncio.wrap_future(work)

    async def drained(self) -> None:
        """Wait for the threads that work now."""
        waited = [asyncio.wrap_future(work) for work in self._under_way.copy()]
        await asyncio.gather(*waited, return_exceptions=True)

    def open_lane(self) -> Lane:
        """A thread."""
        return _ThreadLane()


class InlineRuntime(Runtime):
    """Virtual time: blocking work runs inline, ids and random numbers come from the seed."""

    def __init__(self, *, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducible, not secret

    def wall_clock(self) -> float:
        """The loop's clock: virtual time starts at the epoch."""
        return self.now()

    async def run_blocking(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run it now, after one turn of the loop."""
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    async def drained(self) -> None:
        """Nothing is ever under way."""

    def open_lane(self) -> Lane:
        """A lane that runs inline."""
        return InlineLane()


_current: ContextVar[Runtime] = ContextVar("holdfast_runtime")
_default: list[Runtime] = []


def runtime() -> Runtime:
    """The runtime of this context: the one that ``use_runtime`` set, else one real runtime for the
    process.
    """
    found = _current.get(None)
    if found is not None:
        return found
    if not _default:
        _default.append(RealRuntime())
    return _default[0]


@contextmanager
def use_runtime(chosen: Runtime) -> Iterator[Runtime]:
    """Make ``chosen`` the runtime of everything that starts inside the context."""
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)
