"""The context of each driver call: its deadline, and a fence above that of every call before it."""

import itertools

from holdfast.concurrency.runtime import runtime
from holdfast.contract.requests import CallContext

_CALLS_BITS = 32
"""The lower bits of a fence count an owner's calls, the upper ones are the owner's own fence."""


class CallContexts:
    """Makes one context after the other, for all steps of one owner of a catalogue.

    Args:
        fence: grows with each owner of the catalogue; every driver call gets one that is higher
            than that of all calls before it, of this owner and of those before.
    """

    def __init__(self, fence: int) -> None:
        self._fences = itertools.count((fence << _CALLS_BITS) + 1)

    def following(
        self, operation: str, index: int, attempt: int, deadline: float, call_s: float
    ) -> CallContext:
        """The context of the next driver call, which may take ``call_s`` and never ends later than
        ``deadline``.
        """
        return CallContext(
            operation=operation,
            step=index,
            attempt=attempt,
            fence=next(self._fences),
            deadline=min(deadline, runtime().now() + call_s),
        )
