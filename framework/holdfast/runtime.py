"""The one source of time, randomness, new ids and blocking work; the framework and drivers use no
other.

The runtime travels in a context variable, so that the same code runs in real time and in virtual
time.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


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


class RealRuntime(Runtime):
    """Real time: threads for blocking work, the system's entropy for ids.

    Args:
        seed: fixes the random numbers and ids; ``None`` takes the system's entropy.
        threads: how many blocking calls may run at once.
    """

    def __init__(self, *, seed: int | None = None, threads: int = 8) -> None:
        self.random = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="holdfast")

    def wall_clock(self) -> float:
        import time  # noqa: PLC0415 - the only place that may read the clock

        return time.time()

    async def run_blocking(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))


class InlineRuntime(Runtime):
    """Virtual time: blocking work runs inline, ids and random numbers come from the seed."""

    def __init__(self, *, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311

    def wall_clock(self) -> float:
        return self.now()

    async def run_blocking(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        await asyncio.sleep(0)
        return function(*args, **kwargs)


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
