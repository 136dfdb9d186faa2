"""The part of the primary driver that all its verbs share: the store, its rows and its figures."""

from typing import ClassVar

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.errors import InUse, NotFound
from holdfast.contract.ports import PrimaryDriver
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.memory.backend import Granted, Snapshot, Store, Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES, TOTAL_BYTES
from holdfast_drivers.memory.store_access import StoreAccess


class PrimaryRows(StoreAccess, PrimaryDriver):
    """What the verbs of a primary store share.

    Each decision is a small method of its own, so that a planted defect replaces exactly one.
    """

    role: ClassVar[Role] = Role.PRIMARY

    @property
    def capabilities(self) -> PrimaryCapabilities:
        return PRIMARY_CAPABILITIES

    def volume(self, store: Store, key: str) -> Volume:
        """The volume under a key, or ``NotFound``."""
        volume = store.volumes.get(self.row_key(key))
        if volume is None:
            raise NotFound("there is no volume under this key", object=key)
        return volume

    def snapshot(self, store: Store, key: str) -> Snapshot:
        """The snapshot under a key, or ``NotFound``."""
        snapshot = store.snapshots.get(key)
        if snapshot is None:
            raise NotFound("there is no snapshot under this key", object=key)
        return snapshot

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

    def info(self, volume: Volume) -> answers.VolumeInfo:
        """What is reported of a volume."""
        match volume.source:
            case requests.SnapshotSource(key) | requests.VolumeSource(key):
                source = key
            case _:
                source = ""
        return answers.VolumeInfo(
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

    def volume_stats(self, volume: Volume) -> answers.StatsInfo:
        """The figures of one volume; blocks shared with others count here too."""
        return answers.StatsInfo(
            total_bytes=volume.content.size_bytes,
            used_bytes=volume.content.used_bytes,
            allocated_bytes=volume.content.size_bytes,
            objects=1,
        )

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> answers.PoolList:
        store = self.store()
        pool = answers.PoolInfo(
            name="memory",
            total_bytes=TOTAL_BYTES,
            used_bytes=self.used_bytes(store),
            allocated_bytes=self.allocated_bytes(store),
        )
        return answers.PoolList(items=(pool,))

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        store = self.store()
        if request.volume:
            return self.volume_stats(self.volume(store, request.volume))
        return answers.StatsInfo(
            total_bytes=TOTAL_BYTES,
            used_bytes=self.used_bytes(store),
            allocated_bytes=self.allocated_bytes(store),
            objects=len(store.volumes) + len(store.snapshots),
        )
