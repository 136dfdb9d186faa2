"""A driver as the orchestrator calls it: in its store's lane, and never cut off in the middle.

A step that is given up, or whose caller is cancelled, leaves its call to end by itself, as a task
that the step's watcher knows of: what cancelled it could not stop what it has begun in a thread or
sent to a server, and would only stop us from seeing when that ends.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

from holdfast.concurrency.lanes import Lane, enter_lane, in_lane, leave_lane
from holdfast.concurrency.late_calls import UnderWay, watched
from holdfast.contract.errors import Unknown

Verb = Callable[..., Coroutine[Any, Any, Any]]

_READS: Final = frozenset(
    {
        "pools",
        "get",
        "get_volume",
        "get_snapshot",
        "list",
        "list_volumes",
        "list_snapshots",
        "head",
        "open",
        "open_object",
        "stats",
        "health",
        "probe",
    }
)
"""The verbs of all ports that change nothing; whatever is not here may."""


class StepCalls(UnderWay):
    """The driver calls of one step that have not ended, and what is known of the latest attempt.

    ``sent``: a driver was called. ``acted``: a verb that changes something has answered.
    """

    __slots__ = ("acted", "sent")

    def __init__(self) -> None:
        super().__init__()
        self.sent = False
        self.acted = False

    def cut_off(self) -> None:
        """Cancel the calls that wait on the loop, and wait no more for answers from afar, which end
        with the connection; threads go on.
        """
        for work in self.works():
            if isinstance(work, asyncio.Task):
                work.cancel()
            elif isinstance(work, asyncio.Future):
                self.leave(work)


class CalledDriver:
    """Any port of one opened store; stands for the driver, verb by verb."""

    def __init__(self, driver: object, lane: Lane) -> None:
        self._driver = driver
        self._lane = lane

    def __getattr__(self, name: str) -> Any:
        found: Any = getattr(self._driver, name)
        if name == "capabilities":
            return found
        called = self._stream(found) if name == "enumerate" else self._verb(name, found)
        self.__dict__[name] = called
        return called

    def _verb(self, name: str, found: Verb) -> Verb:
        changes = name not in _READS

        async def verb(*arguments: Any) -> Any:
            watcher = watched()
            if watcher is None:
                with in_lane(self._lane):
                    return await found(*arguments)
            if isinstance(watcher, StepCalls):
                watcher.sent = True
            token = enter_lane(self._lane)
            try:
                task = asyncio.get_running_loop().create_task(found(*arguments))
            finally:
                leave_lane(token)
            await watcher.end_of(task)
            if task.cancelled():
                raise Unknown("the driver's call was cancelled from within")
            answer = task.result()
            if changes and isinstance(watcher, StepCalls):
                watcher.acted = True
            return answer

        return verb

    def _stream(self, found: Callable[..., AsyncIterator[Any]]) -> Callable[..., Any]:
        async def stream(*arguments: Any) -> AsyncIterator[Any]:
            with in_lane(self._lane):
                iterator = aiter(found(*arguments))
            try:
                while True:
                    with in_lane(self._lane):
                        try:
                            item = await anext(iterator)
                        except StopAsyncIteration:
                            return
                    yield item
            finally:
                close = getattr(iterator, "aclose", None)
                if close is not None:
                    with in_lane(self._lane):
                        await close()

        return stream
