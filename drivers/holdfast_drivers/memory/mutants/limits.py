"""Defects at declared limits: one too many, one too few, and what counts that should not."""

from typing import ClassVar

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import PrimaryCapabilities, SnapshotCapabilities
from holdfast.contract.errors import Exhausted, NotFound, OutOfRange
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.memory.backend import Snapshot, Store, Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.provider import MemoryProvider

_VOLUMES_MAX = 3
_SNAPSHOTS_MAX = 2
_HOSTS_MAX = 3
_MANY_VOLUMES = PRIMARY_CAPABILITIES.volume.volumes_max
_SIZE_MAX_BYTES = PRIMARY_CAPABILITIES.volume.size_max_bytes
_SIZE_MIN_BYTES = PRIMARY_CAPABILITIES.volume.size_granularity_bytes


class _Little(MemoryPrimaryDriver):
    """A driver that declares little, so that few steps show what is wrong at its limits."""

    @property
    def capabilities(self) -> PrimaryCapabilities:
        declared = PRIMARY_CAPABILITIES
        snapshot = declared.snapshot or SnapshotCapabilities()
        return msgspec.structs.replace(
            declared,
            volume=msgspec.structs.replace(declared.volume, volumes_max=_VOLUMES_MAX),
            snapshot=msgspec.structs.replace(snapshot, snapshots_per_volume_max=_SNAPSHOTS_MAX),
            access=msgspec.structs.replace(declared.access, hosts_max=_HOSTS_MAX),
        )

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        if len(store.volumes) >= _VOLUMES_MAX:
            raise Exhausted("the store has no slot for another volume", what="volumes")
        super().check_volume_limits(store, size_bytes)

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        if len(self.snapshots_of(store, volume.key)) >= _SNAPSHOTS_MAX:
            raise Exhausted("the volume has no slot for another snapshot", what="snapshots")


class _FewHosts(MemoryLifeCycle):
    """A life cycle of as few hosts as that driver declares."""

    def hosts_max(self) -> int | None:
        return None if super().hosts_max() is None else _HOSTS_MAX


class _LittleProvider(MemoryProvider):
    """A provider of both."""

    primary_type = _Little
    life_cycle_type = _FewHosts


class TakesOneVolumeTooMany(MemoryPrimaryDriver):
    """One volume more than declared is made."""

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        if len(store.volumes) != _MANY_VOLUMES:
            super().check_volume_limits(store, size_bytes)


class RefusesTheLastVolume(MemoryPrimaryDriver):
    """The last of the declared volumes is refused."""

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        if len(store.volumes) + 1 == _MANY_VOLUMES:
            raise Exhausted("the store has no slot for another volume", what="volumes")
        super().check_volume_limits(store, size_bytes)


class ClonesAreNotLimited(_Little):
    """Volumes made from a source are not counted when one more is asked for."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        self.cloning = request.source is not None
        return await super().create_volume(ctx, request)

    cloning = False

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        if not self.cloning:
            super().check_volume_limits(store, size_bytes)


class _Counting(_Little):
    """What was counted so far, by namespace."""

    counted: dict[str, int] = {}  # noqa: RUF012 - shared on purpose, as the defects are


class RefusedVolumesTakeSlots(_Counting):
    """Each creation that is refused for want of a slot takes one from those to come."""

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        taken = self.counted.get(self.namespace, 0)
        if len(store.volumes) + taken >= _VOLUMES_MAX:
            self.counted[self.namespace] = taken + 1
            raise Exhausted("the store has no slot for another volume", what="volumes")


class DeletedVolumesKeepTheirSlots(_Counting):
    """A volume that was deleted still counts against the limit."""

    def remove_volume(self, store: Store, key: str) -> None:
        super().remove_volume(store, key)
        self.counted[self.namespace] = self.counted.get(self.namespace, 0) + 1

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        super().check_volume_limits(store, size_bytes)
        if len(store.volumes) + self.counted.get(self.namespace, 0) >= _VOLUMES_MAX:
            raise Exhausted("the store has no slot for another volume", what="volumes")


class FailedCreationsTakeSlots(_Counting):
    """Each creation that fails for its source or its size takes a slot from those to come."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        try:
            return await super().create_volume(ctx, request)
        except (NotFound, OutOfRange):
            self.counted[self.namespace] = self.counted.get(self.namespace, 0) + 1
            raise

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        super().check_volume_limits(store, size_bytes)
        if len(store.volumes) + self.counted.get(self.namespace, 0) >= _VOLUMES_MAX:
            raise Exhausted("the store has no slot for another volume", what="volumes")


