"""Calls that are stuck and act late: what became of who waits for them does not stop them."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import DriverError
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


async def in_thread_of_runtime(act: Callable[[], Any]) -> Any:
    """As drivers of this project do."""
    return await runtime().run_blocking(act)


async def in_thread_of_loop(act: Callable[[], Any]) -> Any:
    """As anybody does."""
    return await asyncio.to_thread(act)


async def in_own_thread(act: Callable[[], Any]) -> Any:
    """As one does who has threads already."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def tell(result: Any, failure: BaseException | None) -> None:
        if answer.done():
            return
        if failure is None:
            answer.set_result(result)
        else:
            answer.set_exception(failure)

    def run() -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = act()
        except BaseException as raised:  # noqa: BLE001 - it belongs to who waits
            failure = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, result, failure)

    threading.Thread(target=run, daemon=True).start()
    return await answer


THREADS = {
    "of the runtime": in_thread_of_runtime,
    "of the loop": in_thread_of_loop,
    "of its own": in_own_thread,
}


class StuckThreads:
    """Calls that are stuck in threads, and act when they are let go: at the end of the context."""

    def __init__(self, begin: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self.let_go = threading.Event()
        self.ended: list[str] = []
        self._begin = begin
        self._begun = threading.Semaphore(0)
        self._asked = asyncio.Semaphore(0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.let_go.set()

    async def make(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make the call in a thread, once it is let go."""
        self._asked.release()

        async def made() -> Any:
            return await call()

        def act() -> Any:
            self._begun.release()
            self.let_go.wait()
            try:
                return asyncio.run(made())
            finally:
                self.ended.append("acted")

        return await self._begin(act)

    async def begun(self, calls: int) -> None:
        """Wait until so many are stuck."""
        for _ in range(calls):
            await runtime().run_blocking(self._begun.acquire)

    async def asked(self, calls: int) -> None:
        """Wait until so many are to be made."""
        for _ in range(calls):
            await self._asked.acquire()
