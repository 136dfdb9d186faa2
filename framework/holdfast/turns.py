"""Turns: one piece of work at a time on each row, until its last call can act no more.

A turn is the right to work on a row. It ends when the work does, unless a call that the work gave
up may still act: then whoever comes next waits for that call, and is told where it takes too long.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from holdfast.errors import Busy
from holdfast.runtime import runtime
from holdfast.under_way import UnderWay


class Turns:
    """The turns on the rows of one catalogue; taken in order of ids, so that nobody deadlocks.

    Args:
        patience_s: how long one who has a turn waits for calls from before.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}
        self._late: dict[str, tuple[str, list[UnderWay]]] = {}

    @asynccontextmanager
    async def take(self, ids: Sequence[str]) -> AsyncIterator[None]:
        """Hold the turns on these rows.

        Raises:
            Busy: a call that was given up may still act on one of them; nothing was done.
        """
        async with AsyncExitStack() as held:
            for row in sorted(set(ids)):
                self._users[row] = self._users.get(row, 0) + 1
                held.callback(self._leave, row)
                await held.enter_async_context(self._locks.setdefault(row, asyncio.Lock()))
            if self._late:
                await self._quiet(ids)
            yield

    async def _quiet(self, ids: Sequence[str]) -> None:
        self._forget_ended()
        until = runtime().now() + self._patience_s
        for row in ids:
            operation, calls = self._late.get(row, ("", []))
            for one in calls:
                if not await one.ended(until):
                    raise Busy(
                        f"a call of operation {operation} was given up and may still act on it; "
                        "try again when that call has ended",
                        object=row,
                    )

    def keep(self, ids: Iterable[str], operation: str, calls: Sequence[UnderWay]) -> None:
        """Let the next turn on these rows begin when these calls have ended; while holding them."""
        self._forget_ended()
        for row in ids:
            before = self._late.get(row, ("", []))[1]
            self._late[row] = (operation, [*before, *calls])

    def _forget_ended(self) -> None:
        for row, (operation, calls) in list(self._late.items()):
            pending = [one for one in calls if one.pending]
            if pending:
                self._late[row] = (operation, pending)
            else:
                del self._late[row]

    def _leave(self, row: str) -> None:
        self._users[row] -= 1
        if not self._users[row]:
            del self._users[row], self._locks[row]
