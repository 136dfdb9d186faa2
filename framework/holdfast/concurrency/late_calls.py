"""What may still act of a call after its caller gave it up: a thread at work, a request sent afar.

Cancelling who waits for such work does not stop it. So whoever starts it says so, with
``may_still_act``, and whoever holds the object's turn watches, with ``watching``, and keeps the
turn until all of it has ended.
"""

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar, Token
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

    def leave(self, work: Work) -> None:
        """Count this no more."""
        self._work.discard(work)

    def now(self) -> "UnderWay":
        """What is under way at this moment, without what begins later."""
        found = UnderWay()
        for work in self.works():
            found.add(work)
        return found

    def works(self) -> list[Work]:
        """Everything that has not ended."""
        return [work for work in self._work.copy() if not work.done()]

    @property
    def pending(self) -> bool:
        """Whether something may still act."""
        return bool(self._work) and bool(self.works())

    def end_of(self, task: "asyncio.Task[Any]") -> "asyncio.Future[None]":
        """Count a task; the answer is done when it is. Cancelling that leaves the task alone."""
        self._work.add(task)
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task.add_done_callback(_End(self._work, end))
        return end

    async def ended(self, until: float | None = None) -> bool:
        """Wait until nothing may act any more, or until then on the loop's clock; whether it is so.

        What is begun meanwhile is waited for too. How the work ended is of no interest here.
        """
        loop = asyncio.get_running_loop()
        while waited := [_end_of(work, loop) for work in self.works()]:
            left = None if until is None else until - loop.time()
            if left is not None and left <= 0:
                return False
            await asyncio.wait(waited, timeout=left)
        return True


class _End:
    """Tells the end of a task to one who waits for it, and may stop doing so."""

    __slots__ = ("_end", "_work")

    def __init__(self, work: set[Work], end: asyncio.Future[None]) -> None:
        self._work = work
        self._end = end

    def __call__(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        if not self._end.done():
            self._end.set_result(None)
        elif not task.cancelled():
            task.exception()  # nobody waits any more, and whoever wants to know will ask


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


def watch(watcher: UnderWay | None) -> "Token[UnderWay | None]":
    """Begin what ``watching`` does, where every object counts; ``unwatch`` ends it."""
    return _watched.set(watcher)


def unwatch(token: "Token[UnderWay | None]") -> None:
    """End what ``watch`` began."""
    _watched.reset(token)


class watching:  # noqa: N801 - used like a function; as a generator it would cost more
    """Let ``watcher`` know of all work that is begun in this context; ``None``: nobody watches."""

    __slots__ = ("_token", "_watcher")

    def __init__(self, watcher: UnderWay | None) -> None:
        self._watcher = watcher

    def __enter__(self) -> None:
        self._token = _watched.set(self._watcher)

    def __exit__(self, *_: object) -> None:
        _watched.reset(self._token)
