"""Defects in snapshots, reverts and clones."""

from holdfast.contract import answers, requests
from holdfast.contract.errors import Conflict
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Snapshot, Store, Volume
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


def _without_last_block(content: Content) -> Content:
    copy = content.copy()
    if copy.blocks:
        del copy.blocks[max(copy.blocks)]
    return copy


class SnapshotIsEmpty(MemoryPrimaryDriver):
    """A snapshot has the volume's size and none of its bytes."""

    def frozen(self, volume: Volume) -> Content:
        return Content(volume.content.size_bytes)


class SnapshotMissesTheLastBlock(MemoryPrimaryDriver):
    """The last block that was written is not in the snapshot."""

    def frozen(self, volume: Volume) -> Content:
        return _without_last_block(volume.content)


class SnapshotIsTheLastOne(MemoryPrimaryDriver):
    """A second snapshot of a volume has the bytes of the first."""

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        store = self.store()
        earlier = self.snapshots_of(store, request.volume)
        new = request.key not in store.snapshots
        answer = await super().create_snapshot(ctx, request)
        if new and earlier:
            content = store.snapshots[request.key].content
            content.blocks = dict(earlier[0].content.blocks)
        return answer


class SnapshotAliasesTheVolume(MemoryPrimaryDriver):
    """A snapshot shares its bytes with the volume: what is written later is in it."""

    def frozen(self, volume: Volume) -> Content:
        return volume.content


class ResizeChangesTheSnapshots(MemoryPrimaryDriver):
    """A resize of the volume resizes its snapshots, too (as longhorn/longhorn#1298)."""

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        super().set_size(volume, size_bytes)
        for snapshot in self.snapshots_of(self.store(), volume.key):
            snapshot.content.resize(size_bytes)


