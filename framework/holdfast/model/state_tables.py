"""Every state machine of the catalogue; ``docs/states.md`` is generated from these tables.

Four outcomes end what was requested: ``operation_succeeded``; ``operation_failed_clean`` (proven:
nothing changed); ``operation_failed_dirty`` (something was left, and is named); ``outcome_unknown``
(no answer). What is unknown becomes ``Uncertain`` and leaves that state only through recovery,
which asks the backend.
"""

import enum
from typing import Any, TypeVar

from holdfast.model.state_machine import Machine

StateT = TypeVar("StateT", bound=enum.StrEnum)


class Event(enum.StrEnum):
    """What can happen to any row with a machine."""

    CREATE_REQUESTED = "create_requested"
    RESIZE_REQUESTED = "resize_requested"
    SNAPSHOT_REQUESTED = "snapshot_requested"
    REVERT_REQUESTED = "revert_requested"
    COPY_REQUESTED = "copy_requested"
    EXPUNGE_REQUESTED = "expunge_requested"
    MAINTENANCE_REQUESTED = "maintenance_requested"
    CANCEL_REQUESTED = "cancel_requested"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    OPERATION_SUCCEEDED = "operation_succeeded"
    OPERATION_FAILED_CLEAN = "operation_failed_clean"
    OPERATION_FAILED_DIRTY = "operation_failed_dirty"
    OUTCOME_UNKNOWN = "outcome_unknown"
    RECOVERED_READY = "recovered_ready"
    RECOVERED_ABSENT = "recovered_absent"
    RECOVERED_DIRTY = "recovered_dirty"
    RECOVERED_MAINTENANCE = "recovered_maintenance"
    FOUND_LOST = "found_lost"
    COMPENSATION_REQUESTED = "compensation_requested"
    PAUSED = "paused"
    RESUMED = "resumed"


class VolumeState(enum.StrEnum):
    """The states of a volume."""

    ALLOCATED = "Allocated"
    CREATING = "Creating"
    READY = "Ready"
    RESIZING = "Resizing"
    SNAPSHOTTING = "Snapshotting"
    REVERTING = "Reverting"
    COPYING = "Copying"
    EXPUNGING = "Expunging"
    EXPUNGED = "Expunged"
    UNCERTAIN = "Uncertain"
    ERROR = "Error"
    LOST = "Lost"


class ObjectState(enum.StrEnum):
    """The states of a snapshot, and of a template, ISO or backup in one store."""

    ALLOCATED = "Allocated"
    CREATING = "Creating"
    READY = "Ready"
    COPYING = "Copying"
    EXPUNGING = "Expunging"
    EXPUNGED = "Expunged"
    UNCERTAIN = "Uncertain"
    ERROR = "Error"
    LOST = "Lost"


class StoreState(enum.StrEnum):
    """The states of a store."""

    ALLOCATED = "Allocated"
    INITIALIZING = "Initializing"
    UP = "Up"
    PREPARING_MAINTENANCE = "PreparingMaintenance"
    MAINTENANCE = "Maintenance"
    CANCELLING_MAINTENANCE = "CancellingMaintenance"
    REMOVING = "Removing"
    REMOVED = "Removed"
    UNCERTAIN = "Uncertain"
    ERROR = "Error"


class GrantState(enum.StrEnum):
    """The states of a host's grant of a volume."""

    ALLOCATED = "Allocated"
    GRANTING = "Granting"
    GRANTED = "Granted"
    REVOKING = "Revoking"
    REVOKED = "Revoked"
    UNCERTAIN = "Uncertain"
    ERROR = "Error"


class HostState(enum.StrEnum):
    """The states of a host."""

    DISCONNECTED = "Disconnected"
    UP = "Up"
    REMOVED = "Removed"


class OperationState(enum.StrEnum):
    """The states of an operation; ``Uncertain`` waits for recovery, ``Paused`` for a person."""

    RUNNING = "Running"
    PAUSED = "Paused"
    COMPENSATING = "Compensating"
    UNCERTAIN = "Uncertain"
    SUCCEEDED = "Succeeded"
    FAILED_CLEAN = "FailedClean"
    FAILED_DIRTY = "FailedDirty"


class StepState(enum.StrEnum):
    """The states of one journalled step of an operation."""

    INTENDED = "Intended"
    DONE = "Done"
    FAILED = "Failed"
    COMPENSATING = "Compensating"
    COMPENSATED = "Compensated"
    DIRTY = "Dirty"
    UNCERTAIN = "Uncertain"


