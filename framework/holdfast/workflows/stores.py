"""Stores: add, remove, take into maintenance and back."""

import msgspec

from holdfast.capacity import ledger
from holdfast.catalogue.port import Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.requests import (
    AdoptStore,
    AttachHost,
    CancelMaintenance,
    DeleteStore,
    DetachHost,
    InitializeStore,
    MaintainStore,
    Role,
    ScopeKind,
)
from holdfast.model.rows import Scope, Snapshot, Store, StoredObject, Volume
from holdfast.model.state_sets import WITHOUT_BYTES
from holdfast.model.state_tables import Event, StoreState
from holdfast.operations.plans import PlannedStep
from holdfast.operations.workflow import Draft, Workflow
from holdfast.steps.life_cycle import StoreToDescribe
from holdfast.stores.plugins import load_provider
from holdfast.stores.store_secrets import refuse_passwords, split_config
from holdfast.workflows.references import check_hosts, check_scope
from holdfast.workflows.row_holds import Refused, begin, create, life_cycle_step, name_of, require


def add_store(
    *,
    name: str,
    role: Role,
    provider: str,
    config: msgspec.Struct,
    scope: Scope,
    hosts: tuple[str, ...] = (),
    scopes: tuple[ScopeKind, ...] | None = None,
) -> Workflow:
    """Make a place a store, attach it to hosts, and keep what it declares.

    ``config`` is the provider's configuration, already checked (``holdfast.stores.open_store``);
    a secret in it that is no reference is kept apart, and the row refers to it. ``scopes`` are
    those that the provider has, by default what the installed one says.

    Raises:
        ConfigurationError: no such provider is installed, or an address has a password in it.
    """
    offered = load_provider(provider).scopes if scopes is None else scopes
    store = runtime().new_id("store")
    raw = msgspec.Raw(msgspec.json.encode(config))
    refuse_passwords(raw, provider)
    document, secrets = split_config(store, raw, provider)

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        check_scope(tx, scope, provider=provider, offered=offered)
        check_hosts(tx, scope, hosts)
        row = Store(
            id=store,
            name=name,
            role=role,
            provider=provider,
            scope=scope,
            config=document,
            identity=store,
        )
        involved = create(tx, row)
        ledger.open_account(tx, store)
        return Draft(plan=_adding(row, hosts), involved=(involved,))

    return Workflow(kind="add_store", subject=store, secrets=secrets, draft=draft)


def _adding(store: Store, hosts: tuple[str, ...]) -> tuple[PlannedStep, ...]:
    """Make the place, attach it to its hosts, and ask what it declares."""
    initialize = InitializeStore(name=store.name, identity=store.id)
    return (
        life_cycle_step(store.id, initialize, undo=DeleteStore()),
        *(
            life_cycle_step(store.id, AttachHost(host=host), undo=DetachHost(host=host))
            for host in hosts
        ),
        PlannedStep("store.describe", 1, StoreToDescribe(store=store.id, role=store.role)),
    )


def remove_store(store: str) -> Workflow:
    """Give a store's place back; it must be in service and hold nothing that a row knows."""

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        row = tx.get(Store, store)
        require(row, StoreState.UP, StoreState.ERROR)
        inside = [
            name_of(held)
            for kind in (Volume, Snapshot, StoredObject)
            for held in tx.select(kind, store=store)
            if held.state not in WITHOUT_BYTES
        ]
        if inside:
            raise Refused(
                f"store {row.name} still holds {len(inside)}: {', '.join(inside[:5])}; "
                "delete them first"
            )
        involved = begin(tx, row, Event.EXPUNGE_REQUESTED)
        detach = [
            life_cycle_step(store, DetachHost(host=host), undo=AttachHost(host=host))
            for host in row.hosts
        ]
        return Draft(plan=(*detach, life_cycle_step(store, DeleteStore())), involved=(involved,))

    return Workflow(kind="remove_store", subject=store, holds=(store,), draft=draft)


def adopt_store(store: str) -> Workflow:
    """Write an identity into the place of a store from before stores had one.

    The place is recognized by the id that its driver gave it, which the catalogue has. A store that
    has its identity is only recognized.
    """

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        row = tx.get(Store, store)
        require(row, StoreState.UP, StoreState.MAINTENANCE)
        step = life_cycle_step(store, AdoptStore(driver_id=row.driver_id, identity=row.id))
        return Draft(plan=(step,), involved=())

    return Workflow(kind="adopt_store", subject=store, holds=(store,), draft=draft)


def maintain_store(store: str) -> Workflow:
    """Stop new allocation in a store; what is granted keeps working."""

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        involved = begin(tx, tx.get(Store, store), Event.MAINTENANCE_REQUESTED)
        step = life_cycle_step(store, MaintainStore(), undo=CancelMaintenance())
        return Draft(plan=(step,), involved=(involved,))

    return Workflow(kind="maintain_store", subject=store, holds=(store,), draft=draft)


def cancel_maintenance(store: str) -> Workflow:
    """Return a store to service."""

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        involved = begin(tx, tx.get(Store, store), Event.CANCEL_REQUESTED)
        step = life_cycle_step(store, CancelMaintenance(), undo=MaintainStore())
        return Draft(plan=(step,), involved=(involved,))

    return Workflow(kind="cancel_maintenance", subject=store, holds=(store,), draft=draft)