class SnapshotAgainIsTakenAgain(MemoryPrimaryDriver):
    """A repeated snapshot replaces the bytes of the one that is there."""

    def existing_snapshot(
        self, store: Store, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo | None:
        info = super().existing_snapshot(store, request)
        if info is not None and request.volume in store.volumes:
            snapshot = store.snapshots[request.key]
            snapshot.content = self.frozen(store.volumes[request.volume])
        return info


class SnapshotOfAnotherVolumeIsAnswered(MemoryPrimaryDriver):
    """A taken key is no conflict: the snapshot moves to the other volume (as ceph-csi#1883)."""

    def existing_snapshot(
        self, store: Store, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo | None:
        try:
            return super().existing_snapshot(store, request)
        except Conflict:
            snapshot = store.snapshots[request.key]
            snapshot.volume = self.volume(store, request.volume).key
            return self.snapshot_info(snapshot)


class SnapshotAgainIsAConflict(MemoryPrimaryDriver):
    """A repeated snapshot is refused although it asks for what is there."""

    def existing_snapshot(
        self, store: Store, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo | None:
        if request.key in store.snapshots:
            raise Conflict("the key is taken", object=request.key)
        return None


class DeletedSnapshotStays(MemoryPrimaryDriver):
    """Deleting a snapshot is acknowledged, and it stays (as apache/cloudstack#3586)."""

    def remove_snapshot(self, store: Store, key: str) -> None:
        """Remove nothing."""


class DeleteTakesSiblingsAlong(MemoryPrimaryDriver):
    """Deleting one snapshot deletes every snapshot of its volume (as cloudstack#3193)."""

    def remove_snapshot(self, store: Store, key: str) -> None:
        snapshot = store.snapshots.get(key)
        for sibling in self.snapshots_of(store, snapshot.volume) if snapshot else ():
            super().remove_snapshot(store, sibling.key)


class DeletingASnapshotRevertsTheVolume(MemoryPrimaryDriver):
    """Deleting a snapshot gives the volume its bytes."""

    def remove_snapshot(self, store: Store, key: str) -> None:
        snapshot = store.snapshots.get(key)
        if snapshot is not None and snapshot.volume in store.volumes:
            store.volumes[snapshot.volume].content.blocks = dict(snapshot.content.blocks)
        super().remove_snapshot(store, key)


class DeleteTakesSnapshotsAlong(MemoryPrimaryDriver):
    """Deleting a volume deletes its snapshots (as apache/cloudstack#12002)."""

    def refuse_with_snapshots(self, store: Store, key: str) -> None:
        for snapshot in self.snapshots_of(store, key):
            self.remove_snapshot(store, snapshot.key)


class DeleteOrphansSnapshots(MemoryPrimaryDriver):
    """A volume is deleted although the store declares that its snapshots prevent it."""

    def refuse_with_snapshots(self, store: Store, key: str) -> None:
        """Refuse nothing."""


class RevertKeepsTheSize(MemoryPrimaryDriver):
    """A revert restores the bytes and not the size (as cloudstack pull request 10482)."""

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        size_bytes = volume.content.size_bytes
        super().restore(volume, snapshot)
        volume.content.resize(size_bytes)


class RevertLosesTheLastBlock(MemoryPrimaryDriver):
    """A revert restores all but the last block."""

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        volume.content = _without_last_block(snapshot.content)


class RevertOnlyAddsBlocks(MemoryPrimaryDriver):
    """A revert restores what the snapshot has and leaves what was written since elsewhere."""

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        later = volume.content.blocks
        super().restore(volume, snapshot)
        volume.content.blocks = {**later, **volume.content.blocks}


class RevertsAGrantedVolume(MemoryPrimaryDriver):
    """A volume is reverted under the host that uses it."""

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        store = self.store()
        held = {place: row for place, row in store.grants.items() if place[0] == request.key}
        for place in held:
            del store.grants[place]
        try:
            return await super().revert_volume(ctx, request)
        finally:
            store.grants.update(held)


class CloneAliasesItsSource(MemoryPrimaryDriver):
    """A clone shares its bytes with its source: what is written to one is in the other."""

    def clone(self, content: Content, size_bytes: int) -> Content:
        return Content(size_bytes, content.blocks)


class CloneIsEmpty(MemoryPrimaryDriver):
    """A clone has the right size and none of the bytes (as apache/cloudstack#5514)."""

    def clone(self, content: Content, size_bytes: int) -> Content:
        return Content(size_bytes)


class CloneMissesTheLastBlock(MemoryPrimaryDriver):
    """The last block of the source is not in its clone (as piraeus-operator#203)."""

    def clone(self, content: Content, size_bytes: int) -> Content:
        return _without_last_block(content).copy(size_bytes)


MUTANTS = (
    planted("SNP-01", SnapshotIsEmpty),
    planted("SNP-01", SnapshotMissesTheLastBlock),
    planted("SNP-01", SnapshotIsTheLastOne),
    planted("SNP-02", SnapshotAliasesTheVolume),
    planted("SNP-02", ResizeChangesTheSnapshots),
    planted("SNP-03", SnapshotAgainIsTakenAgain),
    planted("SNP-03", SnapshotOfAnotherVolumeIsAnswered),
    planted("SNP-03", SnapshotAgainIsAConflict),
    planted("SNP-04", DeletedSnapshotStays),
    planted("SNP-04", DeleteTakesSiblingsAlong),
    planted("SNP-04", DeletingASnapshotRevertsTheVolume),
    planted("SNP-06", DeleteTakesSnapshotsAlong),
    planted("SNP-06", DeleteOrphansSnapshots),
    planted("SNP-07", RevertKeepsTheSize),
    planted("SNP-07", RevertLosesTheLastBlock),
    planted("SNP-07", RevertOnlyAddsBlocks),
    planted("SNP-07", RevertsAGrantedVolume),
    planted("SNP-09", CloneAliasesItsSource),
    planted("SNP-09", CloneIsEmpty),
    planted("SNP-09", CloneMissesTheLastBlock),
)
