"""Snapshots: take, delete, and revert a volume to one."""

from holdfast.capacity import ledger
from holdfast.catalogue.port import Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.requests import CreateSnapshot, DeleteSnapshot, RevertVolume
from holdfast.model.rows import Snapshot, Store, Volume
from holdfast.model.state_tables import Event
from holdfast.operations.workflow import Draft, Workflow
from holdfast.workflows.row_holds import (
    Refused,
    begin,
    create,
    primary_capabilities,
    primary_step,
    require_service,
)


def create_snapshot(volume: str, *, name: str) -> Workflow:
    """Keep a volume's bytes as they are now, on its own store."""
    snapshot = runtime().new_id("snap")

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        row = tx.get(Volume, volume)
        store = tx.get(Store, row.store)
        declared = primary_capabilities(store).snapshot
        if declared is None:
            raise Refused(f"store {store.name} cannot take snapshots")
        require_service(store)
        borrowed = begin(tx, row, Event.SNAPSHOT_REQUESTED, principal=False)
        snapshot_row = Snapshot(
            id=snapshot,
            name=name,
            volume=volume,
            store=row.store,
            key=snapshot,
            size_bytes=row.size_bytes,
        )
        involved = create(tx, snapshot_row)
        amount = ledger.promised_bytes(tx, snapshot_row)
        ledger.reserve_new(tx, store=row.store, holder=snapshot, amount_bytes=amount)
        step = primary_step(
            row.store,
            CreateSnapshot(key=snapshot, volume=row.key),
            undo=DeleteSnapshot(key=snapshot),
            row=snapshot,
            moved_bytes=amount,
        )
        return Draft(plan=(step,), involved=(involved, borrowed))

    return Workflow(kind="create_snapshot", subject=snapshot, holds=(volume,), draft=draft)


def delete_snapshot(snapshot: str) -> Workflow:
    """Delete a snapshot; its volume and all other snapshots keep their bytes."""

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        row = tx.get(Snapshot, snapshot)
        involved = begin(tx, row, Event.EXPUNGE_REQUESTED)
        step = primary_step(row.store, DeleteSnapshot(key=row.key))
        return Draft(plan=(step,), involved=(involved,))

    return Workflow(kind="delete_snapshot", subject=snapshot, holds=(snapshot,), draft=draft)


def revert_volume(volume: str, *, snapshot: str) -> Workflow:
    """Return a volume to one of its snapshots: bytes and size."""

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        row, snapshot_row = tx.get(Volume, volume), tx.get(Snapshot, snapshot)
        store = tx.get(Store, row.store)
        declared = primary_capabilities(store).snapshot
        if declared is None or not declared.revert:
            raise Refused(f"store {store.name} cannot revert volumes")
        if snapshot_row.volume != volume:
            raise Refused(f"snapshot {snapshot_row.name} is of another volume than {row.name}")
        if snapshot_row.size_bytes > row.size_bytes or not declared.native:
            require_service(store)  # it is made of new bytes, beside the old ones
        involved = begin(tx, row, Event.REVERT_REQUESTED)
        borrowed = begin(tx, snapshot_row, Event.COPY_REQUESTED, principal=False)
        ledger.reserve(tx, store=row.store, holder=volume, amount_bytes=snapshot_row.size_bytes)
        step = primary_step(
            row.store,
            RevertVolume(key=row.key, snapshot=snapshot_row.key),
            row=volume,
            moved_bytes=0 if declared.native else snapshot_row.size_bytes,
        )
        return Draft(plan=(step,), involved=(involved, borrowed))

    return Workflow(kind="revert_volume", subject=volume, holds=(volume, snapshot), draft=draft)
