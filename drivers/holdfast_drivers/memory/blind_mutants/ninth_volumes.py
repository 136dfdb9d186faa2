"""Blind defects of the ninth round: volumes and snapshots."""

from typing import Any, Final

from holdfast.contract import answers, requests
from holdfast.contract.errors import Exhausted
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES
from holdfast_drivers.memory.backend import (
    Backend,
    Snapshot,
    Store,
    Volume,
)
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

_CHUNK_BYTES: Final = 64 * 1024


Blocks = dict[int, bytes]


def shelf(backend: Backend, name: str) -> dict[Any, Any]:
    """What the defective array keeps under a name in its own metadata."""
    kept: dict[Any, Any] = vars(backend).setdefault(f"shelf of {name}", {})
    return kept


def kept_fences(store: Store) -> dict[tuple[Fenced, str], int]:
    """The table of a store's highest fences."""
    kept: dict[tuple[Fenced, str], int] = vars(store.fences)["_kept"]
    return kept


def blocks_past(blocks: Blocks, size_bytes: int) -> Blocks:
    """The blocks that begin at or past a size."""
    return {n: data for n, data in blocks.items() if n * BLOCK_BYTES >= size_bytes}


def blocks_before(blocks: Blocks, size_bytes: int) -> Blocks:
    """The blocks that begin before a size."""
    return {n: data for n, data in blocks.items() if n * BLOCK_BYTES < size_bytes}


def without_shared(blocks: Blocks, other: Blocks) -> Blocks:
    """The blocks of one table that another does not share."""
    return {n: data for n, data in blocks.items() if other.get(n) is not data}


class TailOutlivesShrinkUnderSnapshot(MemoryPrimaryDriver):
    """A shrink of a volume that has snapshots does not unmap the tail, as a snapshot may need it.

    A later growth shows the old bytes where zeroes are promised.
    """

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        tails = shelf(self.backend, "shrunk tails")
        if size_bytes < volume.content.size_bytes and self.snapshots_of(self.store(), volume.key):
            tails[volume.id] = blocks_past(volume.content.blocks, size_bytes)
        super().set_size(volume, size_bytes)
        if tails.get(volume.id) and blocks_before(tails[volume.id], size_bytes):
            volume.content.blocks.update(blocks_before(tails.pop(volume.id), size_bytes))

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        shelf(self.backend, "shrunk tails").pop(volume.id, None)
        super().restore(volume, snapshot)


class RevertLeavesGrownTail(MemoryPrimaryDriver):
    """A revert to a smaller snapshot sets the size back and leaves the blocks past it mapped.

    When the volume is grown again its tail shows the bytes from before the revert, not zeroes.
    """

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        tail = blocks_past(volume.content.blocks, snapshot.content.size_bytes)
        shelf(self.backend, "reverted tails")[volume.id] = tail
        super().restore(volume, snapshot)

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        grows = size_bytes > volume.content.size_bytes
        super().set_size(volume, size_bytes)
        tail = shelf(self.backend, "reverted tails").pop(volume.id, {})
        if grows:
            volume.content.blocks.update(blocks_before(tail, size_bytes))


class ExactResizeCopiesWholeChunks(MemoryPrimaryDriver):
    """A resize with ``shrink`` moves the volume to a new extent in whole chunks of 64 KiB.

    What lies in the last, partial chunk of the part that must survive is lost.
    """

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        found = self.store().volumes.get(request.key)
        before = found.content.size_bytes if found else 0
        info = await super().resize_volume(ctx, request)
        if found and request.shrink and info.size_bytes != before:
            moved = min(before, info.size_bytes) // _CHUNK_BYTES * _CHUNK_BYTES
            found.content.blocks = blocks_before(found.content.blocks, moved)
        return info


class RevertFromTableCachedByName(MemoryPrimaryDriver):
    """The table that a revert loads is cached under the snapshot's name instead of its id.

    After the name was used again for a later snapshot, a revert brings the deleted one's bytes.
    """

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        name = (self.namespace, volume.key, snapshot.key)
        cache = shelf(self.backend, "revert tables")
        volume.content = cache.setdefault(name, snapshot.content.copy()).copy()


