"""A call that was provably not acted upon is made again, for as long as its deadline allows."""

import asyncio
from typing import Any

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import DriverError, Retry
from holdfast.contract.requests import CallContext, Request
from holdfast.layers.layer import Call, Layer


class BackOff(msgspec.Struct, frozen=True, kw_only=True):
    """How often a call is made, and how long is waited between: seconds, doubled each time."""

    attempts: int = 5
    first_s: float = 0.05
    longest_s: float = 10.0


class Retries(Layer):
    """Makes a call again where its error says that nothing was done and that waiting helps.

    What may have acted is never repeated unseen: such an error goes to the caller, who probes. A
    stream is not begun again, for what it gave already would come twice.
    """

    def __init__(self, back_off: BackOff | None = None) -> None:
        self._back_off = back_off or BackOff()

    async def around(self, ctx: CallContext, request: Request, call: Call) -> Any:
        pause_s = self._back_off.first_s
        for attempt in range(1, self._back_off.attempts + 1):
            try:
                return await call(ctx, request)
            except DriverError as error:
                waits = error.final and error.retry is Retry.BACK_OFF
                # Waiting callers must not all come back at the same moment.
                wait_s = pause_s * (0.5 + runtime().random.random() / 2)
                too_late = runtime().now() + wait_s >= ctx.deadline
                if not waits or too_late or attempt == self._back_off.attempts:
                    raise
            await asyncio.sleep(wait_s)
            pause_s = min(2 * pause_s, self._back_off.longest_s)
        raise AssertionError("the last attempt returns or raises")
