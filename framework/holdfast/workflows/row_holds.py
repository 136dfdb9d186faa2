"""Taking hold of rows for an operation: checks that read well, and the events that begin it."""

import enum
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from holdfast.catalogue.port import Transaction
from holdfast.contract.capabilities import (
    AccessMode,
    Capabilities,
    ImageCapabilities,
    PrimaryCapabilities,
)
from holdfast.contract.errors import HoldfastError
from holdfast.contract.requests import Role, verb_of
from holdfast.model.rows import Involved, Row, StatefulRow, Store
from holdfast.model.state_machine import UndefinedTransition
from holdfast.model.state_sets import UNSOUND
from holdfast.model.state_tables import Event, StoreState
from holdfast.operations.journal import unfinished, unreadable
from holdfast.operations.plans import PlannedStep
from holdfast.operations.workflow import SHARED
from holdfast.steps.driver_verbs import ImageInputs, PrimaryInputs
from holdfast.steps.life_cycle import LifeCycleInputs
from holdfast.workflows.names import insert_named

RowT = TypeVar("RowT", bound=Row)

_capabilities = msgspec.json.Decoder(Capabilities)


class Refused(HoldfastError):
    """The catalogue does not allow this now; nothing was written or done."""


def begin(tx: Transaction, row: StatefulRow, event: Event, *, principal: bool = True) -> Involved:
    """Move a row by the event that begins an operation on it.

    Raises:
        Refused: its state does not allow that.
    """
    try:
        after = tx.fire(row, event)
    except UndefinedTransition:
        noun = type(row).__name__.lower()
        raise Refused(
            f"{noun} {name_of(row)} is {row.state} and cannot take {event} now; "
            "wait for the operation that works on it, or run recover"
        ) from None
    return Involved(row.table, row.id, after.state, principal, row.state not in UNSOUND)


def check_unread(tx: Transaction, owner: Row, rows: Sequence[Row]) -> None:
    """``Refused`` while an operation without an outcome reads (``share``) one of an owner's rows.

    One whose own row cannot be read may read any of them.
    """
    noun = f"{type(owner).__name__.lower()} {name_of(owner)}"
    for _, problem in unreadable(tx):
        raise Refused(f"{noun} may be read by operation {problem.row_id}; {problem}")
    ids = {row.id for row in rows}
    for operation in unfinished(tx):
        if any(one.id in ids and one.begun == SHARED for one in operation.involved):
            raise Refused(
                f"{noun} is read by operation {operation.id} ({operation.kind}, "
                f"{operation.state}); wait for it, or run recover"
            )


def share(row: StatefulRow) -> Involved:
    """Hold a row that an operation only reads, beside all others that do: nobody deletes it."""
    return Involved(row.table, row.id, SHARED, principal=False)


def create(tx: Transaction, row: StatefulRow) -> Involved:
    """Insert a row whose creation begins; what has a name keeps to the rule for names."""
    stored = insert_named(tx, row) if hasattr(row, "name") else tx.insert(row)
    return begin(tx, stored, Event.CREATE_REQUESTED)


def require(row: StatefulRow, *states: enum.StrEnum) -> None:
    """``Refused`` unless the row is in one of these states."""
    if row.state not in states:
        raise Refused(
            f"{type(row).__name__.lower()} {name_of(row)} is {row.state}, "
            f"and this needs it {' or '.join(states)}"
        )


def store_in_service(tx: Transaction, store: str, role: Role) -> Store:
    """A store of this role that may be allocated from; ``Refused`` otherwise."""
    row = tx.get(Store, store)
    if row.role is not role:
        raise Refused(f"store {row.name} is an {row.role} store, and this needs {role}")
    require_service(row)
    return row


def require_service(store: Store) -> None:
    """``Refused`` unless new bytes may be promised in the store: it is up, not in maintenance."""
    require(store, StoreState.UP)


def primary_capabilities(store: Store) -> PrimaryCapabilities:
    """What a primary store declared when it was added."""
    capabilities = _capabilities.decode(store.capabilities)
    assert isinstance(capabilities, PrimaryCapabilities), store.name
    return capabilities


def image_capabilities(store: Store) -> ImageCapabilities:
    """What an image store declared when it was added."""
    capabilities = _capabilities.decode(store.capabilities)
    assert isinstance(capabilities, ImageCapabilities), store.name
    return capabilities


def endpoint(store: Store) -> str:
    """The host through which content is moved: the first that the store is attached to."""
    if not store.hosts:
        raise Refused(f"store {store.name} is attached to no host, so nobody can move its bytes")
    return store.hosts[0]


def writing_mode(capabilities: PrimaryCapabilities) -> AccessMode:
    """A mode of access in which a volume can be filled."""
    modes = capabilities.access.modes
    return AccessMode.EXCLUSIVE if AccessMode.EXCLUSIVE in modes else modes[0]


def reading_mode(capabilities: PrimaryCapabilities) -> AccessMode:
    """The weakest mode of access in which a volume can be read."""
    modes = capabilities.access.modes
    return AccessMode.READ_ONLY if AccessMode.READ_ONLY in modes else modes[0]


def primary_step(
    store: str,
    request: Any,
    *,
    undo: Any = None,
    row: str = "",
    moved_bytes: int = 0,
) -> PlannedStep:
    """A planned call of a primary store's driver."""
    inputs = PrimaryInputs(
        store=store, request=request, undo=undo, row=row, moved_bytes=moved_bytes
    )
    return PlannedStep(f"primary.{verb_of(request)}", 1, inputs)


def image_step(store: str, request: Any, *, undo: Any = None) -> PlannedStep:
    """A planned call of an image store's driver."""
    return PlannedStep(
        f"image.{verb_of(request)}", 1, ImageInputs(store=store, request=request, undo=undo)
    )


def life_cycle_step(store: str, request: Any, *, undo: Any = None) -> PlannedStep:
    """A planned call of a store's life cycle."""
    inputs = LifeCycleInputs(store=store, request=request, undo=undo)
    return PlannedStep(f"life_cycle.{verb_of(request)}", 1, inputs)


def name_of(row: Row) -> str:
    """What people call a row: its name where it has one, else its id."""
    return str(getattr(row, "name", "")) or row.id