E = Event


def _during(
    state: StateT, *, succeeded: StateT, clean: StateT, dirty: StateT, unknown: StateT
) -> dict[tuple[StateT, Event], StateT]:
    """The four ways out of a transitional state."""
    return {
        (state, E.OPERATION_SUCCEEDED): succeeded,
        (state, E.OPERATION_FAILED_CLEAN): clean,
        (state, E.OPERATION_FAILED_DIRTY): dirty,
        (state, E.OUTCOME_UNKNOWN): unknown,
    }


def _volume() -> Machine[VolumeState, Event]:
    v = VolumeState
    table: dict[tuple[VolumeState, Event], VolumeState] = {
        (v.ALLOCATED, E.CREATE_REQUESTED): v.CREATING,
        (v.ALLOCATED, E.EXPUNGE_REQUESTED): v.EXPUNGING,
        (v.READY, E.RESIZE_REQUESTED): v.RESIZING,
        (v.READY, E.SNAPSHOT_REQUESTED): v.SNAPSHOTTING,
        (v.READY, E.REVERT_REQUESTED): v.REVERTING,
        (v.READY, E.COPY_REQUESTED): v.COPYING,
        (v.READY, E.EXPUNGE_REQUESTED): v.EXPUNGING,
        (v.READY, E.FOUND_LOST): v.LOST,
        (v.UNCERTAIN, E.RECOVERED_READY): v.READY,
        (v.UNCERTAIN, E.RECOVERED_ABSENT): v.EXPUNGED,
        (v.UNCERTAIN, E.RECOVERED_DIRTY): v.ERROR,
        (v.ERROR, E.EXPUNGE_REQUESTED): v.EXPUNGING,
        (v.ERROR, E.RECOVERED_READY): v.READY,
        (v.LOST, E.EXPUNGE_REQUESTED): v.EXPUNGING,
        (v.LOST, E.RECOVERED_READY): v.READY,
    }
    table |= _during(
        v.CREATING, succeeded=v.READY, clean=v.EXPUNGED, dirty=v.ERROR, unknown=v.UNCERTAIN
    )
    for state in (v.RESIZING, v.SNAPSHOTTING, v.REVERTING, v.COPYING):
        table |= _during(
            state, succeeded=v.READY, clean=v.READY, dirty=v.ERROR, unknown=v.UNCERTAIN
        )
    table |= _during(
        v.EXPUNGING, succeeded=v.EXPUNGED, clean=v.READY, dirty=v.ERROR, unknown=v.UNCERTAIN
    )
    return Machine(
        name="volume",
        initial=v.ALLOCATED,
        transitional=frozenset(
            {v.CREATING, v.RESIZING, v.SNAPSHOTTING, v.REVERTING, v.COPYING, v.EXPUNGING}
            | {v.UNCERTAIN}
        ),
        terminal=frozenset({v.EXPUNGED}),
        unknown=E.OUTCOME_UNKNOWN,
        table=table | {(v.UNCERTAIN, E.OUTCOME_UNKNOWN): v.UNCERTAIN},
    )


def _object(name: str) -> Machine[ObjectState, Event]:
    o = ObjectState
    table: dict[tuple[ObjectState, Event], ObjectState] = {
        (o.ALLOCATED, E.CREATE_REQUESTED): o.CREATING,
        (o.ALLOCATED, E.EXPUNGE_REQUESTED): o.EXPUNGING,
        (o.READY, E.COPY_REQUESTED): o.COPYING,
        (o.READY, E.EXPUNGE_REQUESTED): o.EXPUNGING,
        (o.READY, E.FOUND_LOST): o.LOST,
        (o.UNCERTAIN, E.OUTCOME_UNKNOWN): o.UNCERTAIN,
        (o.UNCERTAIN, E.RECOVERED_READY): o.READY,
        (o.UNCERTAIN, E.RECOVERED_ABSENT): o.EXPUNGED,
        (o.UNCERTAIN, E.RECOVERED_DIRTY): o.ERROR,
        (o.ERROR, E.EXPUNGE_REQUESTED): o.EXPUNGING,
        (o.ERROR, E.RECOVERED_READY): o.READY,
        (o.LOST, E.EXPUNGE_REQUESTED): o.EXPUNGING,
        (o.LOST, E.RECOVERED_READY): o.READY,
    }
    table |= _during(
        o.CREATING, succeeded=o.READY, clean=o.EXPUNGED, dirty=o.ERROR, unknown=o.UNCERTAIN
    )
    table |= _during(
        o.COPYING, succeeded=o.READY, clean=o.READY, dirty=o.ERROR, unknown=o.UNCERTAIN
    )
    table |= _during(
        o.EXPUNGING, succeeded=o.EXPUNGED, clean=o.READY, dirty=o.ERROR, unknown=o.UNCERTAIN
    )
    return Machine(
        name=name,
        initial=o.ALLOCATED,
        transitional=frozenset({o.CREATING, o.COPYING, o.EXPUNGING, o.UNCERTAIN}),
        terminal=frozenset({o.EXPUNGED}),
        unknown=E.OUTCOME_UNKNOWN,
        table=table,
    )