class DeletingRevertPointDropsBase(MemoryPrimaryDriver):
    """After a revert the volume is a thin layer on its snapshot, which may still be deleted.

    Deleting that snapshot takes every block of the volume that was not rewritten since the revert.
    """

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        super().restore(volume, snapshot)
        shelf(self.backend, "revert points")[volume.id] = snapshot.id

    def remove_snapshot(self, store: Store, key: str) -> None:
        gone = store.snapshots.get(key)
        super().remove_snapshot(store, key)
        points = shelf(self.backend, "revert points")
        for volume in store.volumes.values():
            if gone and points.get(volume.id) == gone.id:
                shared = gone.content.blocks
                volume.content.blocks = without_shared(volume.content.blocks, shared)


class RevertRewindsFence(MemoryPrimaryDriver):
    """A revert restores the volume's whole record from the snapshot, its highest fence included.

    A call that was overtaken long ago (a delete, a shrink) is carried out after the revert.
    """

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        info = await super().create_snapshot(ctx, request)
        fence = kept_fences(self.store()).get((Fenced.VOLUME, request.volume), 0)
        shelf(self.backend, "frozen fences").setdefault(info.id, fence)
        return info

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        info = await super().revert_volume(ctx, request)
        store = self.store()
        fence = shelf(self.backend, "frozen fences").get(store.snapshots[request.snapshot].id, 0)
        kept_fences(store)[Fenced.VOLUME, request.key] = fence
        return info


class SnapshotStopsAtGrantedSize(MemoryPrimaryDriver):
    """A snapshot of a granted volume freezes as many bytes as it had when it was granted.

    After an online growth the flushed bytes past the old end are missing in the snapshot.
    """

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        known = (request.volume, request.host) in self.store().grants
        info = await super().grant(ctx, request)
        if not known:
            volume = self.store().volumes[request.volume]
            shelf(self.backend, "granted sizes")[volume.id] = volume.content.size_bytes
        return info

    def frozen(self, volume: Volume) -> Content:
        content = super().frozen(volume)
        granted_bytes = shelf(self.backend, "granted sizes").get(volume.id)
        if granted_bytes and self.grants_of(self.store(), volume.key):
            content.blocks = blocks_before(content.blocks, granted_bytes)
        return content


class NinthSnapshotMergesOldest(MemoryPrimaryDriver):
    """Room for one more snapshot is made before the limit is looked at.

    The refused ninth snapshot leaves the oldest one with the bytes of the second oldest.
    """

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        try:
            super().check_snapshot_limits(store, volume)
        except Exhausted:
            rows = [row for row in store.snapshots.values() if row.volume == volume.key]
            oldest, second = rows[0].content, rows[1].content
            oldest.blocks = blocks_before(second.blocks, oldest.size_bytes)
            raise


class SnapshotDeleteHydratesOneClone(MemoryPrimaryDriver):
    """Before a snapshot is deleted its clone is made whole; that there can be several is forgotten.

    All clones but the first lose the blocks that they still share with the deleted snapshot.
    """

    def remove_snapshot(self, store: Store, key: str) -> None:
        gone = store.snapshots.get(key)
        super().remove_snapshot(store, key)
        if gone is None:
            return
        source = requests.SnapshotSource(key)
        clones = [volume for volume in store.volumes.values() if volume.source == source]
        for volume in clones[1:]:
            volume.content.blocks = without_shared(volume.content.blocks, gone.content.blocks)


class ThirdCloneSharesWithSecond(MemoryPrimaryDriver):
    """From the second clone on a cached table is used, which is handed out without a copy of it.

    The second and each later clone of one snapshot, of one size, write into each other.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if not isinstance(request.source, requests.SnapshotSource):
            return content
        name = (store.snapshots[request.source.snapshot].id, content.size_bytes)
        cache = shelf(self.backend, "clone tables")
        if name in cache:
            cached: Content = cache[name]
            return cached
        cache[name] = content.copy()
        return content


MUTANTS = (
    blind(TailOutlivesShrinkUnderSnapshot, loses_data=True),
    blind(RevertLeavesGrownTail, loses_data=True),
    blind(ExactResizeCopiesWholeChunks, loses_data=True),
    blind(RevertFromTableCachedByName, loses_data=True),
    blind(DeletingRevertPointDropsBase, loses_data=True),
    blind(RevertRewindsFence, loses_data=True),
    blind(SnapshotStopsAtGrantedSize, loses_data=True),
    blind(NinthSnapshotMergesOldest, loses_data=True),
    blind(SnapshotDeleteHydratesOneClone, loses_data=True),
    blind(ThirdCloneSharesWithSecond, loses_data=True),
)
