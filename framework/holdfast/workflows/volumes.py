"""Volumes: create an empty one, delete, resize."""

from holdfast.capacity import ledger
from holdfast.catalogue.port import Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.requests import CreateVolume, DeleteVolume, ResizeVolume, Revoke, Role
from holdfast.model.rows import Store, Volume, VolumeGrant, VolumeKind
from holdfast.model.state_tables import Event, GrantState
from holdfast.operations.workflow import Draft, Workflow
from holdfast.workflows.row_holds import (
    Refused,
    begin,
    create,
    primary_step,
    require_service,
    store_in_service,
)


def create_volume(
    *, name: str, store: str, size_bytes: int, kind: VolumeKind = VolumeKind.DATA
) -> Workflow:
    """A new volume of at least ``size_bytes`` that reads as zeroes where the store zeroes."""
    volume = runtime().new_id("vol")

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        promised = ledger.rounded_bytes(store_in_service(tx, store, Role.PRIMARY), size_bytes)
        row = Volume(
            id=volume, name=name, kind=kind, store=store, key=volume, size_bytes=size_bytes
        )
        involved = create(tx, row)
        ledger.reserve_new(tx, store=store, holder=volume, amount_bytes=promised)
        step = primary_step(
            store,
            CreateVolume(key=volume, size_bytes=size_bytes),
            undo=DeleteVolume(key=volume),
            row=volume,
        )
        return Draft(plan=(step,), involved=(involved,))

    return Workflow(kind="create_volume", subject=volume, draft=draft)


def delete_volume(volume: str) -> Workflow:
    """Delete a volume that no host uses; one in Error is first taken from every host."""

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        row = tx.get(Volume, volume)
        held = [
            grant.host
            for grant in tx.select(VolumeGrant, volume=volume)
            if grant.state is not GrantState.REVOKED
        ]
        if held:
            raise Refused(f"volume {row.name} is attached to {', '.join(held)}; detach it first")
        involved = begin(tx, row, Event.EXPUNGE_REQUESTED)
        # What went wrong may have left a grant that no row knows.
        hosts = () if involved.sound else tx.get(Store, row.store).hosts
        revokes = tuple(
            primary_step(row.store, Revoke(volume=row.key, host=host)) for host in hosts
        )
        delete = primary_step(row.store, DeleteVolume(key=row.key))
        return Draft(plan=(*revokes, delete), involved=(involved,))

    return Workflow(kind="delete_volume", subject=volume, holds=(volume,), draft=draft)


def resize_volume(volume: str, *, size_bytes: int, shrink: bool = False) -> Workflow:
    """Make a volume ``size_bytes`` large, rounded up to what its store can make.

    Only with ``shrink`` does it become smaller; to grow, its store must be in service.
    """

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        row = tx.get(Volume, volume)
        store = tx.get(Store, row.store)
        promised = ledger.rounded_bytes(store, size_bytes)
        if promised < row.size_bytes and not shrink:
            raise Refused(
                f"volume {row.name} has {row.size_bytes} bytes; to make it smaller, which cuts off "
                "what is behind that, ask it to shrink"
            )
        if promised > row.size_bytes:
            require_service(store)
        involved = begin(tx, row, Event.RESIZE_REQUESTED)
        ledger.reserve(tx, store=row.store, holder=volume, amount_bytes=promised)
        step = primary_step(
            row.store,
            ResizeVolume(key=row.key, size_bytes=size_bytes, shrink=shrink),
            row=volume,
        )
        return Draft(plan=(step,), involved=(involved,))

    return Workflow(kind="resize_volume", subject=volume, holds=(volume,), draft=draft)
