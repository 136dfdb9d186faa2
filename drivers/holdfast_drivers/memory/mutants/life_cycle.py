"""Defects in the life cycle of a store."""

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.errors import InUse, NotFound
from holdfast.contract.identity import ANY_STORE, ExpectedStore
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Store
from holdfast_drivers.memory.find_backend import backend_of
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class InitializeAgainMakesAnotherStore(MemoryLifeCycle):
    """Initializing again gives the store a new id (as the second pools of cloudstack#10763)."""

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        answer = super().existing(store, request)
        store.id = runtime().new_id("store")
        return msgspec.structs.replace(answer, id=store.id)


class InitializeRenamesTheStore(MemoryLifeCycle):
    """Another name for a place that is a store already is accepted (as apache/cloudstack#10616)."""

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        store.name = request.name
        return self.info(store)


class AcceptsAnyToken(MemoryLifeCycle):
    """The credential is not checked."""

    def check_token(self, backend: Backend) -> None:
        """Accept whatever comes."""


class RefusedInitializeLeavesARecord(MemoryLifeCycle):
    """The store is recorded before the credential is checked (as apache/cloudstack#11586)."""

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        backend = backend_of(self.config)
        place = (self.role, self.config.namespace)
        if backend.token != self.config.token and place not in backend.stores:
            backend.stores[place] = Store(runtime().new_id("store"), request.name)
        return await super().initialize(ctx, request)


class LaterHostsAreNotAttached(MemoryLifeCycle):
    """Only the first host is really attached (as apache/cloudstack#9295)."""

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        store = self.store(self.backend())
        if not store.hosts:
            return await super().attach(ctx, request)
        hosts = tuple(sorted({*store.hosts, request.host}))
        return msgspec.structs.replace(self.info(store), hosts=hosts)


class DetachLeavesTheHost(MemoryLifeCycle):
    """A detached host stays attached in the backend."""

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> answers.StoreInfo:
        store = self.store(self.backend())
        self.refuse_granted(store, request.host)
        hosts = tuple(sorted(store.hosts - {request.host}))
        return msgspec.structs.replace(self.info(store), hosts=hosts)


class DetachesAGrantedHost(MemoryLifeCycle):
    """A host is detached although volumes are granted to it."""

    def refuse_granted(self, store: Store, host: str) -> None:
        """Refuse nothing."""


class MaintenanceStillAllocates(MemoryPrimaryDriver):
    """Volumes, snapshots and grants are made in maintenance (as apache/cloudstack#8450)."""

    def allocating_store(self) -> Store:
        return self.store()


class MaintenanceIsOnlyReported(MemoryLifeCycle):
    """Maintenance is reported, and the backend stays in service (as apache/cloudstack#8450)."""

    async def maintain(
        self, ctx: CallContext, request: requests.MaintainStore
    ) -> answers.StoreInfo:
        store = self.store(self.backend())
        return msgspec.structs.replace(self.info(store), state=StoreState.MAINTENANCE)


class MaintenanceRevokesGrants(MemoryLifeCycle):
    """Going into maintenance takes the grants away that should keep working."""

    def set_state(self, store: Store, state: StoreState) -> None:
        super().set_state(store, state)
        if state is StoreState.MAINTENANCE:
            store.grants.clear()


class CancelLeavesMaintenanceOn(MemoryLifeCycle):
    """Cancelling maintenance answers with success and does nothing (as apache/cloudstack#11764)."""

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> answers.StoreInfo:
        store = self.store(self.backend())
        return msgspec.structs.replace(self.info(store), state=StoreState.UP)


class DeletesAStoreThatIsInUse(MemoryLifeCycle):
    """A store is deleted with the volumes and objects in it (as apache/cloudstack#13174)."""

    def holders(self, store: Store) -> tuple[str, ...]:
        return ()


class RefusesToDeleteAndEmptiesTheStore(MemoryLifeCycle):
    """Deleting a store that is in use is refused after everything in it was deleted."""

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> answers.Gone:
        try:
            return await super().delete_store(ctx, request)
        except InUse:
            store = self.store(self.backend())
            for table in (store.grants, store.snapshots, store.volumes, store.objects):
                table.clear()
            raise


class AbsentStoreCannotBeDeleted(MemoryLifeCycle):
    """Deleting a store that is gone already fails (as apache/cloudstack#14204)."""

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> answers.Gone:
        if (self.role, self.config.namespace) not in self.backend().stores:
            raise NotFound("there is no store to delete")
        return await super().delete_store(ctx, request)


class DeletedStoreLeavesARecord(MemoryLifeCycle):
    """Deleting a store succeeds, and its record stays in the backend."""

    def remove(self, backend: Backend) -> None:
        """Remove nothing."""


class VolumesOfWhateverStoreIsThere(MemoryPrimaryDriver):
    """Which store is expected is looked at when a driver is opened, and never again."""

    @property
    def expected(self) -> ExpectedStore:
        return ANY_STORE


class ObjectsOfWhateverStoreIsThere(MemoryImageDriver):
    """An image store's driver takes whatever store its place has become."""

    @property
    def expected(self) -> ExpectedStore:
        return ANY_STORE


MUTANTS = (
    planted("LIF-01", InitializeAgainMakesAnotherStore),
    planted("LIF-01", InitializeRenamesTheStore),
    planted("LIF-02", AcceptsAnyToken),
    planted("LIF-02", RefusedInitializeLeavesARecord),
    planted("LIF-03", LaterHostsAreNotAttached),
    planted("LIF-03", DetachLeavesTheHost),
    planted("LIF-03", DetachesAGrantedHost),
    planted("LIF-05", MaintenanceStillAllocates),
    planted("LIF-05", MaintenanceIsOnlyReported),
    planted("LIF-05", MaintenanceRevokesGrants),
    planted("LIF-05", CancelLeavesMaintenanceOn),
    planted("LIF-08", DeletesAStoreThatIsInUse),
    planted("LIF-08", RefusesToDeleteAndEmptiesTheStore),
    planted("LIF-09", AbsentStoreCannotBeDeleted),
    planted("LIF-09", DeletedStoreLeavesARecord),
    planted("LIF-14", VolumesOfWhateverStoreIsThere),
    planted("LIF-14", ObjectsOfWhateverStoreIsThere),
)
