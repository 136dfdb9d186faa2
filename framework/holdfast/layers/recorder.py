"""Every call is told to somebody: what was asked, when it began and ended, and what came of it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers
from holdfast.contract.requests import CallContext, Request
from holdfast.layers.layer import Call, Layer, StreamCall, closing


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One call; times are seconds on the loop's clock.

    ``verb`` is ``probe`` for a probe, whose request is the one that it asks about. ``error`` is
    what the call raised, cancellation too. ``answer`` is ``None`` then, and for a stream, of which
    ``things`` counts the items that it gave.
    """

    verb: str
    ctx: CallContext
    request: Request
    began_s: float
    ended_s: float
    answer: Any = None
    error: BaseException | None = None
    things: int = 0


class Recorder(Layer):
    """Tells every call after its end.

    Args:
        tell: is given each record; it must not raise.
    """

    def __init__(self, tell: Callable[[CallRecord], None]) -> None:
        self._tell = tell

    async def around(self, ctx: CallContext, request: Request, call: Call) -> Any:
        began_s = runtime().now()
        try:
            answer = await call(ctx, request)
        except BaseException as raised:
            self._tell(_record(ctx, request, call, began_s, error=raised))
            raise
        self._tell(_record(ctx, request, call, began_s, answer=answer))
        return answer

    async def around_stream(
        self, ctx: CallContext, request: Request, call: StreamCall
    ) -> AsyncIterator[answers.OwnedThing]:
        began_s = runtime().now()
        things = 0
        try:
            async with closing(call.stream(ctx, request)) as stream:
                async for thing in stream:
                    things += 1
                    yield thing
        except GeneratorExit:  # whoever reads has seen enough
            self._tell(_record(ctx, request, call, began_s, things=things))
            raise
        except BaseException as raised:
            self._tell(_record(ctx, request, call, began_s, error=raised, things=things))
            raise
        self._tell(_record(ctx, request, call, began_s, things=things))


def _record(
    ctx: CallContext,
    request: Request,
    call: Call,
    began_s: float,
    *,
    answer: Any = None,
    error: BaseException | None = None,
    things: int = 0,
) -> CallRecord:
    """The record of a call that ends now."""
    return CallRecord(
        verb=call.verb,
        ctx=ctx,
        request=request,
        began_s=began_s,
        ended_s=runtime().now(),
        answer=answer,
        error=error,
        things=things,
    )
