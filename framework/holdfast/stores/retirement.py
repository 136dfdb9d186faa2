"""Rows that outlived their store: what was lost in it, and what failed in it, goes with it.

Nothing can be done about such a row any more: its store cannot be opened, and has no bytes.
"""

from contextlib import suppress
from typing import Final

from holdfast.capacity import ledger
from holdfast.catalogue.port import RowDamaged, Transaction
from holdfast.model.rows import (
    Backup,
    LedgerEntry,
    Row,
    Snapshot,
    StatefulRow,
    Store,
    StoredObject,
    Template,
    Volume,
    VolumeGrant,
)
from holdfast.model.state_sets import UNSOUND
from holdfast.model.state_tables import Event, GrantState, ObjectState, StoreState, VolumeState

Held = Volume | Snapshot | StoredObject
HELD: Final[tuple[type[Held], ...]] = (Snapshot, Volume, StoredObject)
_SETTLED: Final = (GrantState.GRANTED, GrantState.ERROR, GrantState.REVOKED)


def retire_lost(tx: Transaction, store: str) -> None:
    """Drop what was lost in a store that is given back now."""
    for kind in HELD:
        for row in tx.intact(kind, store=store):
            # What it needs is damaged: scrub names that. The store is given back all the same.
            with suppress(RowDamaged):
                if row.state in (VolumeState.LOST, ObjectState.LOST):
                    retire(tx, row)


def outlived(tx: Transaction, row: Held) -> bool:
    """Whether a row is of no use to anybody, since its store was removed."""
    # Such a state keeps no store from being removed, or is left in one that was removed meanwhile.
    if row.state not in UNSOUND:
        return False
    store = tx.find(Store, row.store)
    if store is None:
        # One whose id is damaged may be the row's, and be in service.
        return not tx.damaged(Store)
    return store.state is StoreState.REMOVED


def retire(tx: Transaction, row: Held) -> None:
    """Drop one such row, with what is nothing without it.

    Raises:
        RowDamaged: one of these is damaged; nothing was dropped.
    """
    # The account went with the store, or goes with it now.
    removed: list[Row | None] = [tx.find(LedgerEntry, ledger.entry_id(row.id, row.store))]
    if isinstance(row, StoredObject) and not _is_stored_elsewhere(tx, row):
        # What is stored nowhere can be neither used nor deleted.
        removed += [tx.find(Backup, row.owner), tx.find(Template, row.owner)]
    if isinstance(row, Volume):
        for grant in tx.intact(VolumeGrant, volume=row.id):
            if grant.state in _SETTLED:
                _drop(tx, grant)
    _drop(tx, row)
    for one in removed:
        if one is not None:
            tx.remove(one)


def _is_stored_elsewhere(tx: Transaction, row: StoredObject) -> bool:
    copies = tx.select(StoredObject, owner=row.owner)
    return any(copy.state is not ObjectState.EXPUNGED for copy in copies if copy.id != row.id)


def _drop(tx: Transaction, row: StatefulRow) -> None:
    if row.state not in row.machine.terminal:
        row = tx.fire(row, Event.EXPUNGE_REQUESTED)
        row = tx.fire(row, Event.OPERATION_SUCCEEDED)
    tx.remove(row)
