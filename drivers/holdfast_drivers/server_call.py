"""One verb's call of a driver whose store is behind a server: its deadline, and what it changed."""

from typing import Final

from holdfast.errors import DriverError, Unknown
from holdfast.requests import CallContext
from holdfast.runtime import runtime

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
        """The error to raise: once something was changed, no final one may promise otherwise."""
        error.object = self.subject
        if self.changed and error.final:
            return Unknown(
                f"{error.cause}; a part of the call was done before", object=self.subject
            )
        return error
