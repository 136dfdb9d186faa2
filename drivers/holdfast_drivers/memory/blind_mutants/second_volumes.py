"""Blind defects of the second round: grants, stores, limits, lists and figures."""

import hashlib
from collections.abc import Iterator

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind, StoreState
from holdfast.contract.capabilities import AccessMode, PrimaryCapabilities
from holdfast.contract.errors import Conflict, Exhausted, OutOfRange, Precondition
from holdfast.contract.handles import Handle
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES
from holdfast_drivers.listing import page_of
from holdfast_drivers.memory.backend import Granted, Store, Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class LateCreateRevivesDeletedVolume(MemoryPrimaryDriver):
    """The fence of a volume is not kept past its deletion: a creation that comes late is carried
    out.
    """

    def enter_create(self, store: Store, ctx: CallContext, request: requests.CreateVolume) -> None:
        try:
            super().enter_create(store, ctx, request)
        except Precondition:
            if request.key in store.volumes:
                raise


class SnapshotsListedByKeyPrefix(MemoryPrimaryDriver):
    """The snapshots of one volume are listed with those of every volume whose key begins like its
    key.
    """

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        store = self.store()
        rows = store.snapshots.values()
        names = sorted(row.key for row in rows if row.volume.startswith(request.volume))
        scope = f"{store.id} snapshots {request.volume}"
        page = page_of(names, scope, token=request.token, limit=request.limit)
        return answers.SnapshotPage(
            items=tuple(self.snapshot_info(store.snapshots[key]) for key in page.names),
            token=page.token,
        )


class ExclusiveOverlooksReaders(MemoryPrimaryDriver):
    """An exclusive grant is given while another host still has the volume read-only."""

    def check_exclusive(self, others: list[Granted], request: requests.Grant) -> None:
        writers = [row for row in others if row.mode is not AccessMode.READ_ONLY]
        super().check_exclusive(writers, request)


class RegrantRevivesOldHandles(MemoryPrimaryDriver):
    """A grant's id is made of volume and host, so handles from before a revoke work after a new
    grant.
    """

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        await super().grant(ctx, request)
        store = self.store()
        row = store.grants[request.volume, request.host]
        host = hashlib.sha256(request.host.encode()).hexdigest()[:16]
        row.id = f"grant-{self.volume(store, request.volume).id}-{host}"
        return self.grant_info(row)


class UnopenedGrantsExpire(MemoryPrimaryDriver):
    """A grant that is not opened within a second is dropped, and the host is then denied."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        info = await super().grant(ctx, request)
        promised: dict[str, float] = vars(self.backend).setdefault("promised", {})
        promised.setdefault(info.id, self.backend.wall_clock())
        return info

    def grant_to_open(self, store: Store, request: requests.Open) -> Granted:
        promised: dict[str, float] = vars(self.backend).setdefault("promised", {})
        grant = super().grant_to_open(store, request)
        now = self.backend.wall_clock()
        if now - promised.get(grant.id, now) > 1.0:
            self.take_back(store, request.volume, request.host)
        promised[grant.id] = float("inf")
        return super().grant_to_open(store, request)


class OpenOfMissingVolumeIsDenied(MemoryPrimaryDriver):
    """Opening a volume that does not exist is answered Denied, because the grant is looked up
    first.
    """

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        self.grant_to_open(self.store(), request)
        return await super().open(ctx, request)


class AttachEndsMaintenance(MemoryLifeCycle):
    """Attaching a host puts a store that is in maintenance back into service."""

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        await super().attach(ctx, request)
        store = self.changing(ctx)
        self.set_state(store, StoreState.UP)
        return self.info(store)


class InitializeTakesOverEmptyStores(MemoryLifeCycle):
    """Initializing a place that is another store, but an empty one, gives it the new name and
    identity.
    """

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        if not self.holders(store):
            store.name = request.name
            store.identity = request.identity
        return super().existing(store, request)


class ExpectedStoreCheckedOnce(MemoryPrimaryDriver):
    """A driver compares the expected store at its first call only and then works on whatever is
    there.
    """

    _looked: bool = False

    def store(self) -> Store:
        row = self.backend.stores.get((self.role, self.namespace))
        if row is None or not self._looked:
            row = super().store()
            self._looked = True
        self.backend.reach()
        return row


class VolumeInfoCachedInTheDriver(MemoryPrimaryDriver):
    """A driver answers get_volume from its memory and does not see another driver's resize or
    delete.
    """

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> answers.VolumeInfo:
        known: dict[str, answers.VolumeInfo] = vars(self).setdefault("known", {})
        if request.key not in known:
            known[request.key] = await super().get_volume(ctx, request)
        return known[request.key]

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        vars(self).pop("known", None)
        return await super().resize_volume(ctx, request)

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        vars(self).pop("known", None)
        return await super().delete_volume(ctx, request)

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        vars(self).pop("known", None)
        return await super().revert_volume(ctx, request)


class VolumeUsedCountsItsSnapshots(MemoryPrimaryDriver):
    """The used figure of a volume includes its snapshots, and may exceed its total."""

    def volume_stats(self, volume: Volume) -> answers.StatsInfo:
        figures = super().volume_stats(volume)
        rows = self.snapshots_of(self.store(), volume.key)
        more = sum(row.content.used_bytes for row in rows)
        return msgspec.structs.replace(figures, used_bytes=figures.used_bytes + more)


class HealthLeavesItsTestVolume(MemoryPrimaryDriver):
    """The health check of a store with attached hosts makes a small volume to see that it can, and
    leaves it.
    """

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        info = await super().health(ctx, request)
        store = self.backend.stores.get((self.role, self.namespace))
        if store is not None and store.hosts and info.state is answers.HealthState.UP:
            row = Volume("health", runtime().new_id("vol"), Content(BLOCK_BYTES), None, "")
            store.volumes.setdefault(row.key, row)
        return info


class EnumerateOneGrantPerVolume(MemoryPrimaryDriver):
    """Of a volume that several hosts share, enumerate tells the first grant only."""

    def owned(self) -> Iterator[answers.OwnedThing]:
        seen: set[str] = set()
        for thing in super().owned():
            if thing.kind is OwnedKind.GRANT:
                volume = thing.key.rpartition("|")[0]
                if volume in seen:
                    continue
                seen.add(volume)
            yield thing


class TooSmallCloneLeavesAVolume(MemoryPrimaryDriver):
    """A clone smaller than its source is refused, but the empty volume made for it stays."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        try:
            return await super().create_volume(ctx, request)
        except OutOfRange:
            content = Content(self.rounded(request.size_bytes))
            row = Volume(request.key, runtime().new_id("vol"), content, None, ctx.operation)
            self.store().volumes.setdefault(request.key, row)
            raise


