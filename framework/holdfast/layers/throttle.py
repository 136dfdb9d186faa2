"""Only so many calls are with a driver at once; the others wait their turn, first come first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers
from holdfast.contract.errors import Busy
from holdfast.contract.requests import CallContext, Request
from holdfast.layers.layer import Call, Layer, StreamCall, closing


class Throttle(Layer):
    """Bounds the calls that a store has to work on at the same moment; a stream counts as one.

    Args:
        calls_max: how many.
    """

    def __init__(self, calls_max: int) -> None:
        self._turns = asyncio.Semaphore(calls_max)

    async def around(self, ctx: CallContext, request: Request, call: Call) -> Any:
        async with self._turn(ctx, call.verb):
            return await call(ctx, request)

    async def around_stream(
        self, ctx: CallContext, request: Request, call: StreamCall
    ) -> AsyncIterator[answers.OwnedThing]:
        async with self._turn(ctx, call.verb), closing(call.stream(ctx, request)) as things:
            async for thing in things:
                yield thing

    @asynccontextmanager
    async def _turn(self, ctx: CallContext, verb: str) -> AsyncIterator[None]:
        left_s = ctx.deadline - runtime().now()
        try:
            async with asyncio.timeout(left_s):
                await self._turns.acquire()
        except TimeoutError:
            raise Busy(
                "the store had too much to do until the deadline; nothing was done", verb=verb
            ) from None
        try:
            yield
        finally:
            self._turns.release()
