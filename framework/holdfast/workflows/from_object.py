"""What templates and backups have in common: a volume is made from one, and one is deleted."""

from holdfast.capacity import ledger
from holdfast.catalogue.port import Transaction
from holdfast.contract.requests import CreateVolume, DeleteObject, DeleteVolume, Grant, Revoke, Role
from holdfast.model.rows import Backup, Involved, StoredObject, Template, Volume
from holdfast.model.state_tables import Event, ObjectState
from holdfast.operations.plans import Plan, PlannedStep
from holdfast.operations.workflow import GOING, Draft
from holdfast.steps.content_steps import (
    CloneObjectInputs,
    FillInputs,
    GrantedVolume,
    ImageObject,
    VerifyVolumeInputs,
)
from holdfast.workflows.row_holds import (
    Refused,
    begin,
    check_unread,
    create,
    endpoint,
    image_step,
    primary_capabilities,
    primary_step,
    store_in_service,
    writing_mode,
)


def located(tx: Transaction, owner: str) -> StoredObject:
    """Where a template or backup can be read: its first Ready object, in order of ids."""
    rows = tx.select(StoredObject, owner=owner)
    for row in rows:
        if row.state is ObjectState.READY:
            return row
    states = ", ".join(f"{row.state} in {row.store}" for row in rows) or "in no store"
    raise Refused(f"no copy of {owner} can be read now ({states})")


def deletion(tx: Transaction, owner: Template | Backup) -> Draft:
    """Delete a template or backup wherever it is stored, and the row with the last copy.

    Raises:
        Refused: an operation without an outcome reads a copy, or works on it; or there is none.
    """
    copies = [
        row
        for row in tx.select(StoredObject, owner=owner.id)
        if row.state is not ObjectState.EXPUNGED
    ]
    if not copies:
        raise Refused(f"{type(owner).__name__.lower()} {owner.name} is stored nowhere")
    check_unread(tx, owner, copies)
    involved = [begin(tx, row, Event.EXPUNGE_REQUESTED) for row in copies]
    return Draft(
        plan=tuple(image_step(row.store, DeleteObject(key=row.key)) for row in copies),
        involved=(*involved, Involved(owner.table, owner.id, GOING)),
    )


def volume_from_object(
    tx: Transaction, volume: Volume, source: ImageObject
) -> tuple[Plan, Involved]:
    """Insert the volume, reserve its bytes, and plan: create, fill, verify, hand over.

    The volume becomes Ready only after its content was read back and compared. A store that takes
    data itself (``clone.from_data``) does so; any other is filled through a grant to a host.
    """
    store = store_in_service(tx, volume.store, Role.PRIMARY)
    declared = primary_capabilities(store)
    involved = create(tx, volume)
    promised = ledger.rounded_bytes(store, volume.size_bytes)
    ledger.reserve_new(tx, store=store.id, holder=volume.id, amount_bytes=promised)
    host = endpoint(store)
    target = GrantedVolume(store=store.id, key=volume.key, host=host)
    grant = primary_step(
        store.id,
        Grant(volume=volume.key, host=host, mode=writing_mode(declared)),
        undo=Revoke(volume=volume.key, host=host),
    )
    verify = PlannedStep("volume.verify", 1, VerifyVolumeInputs(source=source, target=target))
    revoke = primary_step(store.id, Revoke(volume=volume.key, host=host))
    if declared.clone is not None and declared.clone.from_data:
        clone = CloneObjectInputs(
            source=source,
            store=store.id,
            key=volume.key,
            size_bytes=volume.size_bytes,
            row=volume.id,
        )
        created = PlannedStep("volume.create_from_object", 1, clone)
        return (created, grant, verify, revoke), involved
    created = primary_step(
        store.id,
        CreateVolume(key=volume.key, size_bytes=volume.size_bytes),
        undo=DeleteVolume(key=volume.key),
        row=volume.id,
    )
    fill = PlannedStep("volume.fill", 1, FillInputs(source=source, target=target))
    return (created, grant, fill, verify, revoke), involved
