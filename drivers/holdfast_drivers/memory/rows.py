"""The part of the primary driver that all its verbs share: the store, its rows and its figures."""

from collections.abc import Iterator

from holdfast import infos, requests
from holdfast.capabilities import PrimaryCapabilities
from holdfast.errors import InUse, NotFound, Precondition
from holdfast.identity import ExpectedStore
from holdfast.ports import PrimaryDriver
from holdfast.requests import CallContext, Role
from holdfast_drivers.memory.backend import Backend, Granted, Snapshot, Store, Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES, TOTAL_BYTES
from holdfast_drivers.memory.enumeration import owned_things


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
        return store_in(self.backend, (Role.PRIMARY, self.namespace), self.expected)

    def owned(self) -> Iterator[infos.OwnedThing]:
        """Everything the namespace owns: nothing before there is a store."""
        self.backend.reach()
        known = (Role.PRIMARY, self.namespace) in self.backend.stores or self.expected.identities
        return owned_things(self.store() if known else None)

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
        return health_of(self.backend, (Role.PRIMARY, self.namespace), self.expected)


def store_in(backend: Backend, place: tuple[Role, str], expected: ExpectedStore) -> Store:
    """The store in a place; ``NotFound`` where there is none, ``Precondition`` for another."""
    store = backend.stores.get(place)
    if store is None:
        raise expected.missing(NotFound("the store is not initialized; initialize it first"))
    expected.check(store.info())
    return store


def health_of(
    backend: Backend, place: tuple[Role, str], expected: ExpectedStore
) -> infos.HealthInfo:
    """Whether the backend answers, and the place is not another store than the one expected."""
    if backend.down:
        return infos.HealthInfo(
            state=infos.HealthState.DOWN,
            dependency=f"memory space {backend.name}",
            detail="the backend does not answer",
        )
    try:
        store_in(backend, place, expected)
    except NotFound:
        pass  # the backend answers also before there is a store
    except Precondition as error:
        return infos.HealthInfo(
            state=infos.HealthState.DOWN, dependency=f"store {expected.name}", detail=error.cause
        )
    return infos.HealthInfo(state=infos.HealthState.UP)
