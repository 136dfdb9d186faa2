"""Rows that outlived their store: what was lost in it, and what failed in it, goes with it.

Nothing can be done about such a row any more: its store cannot be opened, and has no bytes.
"""

from typing import Final

from holdfast import ledger
from holdfast.catalogue.port import Transaction
from holdfast.model.rows import (
    Backup,
    LedgerEntry,
    Row,
    Snapshot,
    Store,
    StoredObject,
    Template,
    Volume,
    VolumeGrant,
)
from holdfast.model.states import Event, GrantState, ObjectState, StoreState

Held = Volume | Snapshot | StoredObject
HELD: Final[tuple[type[Held], ...]] = (Snapshot, Volume, StoredObject)
OUTLIVING: Final = ("Lost", "Error")
"""States of a row that keep no store from being removed, or that an operation left in one that was
removed meanwhile."""

_SETTLED: Final = (GrantState.GRANTED, GrantState.ERROR, GrantState.REVOKED)


def retire_lost(tx: Transaction, store: str) -> None:
    """Drop what was lost in a store that is given back now."""
    for kind in HELD:
        for row in tx.intact(kind, store=store):
            if row.state.value == "Lost":
                retire(tx, row)


def outlived(tx: Transaction, row: Held) -> bool:
    """Whether a row is of no use to anybody, since its store was removed."""
    if row.state.value not in OUTLIVING:
        return False
    store = tx.find(Store, row.store)
    return store is None or store.state is StoreState.REMOVED


def retire(tx: Transaction, row: Held) -> None:
    """Drop one such row, with what is nothing without it."""
    if isinstance(row, Volume):
        for grant in tx.intact(VolumeGrant, volume=row.id):
            if grant.state in _SETTLED:
                _drop(tx, grant)
    _drop(tx, row)
    entry = tx.find(LedgerEntry, ledger.entry_id(row.id, row.store))
    if entry is not None:
        # The account went with the store, or goes with it now.
        tx.remove(entry)
    if isinstance(row, StoredObject) and not _is_stored(tx, row.owner):
        # What is stored nowhere can be neither used nor deleted.
        for owner in (tx.find(Backup, row.owner), tx.find(Template, row.owner)):
            if owner is not None:
                tx.remove(owner)


def _is_stored(tx: Transaction, owner: str) -> bool:
    copies = tx.select(StoredObject, owner=owner)
    return any(copy.state is not ObjectState.EXPUNGED for copy in copies)


def _drop(tx: Transaction, row: Row) -> None:
    machine = row.machine
    assert machine is not None
    state = getattr(row, "state")  # noqa: B009 - Row itself has none
    if state not in machine.terminal:
        row = tx.fire(row, Event.EXPUNGE_REQUESTED)
        row = tx.fire(row, Event.OPERATION_SUCCEEDED)
    tx.remove(row)
