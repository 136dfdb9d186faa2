"""Blind defects of the fifth round: bytes, copies of them, and keys."""

import asyncio
from typing import Final

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.identity import ANY_STORE
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES, open_block_io
from holdfast.data.block_io import check_range
from holdfast_drivers.memory.backend import Backend, Snapshot, Store, Volume
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.store_access import store_in

_CHUNK_BYTES: Final = 1024 * 1024


class _ChunkedContent(Content):
    """Writes more than a chunk chunk by chunk."""

    __slots__ = ()

    def write(self, offset_bytes: int, data: bytes) -> None:
        check_range(offset_bytes, len(data), self.size_bytes)
        if len(data) <= _CHUNK_BYTES:
            super().write(offset_bytes, data)
            return
        for start in range(0, len(data) - _CHUNK_BYTES + 1, _CHUNK_BYTES):
            super().write(offset_bytes + start, data[start : start + _CHUNK_BYTES])


class WriteDropsItsPartialLastChunk(MemoryPrimaryDriver):
    """A write of more than 1 MiB loses what is left over after its last whole MiB."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        return _ChunkedContent(content.size_bytes, content.blocks)


class _BlockwiseContent(Content):
    """Discards what lies in one block with the block."""

    __slots__ = ()

    def discard(self, offset_bytes: int, length_bytes: int) -> None:
        check_range(offset_bytes, length_bytes, self.size_bytes)
        number = offset_bytes // BLOCK_BYTES
        if length_bytes and (offset_bytes + length_bytes - 1) // BLOCK_BYTES == number:
            self.blocks.pop(number, None)
            return
        super().discard(offset_bytes, length_bytes)


class DiscardInsideBlockClearsIt(MemoryPrimaryDriver):
    """A discard of some bytes of one block zeroes the whole block."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        return _BlockwiseContent(content.size_bytes, content.blocks)


class LateShrinkCutsBeforeRefusal(MemoryPrimaryDriver):
    """A shrink cuts the volume before its fence is compared, and is refused after."""

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        volume = self.store().volumes.get(self.row_key(request.key))
        size_bytes = self.rounded(request.size_bytes)
        if request.shrink and volume is not None and size_bytes < volume.content.size_bytes:
            self.set_size(volume, size_bytes)
        return await super().resize_volume(ctx, request)


class RevertSharesSnapshotBlocks(MemoryPrimaryDriver):
    """After a revert the volume writes into the snapshot's own table of blocks."""

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        volume.content = Content(snapshot.content.size_bytes, snapshot.content.blocks)


class RevertDropsNewerSnapshots(MemoryPrimaryDriver):
    """A revert to an older snapshot deletes the newer ones of the volume."""

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        super().restore(volume, snapshot)
        table = self.store().snapshots
        own = [row.key for row in table.values() if row.volume == volume.key]
        for key in own[own.index(snapshot.key) + 1 :]:
            del table[key]


class VolumeCloneUsesLastSnapshot(MemoryPrimaryDriver):
    """A clone of a volume with snapshots has the bytes of the last one, not of the volume."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if not isinstance(request.source, requests.VolumeSource):
            return content
        source = request.source.volume
        taken = [row.content for row in store.snapshots.values() if row.volume == source]
        if not taken:
            return content
        self.check_source_size(taken[-1].size_bytes, request)
        return self.clone(taken[-1], content.size_bytes)


class SnapshotDeletionGoesByPrefix(MemoryPrimaryDriver):
    """Deleting a snapshot deletes all whose keys begin with its key."""

    def remove_snapshot(self, store: Store, key: str) -> None:
        for name in [name for name in store.snapshots if name.startswith(key)]:
            del store.snapshots[name]


class SlashAndUnderscoreAreSame(MemoryPrimaryDriver):
    """Keys that differ only in ``/`` and ``_`` name one volume."""

    def row_key(self, key: str) -> str:
        return key.replace("/", "_")


class FailedCopyLeavesVolume(MemoryPrimaryDriver):
    """A creation from data that fails leaves an empty volume, which the next one accepts."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        if not isinstance(request.source, requests.DataSource):
            return await super().first_content(store, request)
        key, size_bytes = self.row_key(request.key), self.rounded(request.size_bytes)
        store.volumes[key] = Volume(
            request.key, runtime().new_id("vol"), Content(size_bytes), request.source, ""
        )
        content = await super().first_content(store, request)
        store.volumes.pop(key, None)
        return content


