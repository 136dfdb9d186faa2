"""A runtime as a testbed may bring one: virtual time, and lanes in which work takes time."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from holdfast.concurrency.lanes import Lane
from holdfast_simulator.loop import VirtualRuntime

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 1.0


class Disk(Lane):
    """Each piece of work takes a second, one after another."""

    def __init__(self) -> None:
        self.works = 0
        self.closed = False
        self._turn = asyncio.Lock()

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._turn:
            await asyncio.sleep(SECONDS)
            self.works += 1
            return function(*args, **kwargs)

    def close(self) -> None:
        self.closed = True


class SlowDisks(VirtualRuntime):
    """Every lane is a disk."""

    def __init__(self, *, seed: int) -> None:
        super().__init__(seed=seed)
        self.lanes: list[Disk] = []

    def open_lane(self, threads: int = 1) -> Lane:
        del threads
        self.lanes.append(Disk())
        return self.lanes[-1]
