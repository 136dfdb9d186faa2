"""The primary driver's snapshots: a copy of a volume's table of blocks, and the way back."""

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import Conflict, Exhausted, Invalid
from holdfast.contract.requests import CallContext
from holdfast_drivers.listing import page_of
from holdfast_drivers.memory.backend import Snapshot, Store, Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.volume_rows import PrimaryRows


class SnapshotVerbs(PrimaryRows):
    """Snapshot verbs and revert."""

    def snapshot_info(self, snapshot: Snapshot) -> answers.SnapshotInfo:
        """What is reported of a snapshot."""
        return answers.SnapshotInfo(
            key=snapshot.key,
            id=snapshot.id,
            volume=snapshot.volume,
            size_bytes=snapshot.content.size_bytes,
        )

    def frozen(self, volume: Volume) -> Content:
        """The volume's bytes as they are now."""
        return volume.content.copy()

    def existing_snapshot(
        self, store: Store, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo | None:
        """The answer where the key is taken: the same snapshot, or ``Conflict``."""
        snapshot = store.snapshots.get(request.key)
        if snapshot is None:
            return None
        if snapshot.volume != request.volume:
            raise Conflict("the key is taken by a snapshot of another volume", object=request.key)
        return self.snapshot_info(snapshot)

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        store = self.allocating_store()
        store.fences.enter(Fenced.SNAPSHOT, request.key, ctx.fence)
        existing = self.existing_snapshot(store, request)
        if existing is not None:
            return existing
        volume = self.volume(store, request.volume)
        store.fences.compare(Fenced.VOLUME, request.volume, ctx.fence)
        self.check_snapshot_limits(store, volume)
        snapshot = Snapshot(
            request.key,
            runtime().new_id("snap"),
            volume.key,
            self.frozen(volume),
            ctx.operation,
        )
        store.snapshots[request.key] = snapshot
        return self.snapshot_info(snapshot)

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        """``Exhausted`` when the volume has as many snapshots as it may have."""
        declared = PRIMARY_CAPABILITIES.snapshot
        most = declared.snapshots_per_volume_max if declared else None
        if most is not None and len(self.snapshots_of(store, volume.key)) >= most:
            raise Exhausted(f"the volume has {most} snapshots already", what="snapshots")

    async def get_snapshot(
        self, ctx: CallContext, request: requests.GetSnapshot
    ) -> answers.SnapshotInfo:
        return self.snapshot_info(self.snapshot(self.store(), request.key))

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        store = self.store()
        rows = store.snapshots.values()
        names = sorted(row.key for row in rows if request.volume in ("", row.volume))
        scope = f"{store.id} snapshots {request.volume}"
        page = page_of(names, scope, token=request.token, limit=request.limit)
        return answers.SnapshotPage(
            items=tuple(self.snapshot_info(store.snapshots[key]) for key in page.names),
            token=page.token,
        )

    def remove_snapshot(self, store: Store, key: str) -> None:
        """Take the snapshot's row out; absent is fine."""
        store.snapshots.pop(key, None)

    async def delete_snapshot(
        self, ctx: CallContext, request: requests.DeleteSnapshot
    ) -> answers.Gone:
        store = self.store()
        store.fences.enter(Fenced.SNAPSHOT, request.key, ctx.fence)
        self.remove_snapshot(store, request.key)
        return answers.Gone(key=request.key)

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        """Give a volume the bytes and the size of its snapshot."""
        volume.content = snapshot.content.copy()

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        store = self.store()
        store.fences.enter(Fenced.VOLUME, request.key, ctx.fence)
        volume = self.volume(store, request.key)
        snapshot = self.snapshot(store, request.snapshot)
        if snapshot.volume != volume.key:
            raise Invalid(f"{request.snapshot!r} is a snapshot of another volume")
        self.refuse_in_use(store, request.key)
        self.restore(volume, snapshot)
        return self.info(volume)