def _store() -> Machine[StoreState, Event]:
    s = StoreState
    table: dict[tuple[StoreState, Event], StoreState] = {
        (s.ALLOCATED, E.CREATE_REQUESTED): s.INITIALIZING,
        (s.UP, E.MAINTENANCE_REQUESTED): s.PREPARING_MAINTENANCE,
        (s.MAINTENANCE, E.CANCEL_REQUESTED): s.CANCELLING_MAINTENANCE,
        (s.UP, E.EXPUNGE_REQUESTED): s.REMOVING,
        (s.MAINTENANCE, E.EXPUNGE_REQUESTED): s.REMOVING,
        (s.UNCERTAIN, E.OUTCOME_UNKNOWN): s.UNCERTAIN,
        (s.UNCERTAIN, E.RECOVERED_READY): s.UP,
        (s.UNCERTAIN, E.RECOVERED_MAINTENANCE): s.MAINTENANCE,
        (s.UNCERTAIN, E.RECOVERED_ABSENT): s.REMOVED,
        (s.UNCERTAIN, E.RECOVERED_DIRTY): s.ERROR,
        (s.ERROR, E.EXPUNGE_REQUESTED): s.REMOVING,
        (s.ERROR, E.RECOVERED_READY): s.UP,
    }
    table |= _during(
        s.INITIALIZING, succeeded=s.UP, clean=s.REMOVED, dirty=s.ERROR, unknown=s.UNCERTAIN
    )
    table |= _during(
        s.PREPARING_MAINTENANCE,
        succeeded=s.MAINTENANCE,
        clean=s.UP,
        dirty=s.ERROR,
        unknown=s.UNCERTAIN,
    )
    table |= _during(
        s.CANCELLING_MAINTENANCE,
        succeeded=s.UP,
        clean=s.MAINTENANCE,
        dirty=s.ERROR,
        unknown=s.UNCERTAIN,
    )
    table |= _during(
        s.REMOVING, succeeded=s.REMOVED, clean=s.UP, dirty=s.ERROR, unknown=s.UNCERTAIN
    )
    return Machine(
        name="store",
        initial=s.ALLOCATED,
        transitional=frozenset(
            {s.INITIALIZING, s.PREPARING_MAINTENANCE, s.CANCELLING_MAINTENANCE, s.REMOVING}
            | {s.UNCERTAIN}
        ),
        terminal=frozenset({s.REMOVED}),
        unknown=E.OUTCOME_UNKNOWN,
        table=table,
    )


def _grant() -> Machine[GrantState, Event]:
    g = GrantState
    table: dict[tuple[GrantState, Event], GrantState] = {
        (g.ALLOCATED, E.CREATE_REQUESTED): g.GRANTING,
        (g.GRANTED, E.EXPUNGE_REQUESTED): g.REVOKING,
        (g.UNCERTAIN, E.OUTCOME_UNKNOWN): g.UNCERTAIN,
        (g.UNCERTAIN, E.RECOVERED_READY): g.GRANTED,
        (g.UNCERTAIN, E.RECOVERED_ABSENT): g.REVOKED,
        (g.UNCERTAIN, E.RECOVERED_DIRTY): g.ERROR,
        (g.ERROR, E.EXPUNGE_REQUESTED): g.REVOKING,
    }
    table |= _during(
        g.GRANTING, succeeded=g.GRANTED, clean=g.REVOKED, dirty=g.ERROR, unknown=g.UNCERTAIN
    )
    table |= _during(
        g.REVOKING, succeeded=g.REVOKED, clean=g.GRANTED, dirty=g.ERROR, unknown=g.UNCERTAIN
    )
    return Machine(
        name="grant",
        initial=g.ALLOCATED,
        transitional=frozenset({g.GRANTING, g.REVOKING, g.UNCERTAIN}),
        terminal=frozenset({g.REVOKED}),
        unknown=E.OUTCOME_UNKNOWN,
        table=table,
    )


