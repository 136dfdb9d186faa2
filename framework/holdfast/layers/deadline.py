"""A call that has not answered by its deadline is given up, and goes on by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from holdfast.concurrency.runtime import may_still_act, runtime
from holdfast.contract import answers
from holdfast.contract.errors import Unavailable, Unknown
from holdfast.contract.requests import CallContext, Request
from holdfast.layers.layer import Call, Layer, StreamCall, closing


class Deadline(Layer):
    """Holds every call to the deadline in its context.

    A call is never cut off: what it has begun in a thread or sent to a server would act all the
    same, and cancelling it would only hide when that ends. Whoever watches
    (``holdfast.concurrency.late_calls``) knows of it until then; ``quiet``
    waits for all that this layer gave up.
    """

    def __init__(self) -> None:
        self._late: set[asyncio.Task[Any]] = set()

    async def around(self, ctx: CallContext, request: Request, call: Call) -> Any:
        return await self._until(ctx, call.verb, lambda: call(ctx, request))

    async def around_stream(
        self, ctx: CallContext, request: Request, call: StreamCall
    ) -> AsyncIterator[answers.OwnedThing]:
        things = aiter(call.stream(ctx, request))
        while True:
            try:
                thing = await self._until(ctx, call.verb, lambda: anext(things))
            except StopAsyncIteration:
                return
            try:
                yield thing
            except GeneratorExit:
                # Between two things nothing of it is under way; what was given up ends by itself.
                async with closing(things):
                    raise

    async def quiet(self) -> None:
        """Return when nothing that was given up can act any more."""
        while self._late:
            await asyncio.wait(self._late)

    async def _until(self, ctx: CallContext, verb: str, make: Callable[[], Awaitable[Any]]) -> Any:
        left_s = ctx.deadline - runtime().now()
        if left_s <= 0:
            raise Unavailable("its deadline had passed before the call was made", verb=verb)
        task = asyncio.ensure_future(_made(make))
        # Before the first wait: whoever cancels us then leaves a call that others know of.
        may_still_act(task)
        self._late.add(task)
        task.add_done_callback(self._ended)
        ready, _ = await asyncio.wait((task,), timeout=left_s)
        if not ready:
            raise Unknown("no answer came by the deadline, and the call may still act", verb=verb)
        if task.cancelled():
            raise Unknown("the call was cancelled from within", verb=verb)
        return task.result()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # where it was given up, nobody else asks how it ended


async def _made(make: Callable[[], Awaitable[Any]]) -> Any:
    return await make()
