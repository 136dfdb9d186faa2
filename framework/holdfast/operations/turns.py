"""Turns: who may work on a row, and who may only read it, until the last call can act no more.

A turn is the right to work on a row alone, or to read it beside others. It ends when the work does,
unless a call that the work gave up may still act: then whoever comes next and is not to meet that
call waits for it, and is told where it takes too long.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from holdfast.concurrency.late_calls import UnderWay
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import Busy


class Hold(msgspec.Struct, frozen=True):
    """A row that work needs: for itself, or ``shared`` with others that change nothing of it."""

    row: str
    shared: bool = False


class _Late(msgspec.Struct, frozen=True):
    """Calls that an operation gave up, and that may still act on a row or read it."""

    operation: str
    shared: bool
    calls: tuple[UnderWay, ...]


class Turns:
    """The turns on the rows of one catalogue; taken in order of ids, so that nobody deadlocks.

    Args:
        patience_s: how long one who has a turn waits for calls from before.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._turns: dict[str, _Turn] = {}
        self._users: dict[str, int] = {}
        self._late: dict[str, list[_Late]] = {}

    @asynccontextmanager
    async def take(self, holds: Sequence[Hold]) -> AsyncIterator[None]:
        """Hold the turns on these rows, all or none.

        Raises:
            Busy: a call that was given up may still act on one of them; nothing was done.
        """
        wanted = _strongest(holds)
        async with AsyncExitStack() as held:
            for row, shared in sorted(wanted.items()):
                self._users[row] = self._users.get(row, 0) + 1
                held.callback(self._leave, row)
                turn = self._turns.setdefault(row, _Turn())
                await turn.acquire(shared=shared)
                held.callback(turn.release)
            if self._late:
                await self._quiet(wanted)
            yield

    async def _quiet(self, wanted: dict[str, bool]) -> None:
        self._forget_ended()
        until = runtime().now() + self._patience_s
        for row, shared in wanted.items():
            for late in self._late.get(row, ()):
                if shared and late.shared:
                    continue  # two that only read do not meet
                for one in late.calls:
                    if not await one.ended(until):
                        raise Busy(
                            f"a call of operation {late.operation} was given up and may still act "
                            "on it; try again when that call has ended",
                            object=row,
                        )

    def keep(self, holds: Iterable[Hold], operation: str, calls: Sequence[UnderWay]) -> None:
        """Let the next turn on these rows begin when these calls have ended; while holding them."""
        self._forget_ended()
        for row, shared in _strongest(holds).items():
            late = _Late(operation, shared, tuple(calls))
            self._late.setdefault(row, []).append(late)

    def _forget_ended(self) -> None:
        for row, kept in list(self._late.items()):
            pending = [late for late in kept if any(one.pending for one in late.calls)]
            if pending:
                self._late[row] = pending
            else:
                del self._late[row]

    def _leave(self, row: str) -> None:
        self._users[row] -= 1
        if not self._users[row]:
            del self._users[row], self._turns[row]


def _strongest(holds: Iterable[Hold]) -> dict[str, bool]:
    """Each row once, and whether it is only shared: who needs a row for itself may read it, too."""
    wanted: dict[str, bool] = {}
    for hold in holds:
        wanted[hold.row] = wanted.get(hold.row, True) and hold.shared
    return wanted


class _Turn:
    """The turn on one row: one holder, or several that share it; first come, first served.

    One who wants the row alone is not overtaken by those who share it: else many readers after each
    other would keep a deletion waiting for ever.
    """

    def __init__(self) -> None:
        self._holders = 0
        self._shared = False
        self._queue: deque[tuple[asyncio.Future[None], bool]] = deque()

    async def acquire(self, *, shared: bool) -> None:
        """Wait for the turn."""
        if not self._queue and self._admits(shared):
            self._enter(shared)
            return
        waiting = (asyncio.get_running_loop().create_future(), shared)
        self._queue.append(waiting)
        try:
            await waiting[0]
        except asyncio.CancelledError:
            if waiting in self._queue:
                self._queue.remove(waiting)
                self._admit()  # who stood behind one that does not want it any more
            elif not waiting[0].cancelled():
                self.release()  # it came in the same moment
            raise

    def release(self) -> None:
        """Give it to whoever is next."""
        self._holders -= 1
        self._admit()

    def _admit(self) -> None:
        while self._queue and self._admits(self._queue[0][1]):
            answer, shared = self._queue.popleft()
            if not answer.done():
                self._enter(shared)
                answer.set_result(None)

    def _admits(self, shared: bool) -> bool:
        return not self._holders or (shared and self._shared)

    def _enter(self, shared: bool) -> None:
        self._holders += 1
        self._shared = shared
