"""What the end of an operation means for each kind of row that it holds."""

from collections.abc import Callable
from typing import Any

from holdfast.capacity import ledger
from holdfast.catalogue.port import Transaction
from holdfast.model.rows import (
    ROWS,
    Involved,
    LedgerEntry,
    Row,
    Snapshot,
    StatefulRow,
    Store,
    StoredObject,
    Volume,
    VolumeGrant,
)
from holdfast.model.state_sets import GONE, UNCERTAIN
from holdfast.model.state_tables import Event, GrantState, ObjectState, VolumeState
from holdfast.operations.operation_outcome import EVENT_OF, Verdict
from holdfast.operations.workflow import GOING, NEW, SHARED, TEMPORARY
from holdfast.stores.retirement import retire_lost

TABLES: dict[str, type[Row]] = {row.table: row for row in ROWS}


def end_row(tx: Transaction, involved: Involved, verdict: Verdict) -> None:
    """An operation has ended: a row that it held leaves its transitional state, and what follows
    from that for its kind is done. What it only read stays as it is.
    """
    kind = TABLES[involved.table]
    if involved.begun == SHARED:
        return
    if issubclass(kind, StatefulRow):
        _end_stateful_row(tx, kind, involved, verdict)
    else:
        _end_plain_row(tx, kind, involved, verdict)


def doubt_row(tx: Transaction, involved: Involved) -> None:
    """Nobody knows what became of an operation: a row that it holds waits for recovery."""
    kind = TABLES[involved.table]
    if involved.begun != SHARED and issubclass(kind, StatefulRow):
        tx.fire(tx.get(kind, involved.id), Event.OUTCOME_UNKNOWN)


def _end_plain_row(tx: Transaction, kind: type[Row], involved: Involved, verdict: Verdict) -> None:
    dropped = {
        NEW: verdict is Verdict.FAILED_CLEAN,
        GOING: verdict is Verdict.SUCCEEDED,
        TEMPORARY: verdict is not Verdict.FAILED_DIRTY,
    }[involved.begun]
    if not dropped:
        return
    if kind is LedgerEntry:
        ledger.release_all(tx, holder=involved.id)
        return
    row = tx.find(kind, involved.id)
    if row is not None:
        tx.remove(row)


def _end_stateful_row(
    tx: Transaction, kind: type[StatefulRow], involved: Involved, verdict: Verdict
) -> None:
    row = tx.get(kind, involved.id)
    if verdict is Verdict.FAILED_DIRTY and not involved.principal:
        verdict = Verdict.FAILED_CLEAN
    after = tx.fire(row, _ending_event(row, involved, verdict))
    follow = _AFTER.get(kind)
    if follow is not None:
        follow(tx, after)


def _settle_capacity(tx: Transaction, holder: Volume | Snapshot | StoredObject) -> None:
    """What was reserved for it is committed where it is there, and released where it is gone."""
    if holder.state in (VolumeState.READY, ObjectState.READY):
        promised = ledger.promised_bytes(tx, holder)
        ledger.settle(tx, store=holder.store, holder=holder.id, amount_bytes=promised)
    elif holder.state in GONE:
        ledger.release(tx, store=holder.store, holder=holder.id)


def _close_account(tx: Transaction, store: Store) -> None:
    """A store that is gone has no capacity, and what was lost in it is gone with it."""
    if store.state in GONE:
        ledger.close_account(tx, store.id)
        retire_lost(tx, store.id)


def _drop_revoked(tx: Transaction, grant: VolumeGrant) -> None:
    """A volume may be granted thousands of times; the operations are the history of that."""
    if grant.state is GrantState.REVOKED:
        tx.remove(grant)


_AFTER: dict[type[Row], Callable[[Transaction, Any], None]] = {
    Volume: _settle_capacity,
    Snapshot: _settle_capacity,
    StoredObject: _settle_capacity,
    Store: _close_account,
    VolumeGrant: _drop_revoked,
}
"""What follows for a row of each kind once its state says how the operation on it ended."""


def _ending_event(row: StatefulRow, involved: Involved, verdict: Verdict) -> Event:
    """The event that ends a row's part; a row left Uncertain gets its counterpart of recovery."""
    if verdict is Verdict.FAILED_CLEAN and not involved.sound:
        verdict = Verdict.FAILED_DIRTY
    event = EVENT_OF[verdict]
    if row.state not in UNCERTAIN:
        return event
    target = row.machine.next(type(row.state)(involved.begun), event)
    for recovered in (
        Event.RECOVERED_READY,
        Event.RECOVERED_ABSENT,
        Event.RECOVERED_MAINTENANCE,
        Event.RECOVERED_DIRTY,
    ):
        if row.machine.table.get((row.state, recovered)) == target:
            return recovered
    return Event.RECOVERED_DIRTY