class ConcurrentCreateReplacesVolume(MemoryPrimaryDriver):
    """Of two creations of one key at once the second replaces the first one's volume."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        store = self.allocating_store()
        self.enter_create(store, ctx, request)
        existing = self.existing_volume(store, request)
        if existing is not None:
            return existing
        content = await self.first_content(store, request)
        self.check_volume_limits(store, content.size_bytes)
        await asyncio.sleep(0)
        volume = Volume(
            request.key, runtime().new_id("vol"), content, request.source, ctx.operation
        )
        store.volumes[self.row_key(request.key)] = volume
        return self.info(volume)


class CopyFromDataClosesHoles(MemoryPrimaryDriver):
    """A volume made from sparse data has its extents one after the other, without the holes."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if not isinstance(request.source, requests.DataSource):
            return content
        length, position = request.source.size_bytes, 0
        packed = Content(content.size_bytes)
        async with open_block_io(request.source.handle) as opened:
            for extent in await opened.extents():
                end = min(extent.offset_bytes + extent.length_bytes, length)
                if extent.offset_bytes < end:
                    data = await opened.read_at(extent.offset_bytes, end - extent.offset_bytes)
                    packed.write(position, data)
                    position += len(data)
        return packed


class RecycledVolumeIsPartlyWiped(MemoryPrimaryDriver):
    """A new volume shows a deleted one's bytes of the same size after the first MiB."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.free: dict[int, Content] = {}

    def remove_volume(self, store: Store, key: str) -> None:
        content = self.volume(store, key).content
        super().remove_volume(store, key)
        self.free[content.size_bytes] = content

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        size_bytes = self.rounded(request.size_bytes)
        if request.source is not None or size_bytes not in self.free:
            return await super().first_content(store, request)
        recycled = self.free.pop(size_bytes)
        recycled.discard(0, min(_CHUNK_BYTES, recycled.size_bytes))
        return recycled


class SourceIsComparedByName(MemoryPrimaryDriver):
    """Creating again with another kind of source of the same name, or with data, is accepted."""

    def compatible(self, volume: Volume, request: requests.CreateVolume) -> bool:
        match request.source:
            case requests.SnapshotSource(key) | requests.VolumeSource(key):
                source = key
            case _:
                source = ""
        info = self.info(volume)
        return info.size_bytes == self.rounded(request.size_bytes) and info.source == source


class DeleteStoreTakesBothRoles(MemoryLifeCycle):
    """Deleting a primary store also removes the image store in the same namespace."""

    def remove(self, backend: Backend) -> None:
        for place in [place for place in backend.stores if place[1] == self.config.namespace]:
            del backend.stores[place]


class ExpectedStoreIsCheckedOnceAnew(MemoryPrimaryDriver):
    """After its first call the driver works on whatever store is put into the place."""

    checked: bool = False

    def store(self) -> Store:
        if self.checked:
            self.backend.reach()
            return store_in(self.backend, (self.role, self.namespace), ANY_STORE)
        store = super().store()
        self.checked = True
        return store


MUTANTS = (
    blind(WriteDropsItsPartialLastChunk, loses_data=True),
    blind(DiscardInsideBlockClearsIt, loses_data=True),
    blind(LateShrinkCutsBeforeRefusal, loses_data=True),
    blind(RevertSharesSnapshotBlocks, loses_data=True),
    blind(RevertDropsNewerSnapshots, loses_data=True),
    blind(VolumeCloneUsesLastSnapshot, loses_data=True),
    blind(SnapshotDeletionGoesByPrefix, loses_data=True),
    blind(SlashAndUnderscoreAreSame, loses_data=True),
    blind(FailedCopyLeavesVolume, loses_data=True),
    blind(ConcurrentCreateReplacesVolume, loses_data=True),
    blind(CopyFromDataClosesHoles, loses_data=True),
    blind(RecycledVolumeIsPartlyWiped, loses_data=True),
    blind(SourceIsComparedByName, loses_data=True),
    blind(DeleteStoreTakesBothRoles, loses_data=True),
    blind(ExpectedStoreIsCheckedOnceAnew, loses_data=True),
)
