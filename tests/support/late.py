"""Calls that are stuck and act late: what became of who waits for them does not stop them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from holdfast.errors import DriverError
from zones import Faults, Planned


class Stuck:
    """A call that acts when it is let go, like a thread that nobody can stop."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()
        self._act: asyncio.Task[Any] | None = None

    async def make(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Wait for the end of the act, which goes on when this is cancelled."""

        async def act() -> Any:
            self.begun.set()
            await self.let_go.wait()
            return await call()

        self._act = asyncio.create_task(act())
        self._act.add_done_callback(lambda act: act.exception())
        return await asyncio.shield(self._act)

    async def end(self) -> None:
        """Let it go, and wait until it has acted, however that ends."""
        self.let_go.set()
        if self._act is not None:
            await asyncio.wait([self._act])


class LateFaults(Faults):
    """The ``number``-th call (probes are calls too) is stuck; the one before gets an error."""

    def __init__(self, number: int, stuck: Stuck, error: DriverError | None = None) -> None:
        super().__init__()
        self._number = number
        self._stuck = stuck
        self._error = error

    def due(self, verb: str) -> Planned | None:
        super().due(verb)
        position = len(self.log)
        if position == self._number - 1 and self._error is not None:
            return Planned(call=position, error=self._error)
        if position == self._number:
            return Planned(call=position, stuck=self._stuck.make)
        return None