class CapabilitiesFollowUse(MemoryPrimaryDriver):
    """The declared number of volumes is what is left of it, so an opened driver's capabilities
    change.
    """

    @property
    def capabilities(self) -> PrimaryCapabilities:
        store = self.backend.stores.get((self.role, self.namespace))
        declared = PRIMARY_CAPABILITIES.volume
        left = max(1, (declared.volumes_max or 0) - (len(store.volumes) if store else 0))
        volume = msgspec.structs.replace(declared, volumes_max=left)
        return msgspec.structs.replace(PRIMARY_CAPABILITIES, volume=volume)


class SnapshotLimitCountedPerStore(MemoryPrimaryDriver):
    """The limit of snapshots of one volume is held against those of all volumes together."""

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        declared = PRIMARY_CAPABILITIES.snapshot
        most = declared.snapshots_per_volume_max if declared else None
        if most is not None and len(store.snapshots) >= most:
            raise Exhausted(f"there are {most} snapshots already", what="snapshots")


class RepeatedSnapshotAfterResizeConflicts(MemoryPrimaryDriver):
    """Creating a snapshot again under its key is a conflict once its volume has another size."""

    def existing_snapshot(
        self, store: Store, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo | None:
        info = super().existing_snapshot(store, request)
        volume = store.volumes.get(request.volume)
        if info and volume and info.size_bytes != volume.content.size_bytes:
            raise Conflict("the key is taken by a snapshot of another size", object=request.key)
        return info


MUTANTS = (
    blind(LateCreateRevivesDeletedVolume, loses_data=False),
    blind(SnapshotsListedByKeyPrefix, loses_data=False),
    blind(ExclusiveOverlooksReaders, loses_data=False),
    blind(RegrantRevivesOldHandles, loses_data=False),
    blind(UnopenedGrantsExpire, loses_data=False),
    blind(OpenOfMissingVolumeIsDenied, loses_data=False),
    blind(AttachEndsMaintenance, loses_data=False),
    blind(InitializeTakesOverEmptyStores, loses_data=False),
    blind(ExpectedStoreCheckedOnce, loses_data=False),
    blind(VolumeInfoCachedInTheDriver, loses_data=False),
    blind(VolumeUsedCountsItsSnapshots, loses_data=False),
    blind(HealthLeavesItsTestVolume, loses_data=False),
    blind(EnumerateOneGrantPerVolume, loses_data=False),
    blind(TooSmallCloneLeavesAVolume, loses_data=False),
    blind(CapabilitiesFollowUse, loses_data=False),
    blind(SnapshotLimitCountedPerStore, loses_data=False),
    blind(RepeatedSnapshotAfterResizeConflicts, loses_data=False),
)