class DeletingTheAbsentMakesRoom(_Counting):
    """A deletion of what is not there frees a slot, so that one volume too many is made."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        if request.key not in self.store().volumes:
            self.counted[self.namespace] = self.counted.get(self.namespace, 0) + 1
        return await super().delete_volume(ctx, request)

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        if len(store.volumes) - self.counted.get(self.namespace, 0) >= _VOLUMES_MAX:
            raise Exhausted("the store has no slot for another volume", what="volumes")


class TakesOneSnapshotTooMany(_Little):
    """One snapshot more than declared is taken."""

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        if len(self.snapshots_of(store, volume.key)) != _SNAPSHOTS_MAX:
            super().check_snapshot_limits(store, volume)


class RefusesTheLastSnapshot(_Little):
    """The last of the declared snapshots is refused."""

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        if len(self.snapshots_of(store, volume.key)) == _SNAPSHOTS_MAX - 1:
            raise Exhausted("the volume has no slot for another snapshot", what="snapshots")


class SnapshotsOfAllVolumesAreCounted(_Little):
    """The limit of each volume's snapshots is that of all volumes together."""

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        if len(store.snapshots) >= _SNAPSHOTS_MAX:
            raise Exhausted("the volume has no slot for another snapshot", what="snapshots")


class DeletedSnapshotsKeepTheirSlots(_Counting):
    """A snapshot that was deleted from a full volume makes no room."""

    def remove_snapshot(self, store: Store, key: str) -> None:
        row = store.snapshots.get(key)
        if row and len(self.snapshots_of(store, row.volume)) == _SNAPSHOTS_MAX:
            self.counted[f"{self.namespace}/{row.volume}"] = 1
        super().remove_snapshot(store, key)

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        super().check_snapshot_limits(store, volume)
        if self.counted.get(f"{self.namespace}/{volume.key}"):
            raise Exhausted("the volume has no slot for another snapshot", what="snapshots")


class TheOldestSnapshotMakesRoom(_Little):
    """One snapshot too many is taken, and the oldest is gone for it."""

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        rows: list[Snapshot] = self.snapshots_of(store, volume.key)
        if len(rows) >= _SNAPSHOTS_MAX:
            ages = list(store.snapshots)
            del store.snapshots[min((row.key for row in rows), key=ages.index)]


class _TakesOneHostTooMany(_FewHosts):
    """One host more than declared is attached."""

    def hosts_max(self) -> int | None:
        most = super().hosts_max()
        return None if most is None else most + 1


class TakesOneHostTooMany(_LittleProvider):
    """One host more than declared is attached."""

    life_cycle_type = _TakesOneHostTooMany


class _RefusesTheLastHost(_FewHosts):
    """The last of the declared hosts is refused."""

    def hosts_max(self) -> int | None:
        most = super().hosts_max()
        return None if most is None else most - 1


class RefusesTheLastHost(_LittleProvider):
    """The last of the declared hosts is refused."""

    life_cycle_type = _RefusesTheLastHost


class _FullStoreRefusesItsOwnHosts(_FewHosts):
    """A host that is attached already is refused once no other could be."""

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        most = self.hosts_max()
        if self.role is Role.PRIMARY and most == len(self.changing(ctx).hosts):
            raise Exhausted("the store has no room for another host", what="hosts")
        return await super().attach(ctx, request)


class FullStoreRefusesItsOwnHosts(_LittleProvider):
    """A host that is attached already is refused once no other could be."""

    life_cycle_type = _FullStoreRefusesItsOwnHosts


