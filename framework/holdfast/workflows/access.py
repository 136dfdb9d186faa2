"""Access: attach a volume to a host, and detach it again."""

from holdfast.catalogue.port import Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import Grant, Revoke
from holdfast.model.rows import Store, Volume, VolumeGrant
from holdfast.model.state_tables import Event, GrantState, VolumeState
from holdfast.operations.workflow import Draft, Workflow
from holdfast.text.names import shown
from holdfast.text.nearest import nearest_names
from holdfast.workflows.row_holds import (
    Refused,
    begin,
    create,
    primary_step,
    require,
    require_service,
)


def attach_volume(volume: str, *, host: str, mode: AccessMode = AccessMode.EXCLUSIVE) -> Workflow:
    """Let a host use a volume."""
    grant = runtime().new_id("grant")

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        row = tx.get(Volume, volume)
        require(row, VolumeState.READY)
        store = tx.get(Store, row.store)
        require_service(store)
        if host not in store.hosts:
            raise Refused(
                f"store {store.name} is not attached to host {shown(host)}; "
                f"{nearest_names(host, list(store.hosts))}"
            )
        for held in _held(tx, volume, host):
            raise Refused(f"volume {row.name} is attached to {host} already ({held.state})")
        involved = create(tx, VolumeGrant(id=grant, volume=volume, host=host, mode=mode))
        step = primary_step(
            row.store,
            Grant(volume=row.key, host=host, mode=mode),
            undo=Revoke(volume=row.key, host=host),
            row=grant,
        )
        return Draft(plan=(step,), involved=(involved,))

    return Workflow(kind="attach_volume", subject=volume, holds=(volume,), draft=draft)


def detach_volume(volume: str, *, host: str) -> Workflow:
    """Take a volume from a host; its handles stop working."""

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        row = tx.get(Volume, volume)
        held = _held(tx, volume, host)
        if not held:
            raise Refused(f"volume {row.name} is not attached to {host}")
        involved = begin(tx, held[0], Event.EXPUNGE_REQUESTED)
        step = primary_step(row.store, Revoke(volume=row.key, host=host))
        return Draft(plan=(step,), involved=(involved,))

    return Workflow(kind="detach_volume", subject=volume, holds=(volume,), draft=draft)


def _held(tx: Transaction, volume: str, host: str) -> list[VolumeGrant]:
    """The grants of a volume to a host that are not revoked; those from before that are go."""
    held: list[VolumeGrant] = []
    for grant in tx.select(VolumeGrant, volume=volume, host=host):
        if grant.state is GrantState.REVOKED:
            tx.remove(grant)
        else:
            held.append(grant)
    return held
