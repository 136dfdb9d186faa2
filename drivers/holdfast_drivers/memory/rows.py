"""The part of the primary driver that all its verbs share: the store, its rows and its figures."""

from holdfast import infos, requests
from holdfast.capabilities import PrimaryCapabilities
from holdfast.errors import InUse, NotFound, Precondition
from holdfast.ports import PrimaryDriver
from holdfast.requests import CallContext, Role
from holdfast_drivers.memory.backend import Backend, Granted, Snapshot, Store, Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES, TOTAL_BYTES


class PrimaryRows(PrimaryDriver):
    """A driver bound to one namespace of a backend; it holds nothing else.

    Each decision is a small method of its own, so that a planted defect replaces exactly one.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        self.backend = backend
        self.namespace = namespace

    @property
    def capabilities(self) -> PrimaryCapabilities:
        return PRIMARY_CAPABILITIES

    # The store

    def store(self) -> Store:
        """The driver's store; ``Unavailable`` when down, ``NotFound`` before ``initialize``."""
        self.backend.reach()
        store = self.backend.stores.get((Role.PRIMARY, self.namespace))
        if store is None:
            raise NotFound("the store is not initialized; initialize it first")
        return store

    def allocating_store(self) -> Store:
        """The driver's store for a new allocation; ``Precondition`` in maintenance."""
        store = self.store()
        if store.state is infos.StoreState.MAINTENANCE:
            raise Precondition(
                f"store {store.name} is in maintenance; cancel it first", state=store.state.value
            )
        return store

    def row_key(self, key: str) -> str:
        """The name of a key's row in the backend: the key itself."""
        return key

    def volume(self, store: Store, key: str) -> Volume:
        """The volume under a key, or ``NotFound``."""
        found = store.volumes.get(self.row_key(key))
        if found is None:
            raise NotFound("there is no volume under this key", object=key)
        return found

    def snapshot(self, store: Store, key: str) -> Snapshot:
        """The snapshot under a key, or ``NotFound``."""
        found = store.snapshots.get(key)
        if found is None:
            raise NotFound("there is no snapshot under this key", object=key)
        return found

    def grants_of(self, store: Store, volume: str) -> list[Granted]:
        """The grants of a volume, by host."""
        rows = [row for (name, _), row in store.grants.items() if name == volume]
        return sorted(rows, key=lambda row: row.host)

    def snapshots_of(self, store: Store, volume: str) -> list[Snapshot]:
        """The snapshots of a volume, by key."""
        rows = [row for row in store.snapshots.values() if row.volume == volume]
        return sorted(rows, key=lambda row: row.key)

    def refuse_in_use(self, store: Store, key: str) -> None:
        """``InUse`` while any host has a grant of the volume."""
        holders = tuple(row.host for row in self.grants_of(store, key))
        if holders:
            raise InUse(
                f"the volume is granted to {', '.join(holders)}; revoke first",
                object=key,
                holders=holders,
            )

    def info(self, volume: Volume) -> infos.VolumeInfo:
        """What is reported of a volume."""
        match volume.source:
            case requests.SnapshotSource(key) | requests.VolumeSource(key):
                source = key
            case _:
                source = ""
        return infos.VolumeInfo(
            key=volume.key, id=volume.id, size_bytes=volume.content.size_bytes, source=source
        )

    # Figures

    def allocated_bytes(self, store: Store) -> int:
        """What is promised: the sizes of all volumes and snapshots."""
        return sum(row.content.size_bytes for row in store.volumes.values()) + sum(
            row.content.size_bytes for row in store.snapshots.values()
        )

    def used_bytes(self, store: Store) -> int:
        """What occupies space: every distinct block once, however many tables share it."""
        blocks: set[int] = set()
        for table in (store.volumes, store.snapshots):
            for row in table.values():
                blocks.update(map(id, row.content.blocks.values()))
        return len(blocks) * PRIMARY_CAPABILITIES.volume.size_granularity_bytes

    def volume_stats(self, volume: Volume) -> infos.StatsInfo:
        """The figures of one volume; blocks shared with others count here too."""
        return infos.StatsInfo(
            total_bytes=volume.content.size_bytes,
            used_bytes=volume.content.used_bytes,
            allocated_bytes=volume.content.size_bytes,
            objects=1,
        )

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> infos.PoolList:
        store = self.store()
        pool = infos.PoolInfo(
            name="memory",
            total_bytes=TOTAL_BYTES,
            used_bytes=self.used_bytes(store),
            allocated_bytes=self.allocated_bytes(store),
        )
        return infos.PoolList(items=(pool,))

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> infos.StatsInfo:
        store = self.store()
        if request.volume:
            return self.volume_stats(self.volume(store, request.volume))
        return infos.StatsInfo(
            total_bytes=TOTAL_BYTES,
            used_bytes=self.used_bytes(store),
            allocated_bytes=self.allocated_bytes(store),
            objects=len(store.volumes) + len(store.snapshots),
        )

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> infos.HealthInfo:
        return health_of(self.backend)


def health_of(backend: Backend) -> infos.HealthInfo:
    """Whether the backend answers, also before there is a store in it."""
    if backend.down:
        return infos.HealthInfo(
            state=infos.HealthState.DOWN,
            dependency=f"memory space {backend.name}",
            detail="the backend does not answer",
        )
    return infos.HealthInfo(state=infos.HealthState.UP)
