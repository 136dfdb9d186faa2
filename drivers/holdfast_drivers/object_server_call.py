"""One verb's call of a driver whose store is behind a server: its deadline, and what it changed."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import DriverError, Unknown
from holdfast.contract.requests import CallContext

T = TypeVar("T")

MARGIN_S: Final = 1.0
"""How long before its deadline a call gives up, so that its error arrives in time."""
_MARGIN_PART: Final = 10


class Call:
    """Until when, about what, and whether it has changed anything yet."""

    def __init__(self, ctx: CallContext, subject: str = "") -> None:
        left_s = max(0.0, ctx.deadline - runtime().now())
        self.until = ctx.deadline - min(MARGIN_S, left_s / _MARGIN_PART)
        self.subject = subject
        self.operation = ctx.operation
        self.changed = False

    def failed(self, error: DriverError) -> DriverError:
        """The error to raise: once something was changed, no final one may promise otherwise.

        What may have been changed counts: a driver that goes on after an uncertain error, to see
        what became of it, can then be refused for another reason.
        """
        error.object = self.subject
        self.changed = self.changed or not error.final
        if self.changed and error.final:
            return Unknown(
                f"{error.cause}; a part of the call may have been done before", object=self.subject
            )
        return error


async def read_beside(known: Awaitable[object], reading: Awaitable[T]) -> T:
    """What is read, if it was read in the store that is expected; ``known`` asks that meanwhile.

    Bytes of another store that took its place may have the same key, and are none of ours.
    """
    problem, answer = await asyncio.gather(known, reading, return_exceptions=True)
    if isinstance(problem, BaseException):
        raise problem
    if isinstance(answer, BaseException):
        raise answer
    return answer
