"""The life cycle of a namespace: from nothing to a store, through maintenance, and back."""

import contextlib

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.errors import (
    DriverError,
    Exhausted,
    InUse,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from holdfast.contract.identity import check_adoptable, check_initialized
from holdfast.contract.ports import LifeCycle
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.memory.backend import Backend, Store
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES, MemoryConfig
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.find_backend import backend_of


class MemoryLifeCycle(LifeCycle):
    """The life cycle of one namespace; the configuration is looked at by every verb."""

    def __init__(self, config: MemoryConfig, role: Role) -> None:
        self.config = config
        self.role = role

    def backend(self) -> Backend:
        """The backend, reachable and with its credential accepted."""
        backend = backend_of(self.config)
        backend.reach()
        self.check_token(backend)
        return backend

    def check_token(self, backend: Backend) -> None:
        """``Unauthenticated`` for a wrong token."""
        if self.config.token != backend.token:
            raise Unauthenticated(f"memory space {backend.name} does not accept the token")

    def check_place(self) -> None:
        """``Invalid`` for a namespace that cannot be a store's place."""
        namespace = self.config.namespace
        if not namespace or not namespace.isprintable() or "/" in namespace:
            raise Invalid(f"namespace {namespace!r} is no place; use printable text without '/'")

    def found(self, backend: Backend) -> Store:
        """The store in this place, whichever it is, or ``NotFound``."""
        store = backend.stores.get((self.role, self.config.namespace))
        if store is None:
            raise NotFound("the store is not initialized; initialize it first")
        return store

    def store(self, backend: Backend) -> Store:
        """The store that this life cycle is of; ``Precondition`` where the place is another."""
        store = self.found(backend)
        self.expected.check(store.info())
        return store

    def changing(self, ctx: CallContext) -> Store:
        """The store, for a call that changes it and is not late."""
        store = self.store(self.backend())
        store.fences.enter(Fenced.STORE, "", ctx.fence)
        return store

    def info(self, store: Store) -> answers.StoreInfo:
        """What is reported of a store."""
        return store.info()

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        """The answer where the place is a store: the same one, or ``Conflict``."""
        check_initialized(store.info(), name=request.name, identity=request.identity)
        return self.info(store)

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        try:
            backend = self.backend()
        except Unavailable:
            if backend_exists(self.config):
                raise
            raise Invalid(f"there is no memory space {self.config.space!r}") from None
        self.check_place()
        place = (self.role, self.config.namespace)
        existing_store = backend.stores.get(place)
        if existing_store is not None:
            return self.existing(existing_store, request)
        store = Store(runtime().new_id("store"), request.name, identity=request.identity)
        store.fences.enter(Fenced.STORE, "", ctx.fence)
        backend.stores[place] = store
        return self.info(store)

    async def get(self, ctx: CallContext) -> answers.StoreInfo:
        store = self.found(self.backend())
        with contextlib.suppress(DriverError):  # a look that comes late sees the same as any other
            store.fences.enter(Fenced.STORE, "", ctx.fence)
        return self.info(store)

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> answers.StoreInfo:
        store = self.found(self.backend())
        store.fences.enter(Fenced.STORE, "", ctx.fence)
        check_adoptable(store.info(), driver_id=request.driver_id, identity=request.identity)
        store.identity = request.identity
        return self.info(store)

    def hosts_max(self) -> int | None:
        """How many hosts may be attached; an image store has no limit."""
        return PRIMARY_CAPABILITIES.access.hosts_max if self.role is Role.PRIMARY else None

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        store = self.changing(ctx)
        most = self.hosts_max()
        if request.host not in store.hosts and most is not None and len(store.hosts) >= most:
            raise Exhausted(f"the store has {most} hosts already", what="hosts")
        store.hosts.add(request.host)
        return self.info(store)

    def refuse_granted(self, store: Store, host: str) -> None:
        """``InUse`` while the host has grants."""
        holders = tuple(sorted(volume for volume, name in store.grants if name == host))
        if holders:
            raise InUse(
                f"the host has grants of {', '.join(holders)}; revoke first",
                object=host,
                holders=holders,
            )

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> answers.StoreInfo:
        store = self.changing(ctx)
        self.refuse_granted(store, request.host)
        store.hosts.discard(request.host)
        return self.info(store)

    def set_state(self, store: Store, state: StoreState) -> None:
        """Put the store into service or maintenance."""
        store.state = state

    async def maintain(
        self, ctx: CallContext, request: requests.MaintainStore
    ) -> answers.StoreInfo:
        store = self.changing(ctx)
        self.set_state(store, StoreState.MAINTENANCE)
        return self.info(store)

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> answers.StoreInfo:
        store = self.changing(ctx)
        self.set_state(store, StoreState.UP)
        return self.info(store)

    def holders(self, store: Store) -> tuple[str, ...]:
        """The keys of everything that lives in a store."""
        tables = (store.volumes, store.snapshots, store.objects, store.uploads)
        return tuple(sorted(key for table in tables for key in table))

    def remove(self, backend: Backend) -> None:
        """Take the store with its tables out."""
        del backend.stores[self.role, self.config.namespace]

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> answers.Gone:
        backend = self.backend()
        store = backend.stores.get((self.role, self.config.namespace))
        if store is not None:
            self.expected.check(store.info())
            store.fences.enter(Fenced.STORE, "", ctx.fence)
            holders = self.holders(store)
            if holders:
                raise InUse(
                    f"the store holds {', '.join(holders)}; delete them first",
                    object=store.name,
                    holders=holders,
                )
            self.remove(backend)
        return answers.Gone(key=self.config.namespace)


def backend_exists(config: MemoryConfig) -> bool:
    """Whether the configured space is in this process at all."""
    try:
        backend_of(config)
    except Unavailable:
        return False
    return True
