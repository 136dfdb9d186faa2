"""The one source of time, randomness, new ids and blocking work; the framework and drivers use no
other.

The runtime travels in a context variable, so that the same code runs in real time and in virtual
time.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, ParamSpec, TypeVar
from weakref import WeakSet

from holdfast.concurrency.lanes import InlineLane, Lane, ThreadLane, lane
from holdfast.concurrency.late_calls import UnderWay, may_still_act, watched, watching

__all__ = [
    "InlineLane",
    "InlineRuntime",
    "Lane",
    "RealRuntime",
    "Runtime",
    "UnderWay",
    "may_still_act",
    "run_in",
    "runtime",
    "use_runtime",
    "watched",
    "watching",
]

P = ParamSpec("P")
T = TypeVar("T")


class Runtime(ABC):
    """What an orchestrator's surroundings provide."""

    random: random.Random
    is_virtual: ClassVar[bool] = False
    """Whether its loop's clock jumps, so that neither descriptors nor signals wake it."""

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """A loop for ``run_in``, on which this runtime's time passes: by default real time."""
        return asyncio.new_event_loop()

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
        """Run blocking work: in a thread in real time, inline in virtual time.

        Where the context names a lane (``holdfast.concurrency.lanes``), that lane runs it. Who
        watches the context (``watching``) knows of the work until its thread returned.
        """

    @abstractmethod
    async def drained(self) -> None:
        """Return when the blocking work that is under way now has ended.

        A caller that is cancelled, or gives up, leaves its work running; this waits for it.
        """

    @abstractmethod
    def open_lane(self, threads: int = 1) -> Lane:
        """A lane of its own for one owner's blocking work: other work never delays it.

        What a lane is, is the runtime's affair.
        """

    @abstractmethod
    def adopt_loop(self) -> None:
        """Treat what the running loop has for blocking work (``asyncio.to_thread``) like this
        runtime's own: in the context's lane, watched, and waited for by ``drained``.
        """


class RealRuntime(Runtime):
    """Real time: threads for blocking work, the system's entropy for ids.

    Args:
        seed: fixes the random numbers and ids; ``None`` takes the system's entropy.
        threads: how many blocking calls may run at once.
    """

    def __init__(self, *, seed: int | None = None, threads: int = 8) -> None:
        self.random = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="holdfast")
        self._under_way = UnderWay()
        self._adopted: WeakSet[asyncio.AbstractEventLoop] = WeakSet()

    def wall_clock(self) -> float:
        """The system's clock."""
        import time  # noqa: PLC0415 - the only place that may read the clock

        return time.time()

    async def run_blocking(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run it in one of the threads."""
        chosen = lane()
        if chosen is not None and not isinstance(chosen, ThreadLane):
            return await chosen.run(function, *args, **kwargs)
        threads = chosen.threads if isinstance(chosen, ThreadLane) else self._threads
        work = self._noted(threads.submit(lambda: function(*args, **kwargs)))
        return await asyncio.wrap_future(work)

    def _noted(self, work: Future[T]) -> Future[T]:
        self._under_way.add(work)
        may_still_act(work)
        return work

    async def drained(self) -> None:
        """Wait for the threads that work now."""
        await self._under_way.now().ended()

    def open_lane(self, threads: int = 1) -> Lane:
        """Threads, made on demand."""
        return ThreadLane(threads)

    def adopt_loop(self) -> None:
        """Give the loop an executor of this runtime."""
        loop = asyncio.get_running_loop()
        if loop not in self._adopted:
            self._adopted.add(loop)
            loop.set_default_executor(_Adopted(self._noted))


class _Adopted(ThreadPoolExecutor):
    """A loop's own threads, whose work is noted as a runtime's is."""

    def __init__(self, noted: Callable[[Future[Any]], Future[Any]]) -> None:
        super().__init__(thread_name_prefix="holdfast-loop")
        self._noted = noted

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run it in the context's lane, or here."""
        chosen = lane()
        if isinstance(chosen, ThreadLane):
            return self._noted(chosen.loop_threads.submit(fn, *args, **kwargs))
        return self._noted(super().submit(fn, *args, **kwargs))


class InlineRuntime(Runtime):
    """Virtual time: blocking work runs inline, ids and random numbers come from the seed."""

    def __init__(self, *, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._inline = InlineLane()

    def wall_clock(self) -> float:
        """The loop's clock: virtual time starts at the epoch."""
        return self.now()

    async def run_blocking(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run it in the context's lane, or now, after one turn of the loop."""
        chosen = lane() or self._inline
        return await chosen.run(function, *args, **kwargs)

    async def drained(self) -> None:
        """Nothing is ever under way."""

    def open_lane(self, threads: int = 1) -> Lane:
        """A lane that runs inline."""
        del threads
        return InlineLane()

    def adopt_loop(self) -> None:
        """A loop in virtual time has no threads."""


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


def run_in(chosen: Runtime, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a runtime, on a new loop of it; its result."""

    async def inside() -> T:
        with use_runtime(chosen):
            return await main

    with asyncio.Runner(loop_factory=chosen.new_loop) as runner:
        return runner.run(inside())
