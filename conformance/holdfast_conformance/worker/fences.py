"""The fences of a plan's calls: each higher than that of the one before, and late ones lower."""

from collections.abc import Mapping
from typing import Final

from holdfast_conformance.plan import LateCall, Plan, StoreStep

_OWNER: Final = 1 << 32
"""An owner's own fence is above the bits that count its calls, as in the framework."""
_FIRST: Final = 3 * _OWNER + 1000
_PREPARED: Final = 500
_LATE: Final = 3 * _OWNER + 1
_LATE_OF_FORMER_OWNER: Final = 2 * _OWNER + 2000
"""Higher than the others where the bits of the owner are lost."""


def has_fences(plan: Plan) -> bool:
    """Whether the calls of a plan have fences: where one of them is late."""
    return any(isinstance(step, LateCall) for step in plan.steps)


def fence_of(index: int) -> int:
    """The fence of the step with this index; those of the preparation are -1, -2, ... in order."""
    return _FIRST + index if index >= 0 else _FIRST - _PREPARED - index


def late_fence(step: LateCall, given_up: Mapping[str, int]) -> int:
    """The fence of a late call: of the moment at which it was given up, or lower than all others.

    Args:
        step: the late call.
        given_up: the fences of such moments in the store of the call, by their names.
    """
    if step.former_owner:
        return _LATE_OF_FORMER_OWNER
    # Calls on the store come lowest of all, for those of the preparation are before every moment.
    return _LATE if isinstance(step.call, StoreStep) else given_up.get(step.given_up, _LATE)