class GrowthToTheLargestIsRefused(MemoryPrimaryDriver):
    """A volume of the largest size can be made, and none can grow to it."""

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        if self.rounded(request.size_bytes) >= _SIZE_MAX_BYTES:
            raise OutOfRange("the volume would be too large", object=request.key)
        return await super().resize_volume(ctx, request)


class GrowthHasThirtyTwoBits(MemoryPrimaryDriver):
    """The size to which a volume grows is cut to 32 bits, and nothing comes of it."""

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        cut = msgspec.structs.replace(request, size_bytes=request.size_bytes % 2**32)
        return await super().resize_volume(ctx, cut)


class ShrinkingToTheSmallestIsRefused(MemoryPrimaryDriver):
    """A volume of the smallest size can be made, and none can shrink to it."""

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        if size_bytes == _SIZE_MIN_BYTES < volume.content.size_bytes:
            raise OutOfRange("the volume would be too small", object=volume.key)
        super().set_size(volume, size_bytes)


class _DetachingAStrangerMakesRoom(_FewHosts):
    """A host that was never attached frees a slot when it is detached."""

    strangers: ClassVar[dict[str, int]] = {}

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> answers.StoreInfo:
        store = self.changing(ctx)
        if request.host not in store.hosts:
            self.strangers[store.id] = self.strangers.get(store.id, 0) + 1
        return await super().detach(ctx, request)

    def hosts_max(self) -> int | None:
        most = super().hosts_max()
        store = self.backend().stores.get((self.role, self.config.namespace))
        extra = self.strangers.get(store.id, 0) if store else 0
        return None if most is None else most + extra


class DetachingAStrangerMakesRoom(_LittleProvider):
    """A host that was never attached frees a slot when it is detached."""

    life_cycle_type = _DetachingAStrangerMakesRoom


class _AttachingAgainTakesASlot(_FewHosts):
    """A host that is attached again counts twice."""

    again: ClassVar[dict[str, int]] = {}

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        store = self.changing(ctx)
        if request.host in store.hosts:
            self.again[store.id] = self.again.get(store.id, 0) + 1
        return await super().attach(ctx, request)

    def hosts_max(self) -> int | None:
        most = super().hosts_max()
        store = self.backend().stores.get((self.role, self.config.namespace))
        fewer = self.again.get(store.id, 0) if store else 0
        return None if most is None else max(1, most - fewer)


class AttachingAgainTakesASlot(_LittleProvider):
    """A host that is attached again counts twice."""

    life_cycle_type = _AttachingAgainTakesASlot


MUTANTS = (
    planted("CAP-05", TakesOneVolumeTooMany),
    planted("CAP-05", RefusesTheLastVolume),
    planted("CAP-05", ClonesAreNotLimited),
    planted("CAP-05", RefusedVolumesTakeSlots),
    planted("CAP-05", DeletedVolumesKeepTheirSlots),
    planted("CAP-05", FailedCreationsTakeSlots),
    planted("CAP-05", DeletingTheAbsentMakesRoom),
    planted("CAP-05", TakesOneSnapshotTooMany),
    planted("CAP-05", RefusesTheLastSnapshot),
    planted("CAP-05", SnapshotsOfAllVolumesAreCounted),
    planted("CAP-05", DeletedSnapshotsKeepTheirSlots),
    planted("CAP-05", TheOldestSnapshotMakesRoom),
    planted("CAP-05", TakesOneHostTooMany),
    planted("CAP-05", RefusesTheLastHost),
    planted("CAP-05", FullStoreRefusesItsOwnHosts),
    planted("CAP-05", DetachingAStrangerMakesRoom),
    planted("CAP-05", AttachingAgainTakesASlot),
    planted("SIZ-07", GrowthToTheLargestIsRefused),
    planted("SIZ-07", GrowthHasThirtyTwoBits),
    planted("SIZ-07", ShrinkingToTheSmallestIsRefused),
)
