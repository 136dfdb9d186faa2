"""Calls that are made at once: each is a task of its own, and all are waited for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from holdfast_conformance.trace import Outcome
from holdfast_conformance.worker.hang_watch import real_time_s

MakeCall = Callable[[], Awaitable[Outcome]]


class CallEnd(msgspec.Struct, frozen=True):
    """What came of a call, between which instants of the loop, and after how much real time."""

    outcome: Outcome
    invoked_s: float
    returned_s: float
    real_s: float


async def timed(call: MakeCall) -> CallEnd:
    """Make a call and take the time around it."""
    loop = asyncio.get_running_loop()
    invoked_s, began_s = loop.time(), real_time_s()
    outcome = await call()
    return CallEnd(outcome, invoked_s, loop.time(), real_time_s() - began_s)


async def make_together(calls: Sequence[MakeCall], *, stagger: int) -> tuple[CallEnd, ...]:
    """Make these calls at once, each some turns of the loop after the one before; their ends."""

    async def after(turns: int, call: MakeCall) -> CallEnd:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await timed(call)

    return tuple(
        await asyncio.gather(*(after(place * stagger, call) for place, call in enumerate(calls)))
    )
