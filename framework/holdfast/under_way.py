"""What may still act of a call after its caller gave it up: a thread at work, a request sent afar.

Cancelling who waits for such work does not stop it. So whoever starts it says so, with
``may_still_act``, and whoever holds the object's turn watches, with ``watching``, and keeps the
turn until all of it has ended.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

Work = Future[Any] | asyncio.Future[Any]


class UnderWay:
    """The work of some calls that has not ended; work that ends leaves it by itself."""

    __slots__ = ("_work",)

    def __init__(self) -> None:
        self._work: set[Work] = set()

    def add(self, work: Work) -> None:
        """Count this until it is done, however it ends (a cancelled future has ended)."""
        self._work.add(work)
        work.add_done_callback(self._work.discard)

    def now(self) -> "UnderWay":
        """What is under way at this moment, without what begins later."""
        found = UnderWay()
        for work in self._work.copy():
            found.add(work)
        return found

    @property
    def pending(self) -> bool:
        """Whether something may still act."""
        return bool(self._work) and any(not work.done() for work in self._work.copy())

    async def ended(self, until: float | None = None) -> bool:
        """Wait until nothing may act any more, or until then on the loop's clock; whether it is so.

        What is begun meanwhile is waited for too. How the work ended is of no interest here.
        """
        loop = asyncio.get_running_loop()
        while waited := [_end_of(work, loop) for work in self._work.copy() if not work.done()]:
            left = None if until is None else until - loop.time()
            if left is not None and left <= 0:
                return False
            await asyncio.wait(waited, timeout=left)
        return True


def _end_of(work: Work, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
    """What is done when the work is; a thread's work is neither cancelled nor asked how it went."""
    if isinstance(work, asyncio.Future):
        return work
    end: asyncio.Future[Any] = loop.create_future()

    def tell() -> None:
        if not end.done():
            end.set_result(None)

    def ended(_work: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(tell)

    work.add_done_callback(ended)
    return end


_watched: ContextVar[UnderWay | None] = ContextVar("holdfast_under_way", default=None)


def watched() -> UnderWay | None:
    """Who watches the work that is begun in this context, if anybody does."""
    return _watched.get()


def may_still_act(work: Work) -> None:
    """Say that this work may go on acting although its caller is cancelled or gives up.

    Call it in the context of the driver call, before waiting. ``work`` is a future, of a thread or
    of the loop, that ends when the call can act no more: its thread returned, its answer came, its
    process is proven dead, or the backend was made to refuse it. Never cancel it before that. Where
    nobody watches, nothing happens.
    """
    watcher = _watched.get()
    if watcher is not None:
        watcher.add(work)


@contextmanager
def watching(watcher: UnderWay | None) -> Iterator[None]:
    """Let ``watcher`` know of all work that is begun in this context; ``None``: nobody watches."""
    token = _watched.set(watcher)
    try:
        yield
    finally:
        _watched.reset(token)
