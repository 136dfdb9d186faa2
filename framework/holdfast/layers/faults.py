"""Calls that go wrong on purpose: refused, acted upon without an answer, or slow."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from holdfast.contract import answers
from holdfast.contract.errors import DriverError
from holdfast.contract.requests import CallContext, Request
from holdfast.layers.layer import Call, Layer, StreamCall, closing


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one call: it waits ``delay_s`` seconds, then raises ``before``, or acts.

    Where it acted, ``after`` is raised in the place of its answer. A stream raises ``after`` when
    it has given everything.
    """

    delay_s: float = 0.0
    before: DriverError | None = None
    after: DriverError | None = None


Plan = Callable[[CallContext, Request, Call], Fault | None]
"""Which fault a call meets, if any; it is asked once for each call, in the order of calls."""


class Faults(Layer):
    """Has calls go wrong as a plan says."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    async def around(self, ctx: CallContext, request: Request, call: Call) -> Any:
        fault = self._plan(ctx, request, call)
        await _strike(fault)
        answer = await call(ctx, request)
        if fault is not None and fault.after is not None:
            raise fault.after
        return answer

    async def around_stream(
        self, ctx: CallContext, request: Request, call: StreamCall
    ) -> AsyncIterator[answers.OwnedThing]:
        fault = self._plan(ctx, request, call)
        await _strike(fault)
        async with closing(call.stream(ctx, request)) as things:
            async for thing in things:
                yield thing
        if fault is not None and fault.after is not None:
            raise fault.after


async def _strike(fault: Fault | None) -> None:
    if fault is None:
        return
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    if fault.before is not None:
        raise fault.before
