"""Sets of states that mean the same for rows of several kinds.

States of two machines with one text are equal, so that each set holds each text once.
"""

import enum
from typing import Final

from holdfast.model.state_tables import (
    GrantState,
    HostState,
    ObjectState,
    OperationState,
    StoreState,
    VolumeState,
)

_States = frozenset[enum.StrEnum]

UNSOUND: Final[_States] = frozenset(
    {
        VolumeState.ERROR,
        VolumeState.LOST,
        ObjectState.ERROR,
        ObjectState.LOST,
        StoreState.ERROR,
        GrantState.ERROR,
    }
)
"""Something is wrong with it already: an operation that changes nothing leaves it so."""
GONE: Final[_States] = frozenset(
    {
        VolumeState.EXPUNGED,
        ObjectState.EXPUNGED,
        StoreState.REMOVED,
        GrantState.REVOKED,
        HostState.REMOVED,
    }
)
"""It was there, and is no more; nobody can bring it back."""
NOT_THERE: Final[_States] = frozenset(
    {
        VolumeState.ALLOCATED,
        VolumeState.EXPUNGED,
        ObjectState.ALLOCATED,
        ObjectState.EXPUNGED,
        StoreState.ALLOCATED,
        StoreState.REMOVED,
        HostState.REMOVED,
    }
)
"""It never was there, or is there no more: it holds nothing, and its name is free."""
WITHOUT_BYTES: Final[_States] = frozenset(
    {VolumeState.EXPUNGED, VolumeState.LOST, ObjectState.EXPUNGED, ObjectState.LOST}
)
"""Its store keeps no bytes of it."""
SETTLED: Final[_States] = frozenset(
    {VolumeState.READY, VolumeState.LOST, ObjectState.READY, ObjectState.LOST}
)
"""What it holds of its store's capacity is known, and no operation is about to change it."""
UNCERTAIN: Final[_States] = frozenset(
    {
        VolumeState.UNCERTAIN,
        ObjectState.UNCERTAIN,
        StoreState.UNCERTAIN,
        GrantState.UNCERTAIN,
    }
)
"""Nobody knows yet what became of the last operation on it."""
ENDED: Final = (
    OperationState.SUCCEEDED,
    OperationState.FAILED_CLEAN,
    OperationState.FAILED_DIRTY,
)
"""The states of an operation that nobody works on any more."""
UNFINISHED: Final = (
    OperationState.RUNNING,
    OperationState.COMPENSATING,
    OperationState.UNCERTAIN,
    OperationState.PAUSED,
)
"""The states of an operation without an outcome; all but a paused one are recovery's."""
