"""Backups: keep a snapshot's content in an image store, restore it anywhere, delete it."""

from holdfast.capacity import ledger
from holdfast.catalogue.port import Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.requests import (
    CreateVolume,
    DeleteVolume,
    Grant,
    Revoke,
    Role,
    SnapshotSource,
)
from holdfast.model.rows import (
    Backup,
    Involved,
    LedgerEntry,
    Snapshot,
    StoredObject,
    Volume,
)
from holdfast.model.state_tables import Event
from holdfast.operations.plans import PlannedStep
from holdfast.operations.workflow import NEW, TEMPORARY, Draft, Workflow
from holdfast.steps.content_steps import GrantedVolume, ImageObject, SaveInputs, VerifyObjectInputs
from holdfast.workflows.from_object import deletion, located, volume_from_object
from holdfast.workflows.names import insert_named
from holdfast.workflows.row_holds import (
    Refused,
    begin,
    create,
    endpoint,
    primary_capabilities,
    primary_step,
    reading_mode,
    share,
    store_in_service,
)


def create_backup(snapshot: str, *, name: str, store: str) -> Workflow:
    """Store a snapshot's content as an object of an image store, verified by reading it back.

    The snapshot is read through a temporary clone that is named after the operation.
    """
    backup, located_as = runtime().new_id("bak"), runtime().new_id("obj")

    def draft(tx: Transaction, operation: str) -> Draft:
        store_in_service(tx, store, Role.IMAGE)
        row = tx.get(Snapshot, snapshot)
        borrowed = begin(tx, row, Event.COPY_REQUESTED, principal=False)
        size = row.size_bytes
        involved = create(
            tx,
            StoredObject(
                id=located_as,
                owner=backup,
                kind=ObjectKind.SNAPSHOT,
                store=store,
                key=backup,
                size_bytes=size,
            ),
        )
        insert_named(
            tx,
            Backup(id=backup, name=name, volume=row.volume, snapshot=snapshot, size_bytes=size),
        )
        ledger.reserve_new(tx, store=store, holder=located_as, amount_bytes=size)
        save = SaveInputs(
            store=store,
            key=backup,
            upload=operation,
            kind=ObjectKind.SNAPSHOT,
            size_bytes=size,
            row=located_as,
            owner=backup,
        )
        return Draft(
            plan=_through_clone(tx, row, f"{operation}-clone", operation, save),
            involved=(
                involved,
                borrowed,
                Involved(Backup.table, backup, NEW),
                Involved(LedgerEntry.table, operation, TEMPORARY),
            ),
        )

    return Workflow(kind="create_backup", subject=backup, holds=(snapshot,), draft=draft)


def _through_clone(
    tx: Transaction, row: Snapshot, clone: str, operation: str, save: SaveInputs
) -> tuple[PlannedStep, ...]:
    """Clone the snapshot, read the clone into the object, verify, and remove the clone."""
    store = store_in_service(tx, row.store, Role.PRIMARY)
    declared = primary_capabilities(store)
    if declared.clone is None or not declared.clone.from_snapshot:
        raise Refused(f"store {store.name} cannot clone snapshots, so none can be read")
    needed = 0 if declared.clone.native else row.size_bytes
    ledger.reserve_new(tx, store=store.id, holder=operation, amount_bytes=needed)
    host = endpoint(store)
    delete, revoke = DeleteVolume(key=clone), Revoke(volume=clone, host=host)
    source = SnapshotSource(row.key)
    volume = GrantedVolume(store=store.id, key=clone, host=host)
    saved = SaveInputs(
        store=save.store,
        key=save.key,
        upload=save.upload,
        kind=save.kind,
        size_bytes=save.size_bytes,
        row=save.row,
        owner=save.owner,
        volume=volume,
    )
    verify = VerifyObjectInputs(
        store=save.store, key=save.key, size_bytes=save.size_bytes, saved_by=2
    )
    return (
        primary_step(
            store.id,
            CreateVolume(key=clone, size_bytes=row.size_bytes, source=source),
            undo=delete,
            moved_bytes=needed,
        ),
        primary_step(
            store.id, Grant(volume=clone, host=host, mode=reading_mode(declared)), undo=revoke
        ),
        PlannedStep("image.save", 1, saved),
        PlannedStep("image.verify", 1, verify),
        primary_step(store.id, revoke),
        primary_step(store.id, delete),
    )


def restore_backup(backup: str, *, name: str, store: str) -> Workflow:
    """A new volume with a backup's content, on any primary store."""
    volume = runtime().new_id("vol")

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        backup_row = tx.get(Backup, backup)
        copy = located(tx, backup)
        row = Volume(
            id=volume, name=name, store=store, key=volume, size_bytes=backup_row.size_bytes
        )
        source = ImageObject(
            store=copy.store,
            key=copy.key,
            size_bytes=backup_row.size_bytes,
            content=backup_row.content,
        )
        plan, involved = volume_from_object(tx, row, source)
        return Draft(plan=plan, involved=(involved, share(copy)))

    return Workflow(kind="restore_backup", subject=volume, shares=(backup,), draft=draft)


def delete_backup(backup: str) -> Workflow:
    """Delete a backup wherever it is stored."""

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        return deletion(tx, tx.get(Backup, backup))

    return Workflow(kind="delete_backup", subject=backup, holds=(backup,), draft=draft)