def _host() -> Machine[HostState, Event]:
    h = HostState
    return Machine(
        name="host",
        initial=h.DISCONNECTED,
        transitional=frozenset[HostState](),
        terminal=frozenset({h.REMOVED}),
        unknown=E.OUTCOME_UNKNOWN,
        table={
            (h.DISCONNECTED, E.CONNECTED): h.UP,
            (h.UP, E.DISCONNECTED): h.DISCONNECTED,
            (h.DISCONNECTED, E.EXPUNGE_REQUESTED): h.REMOVED,
        },
    )


def _operation() -> Machine[OperationState, Event]:
    o = OperationState
    table: dict[tuple[OperationState, Event], OperationState] = {
        (o.RUNNING, E.OPERATION_SUCCEEDED): o.SUCCEEDED,
        (o.RUNNING, E.COMPENSATION_REQUESTED): o.COMPENSATING,
        (o.RUNNING, E.PAUSED): o.PAUSED,
        (o.PAUSED, E.RESUMED): o.RUNNING,
        (o.UNCERTAIN, E.OPERATION_SUCCEEDED): o.SUCCEEDED,
        (o.UNCERTAIN, E.RESUMED): o.RUNNING,
        (o.UNCERTAIN, E.COMPENSATION_REQUESTED): o.COMPENSATING,
    }
    for state in (o.RUNNING, o.COMPENSATING, o.UNCERTAIN):
        table[state, E.OPERATION_FAILED_CLEAN] = o.FAILED_CLEAN
        table[state, E.OPERATION_FAILED_DIRTY] = o.FAILED_DIRTY
        table[state, E.OUTCOME_UNKNOWN] = o.UNCERTAIN
    return Machine(
        name="operation",
        initial=o.RUNNING,
        transitional=frozenset({o.RUNNING, o.COMPENSATING, o.UNCERTAIN}),
        terminal=frozenset({o.SUCCEEDED, o.FAILED_CLEAN, o.FAILED_DIRTY}),
        unknown=E.OUTCOME_UNKNOWN,
        table=table,
    )


def _step() -> Machine[StepState, Event]:
    s = StepState
    table: dict[tuple[StepState, Event], StepState] = {
        (s.INTENDED, E.COMPENSATION_REQUESTED): s.COMPENSATING,
        (s.DONE, E.COMPENSATION_REQUESTED): s.COMPENSATING,
        (s.UNCERTAIN, E.COMPENSATION_REQUESTED): s.COMPENSATING,
        (s.COMPENSATING, E.OPERATION_SUCCEEDED): s.COMPENSATED,
        (s.COMPENSATING, E.OPERATION_FAILED_DIRTY): s.DIRTY,
        # Compensation is idempotent: after an unknown outcome it is simply asked for again.
        (s.COMPENSATING, E.OUTCOME_UNKNOWN): s.COMPENSATING,
        (s.UNCERTAIN, E.OUTCOME_UNKNOWN): s.UNCERTAIN,
        (s.INTENDED, E.OUTCOME_UNKNOWN): s.UNCERTAIN,
    }
    for state in (s.INTENDED, s.UNCERTAIN):
        table[state, E.OPERATION_SUCCEEDED] = s.DONE
        table[state, E.OPERATION_FAILED_CLEAN] = s.FAILED
        table[state, E.OPERATION_FAILED_DIRTY] = s.DIRTY
    return Machine(
        name="step",
        initial=s.INTENDED,
        transitional=frozenset({s.INTENDED, s.COMPENSATING, s.UNCERTAIN}),
        terminal=frozenset({s.FAILED, s.COMPENSATED, s.DIRTY}),
        unknown=E.OUTCOME_UNKNOWN,
        table=table,
    )


VOLUME = _volume()
SNAPSHOT = _object("snapshot")
STORED_OBJECT = _object("stored object")
STORE = _store()
GRANT = _grant()
HOST = _host()
OPERATION = _operation()
STEP = _step()

MACHINES: tuple[Machine[Any, Event], ...] = (
    VOLUME,
    SNAPSHOT,
    STORED_OBJECT,
    STORE,
    GRANT,
    HOST,
    OPERATION,
    STEP,
)
