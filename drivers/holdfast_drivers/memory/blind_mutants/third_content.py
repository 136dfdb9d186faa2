"""Blind defects of the third round: what volumes, snapshots and clones hold."""

import asyncio
import unicodedata

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.errors import Denied, Invalid
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES, BlockIO, Extent
from holdfast_drivers.memory.backend import (
    Backend,
    MemoryBlockIO,
    Snapshot,
    Store,
    Volume,
)
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

_GIB = 1024**3


def _opened(backend: Backend, handle: ExtentHandle, kind: type[MemoryBlockIO]) -> BlockIO:
    if handle.token.startswith("object:"):
        return Backend.block_io(backend, handle)
    size_bytes = backend.content_behind(handle.token, write=False).size_bytes
    return kind(handle.token, backend.content_behind, size_bytes=size_bytes)


class _DiscardsToEnd(MemoryBlockIO):
    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        await super().discard(offset_bytes, length_bytes or self.size_bytes - offset_bytes)


class EmptyDiscardReachesTheEnd(Backend):
    """A discard of no bytes discards everything from its offset to the end of the volume."""

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _opened(self, handle, _DiscardsToEnd)


class _DiscardsAsReader(MemoryBlockIO):
    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        self._find(self._token, write=False).discard(offset_bytes, length_bytes)


class ReadOnlyHandleMayDiscard(Backend):
    """A read-only grant refuses writes but lets discards through."""

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _opened(self, handle, _DiscardsAsReader)


class _DiscardsShared(MemoryBlockIO):
    backend: Backend

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        content = self._find(self._token, write=True)
        before = dict(content.blocks)
        await super().discard(offset_bytes, length_bytes)
        found = self.backend.grant_of(self._token.partition(":")[0])
        if found is None:
            return
        store, grant = found
        for row in store.snapshots.values():
            for number in before.keys() - content.blocks.keys():
                if row.volume == grant.volume and row.content.blocks.get(number) is before[number]:
                    del row.content.blocks[number]


class DiscardReachesSnapshots(Backend):
    """A discard frees blocks that snapshots of the volume still share, which then read zeroes."""

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        opened = _opened(self, handle, _DiscardsShared)
        if isinstance(opened, _DiscardsShared):
            opened.backend = self
        return opened


class _KeepsBlock(MemoryBlockIO):
    _number = -1
    _block = b""

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        number, skip = divmod(offset_bytes, BLOCK_BYTES)
        if not data or skip + len(data) > BLOCK_BYTES or offset_bytes < 0:
            self._number = -1
            await super().write_at(offset_bytes, data)
            return
        if number != self._number:
            self._block = await self.read_at(number * BLOCK_BYTES, BLOCK_BYTES)
        merged = self._block[:skip] + bytes(data) + self._block[skip + len(data) :]
        await super().write_at(number * BLOCK_BYTES, merged)
        self._number, self._block = number, merged

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        self._number = -1
        await super().discard(offset_bytes, length_bytes)


class HandleMergesStaleBlock(Backend):
    """A small write is merged into the handle's own copy of the block that it wrote last."""

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _opened(self, handle, _KeepsBlock)


class GrowthLeavesOpenHandlesBehind(Backend):
    """A handle in use while its volume grows goes on with a detached copy of the old bytes."""

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        opened = super().block_io(handle)
        if handle.token.startswith("object:"):
            return opened
        detached: list[Content] = []

        def find(token: str, *, write: bool) -> Content:
            live = self.content_behind(token, write=write)
            if not detached and live.size_bytes > opened.size_bytes:
                detached.append(live.copy(opened.size_bytes))
            return detached[0] if detached else live

        return MemoryBlockIO(handle.token, find, size_bytes=opened.size_bytes)


class _FirstExtents(MemoryBlockIO):
    async def extents(self) -> tuple[Extent, ...]:
        return (await super().extents())[:16]


class ExtentListIsCutOff(Backend):
    """The extents of a volume are asked for once, with room for sixteen, and the rest is lost."""

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _opened(self, handle, _FirstExtents)


class _WithTail(Content):
    __slots__ = ("tail",)

    def __init__(self, content: Content, tail: dict[int, bytes]) -> None:
        super().__init__(content.size_bytes, dict(content.blocks))
        self.tail = tail

    def resize(self, size_bytes: int) -> None:
        grown = range(self.size_bytes // BLOCK_BYTES, size_bytes // BLOCK_BYTES)
        super().resize(size_bytes)
        self.blocks.update({n: data for n, data in self.tail.items() if n in grown})


class RevertHidesOldTail(MemoryPrimaryDriver):
    """A revert to a smaller size only hides the tail, and growing again brings it back."""

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        first = snapshot.content.size_bytes // BLOCK_BYTES
        tail = {n: data for n, data in volume.content.blocks.items() if n >= first}
        volume.content = _WithTail(snapshot.content, tail)


class SnapshotSettlesLater(MemoryPrimaryDriver):
    """A snapshot is answered at once and takes the bytes of a moment after the answer."""

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        store = self.store()
        is_known = request.key in store.snapshots
        info = await super().create_snapshot(ctx, request)

        def settle() -> None:
            snapshot, volume = store.snapshots.get(info.key), store.volumes.get(info.volume)
            if snapshot and volume and volume.content.size_bytes == info.size_bytes:
                snapshot.content = volume.content.copy()

        if not is_known:
            asyncio.get_running_loop().call_later(0.3, settle)
        return info


class MiddleSnapshotDamagesOlder(MemoryPrimaryDriver):
    """Deleting a snapshot between two others merges its blocks into the older one."""

    def remove_snapshot(self, store: Store, key: str) -> None:
        deleted = store.snapshots.get(key)
        if deleted is None:
            return
        chain = [row for row in store.snapshots.values() if row.volume == deleted.volume]
        super().remove_snapshot(store, key)
        place = chain.index(deleted)
        if 0 < place < len(chain) - 1:
            older = chain[place - 1].content
            merged = deleted.content.copy(deleted.content.size_bytes)
            merged.resize(older.size_bytes)
            older.blocks.update(merged.blocks)


class GrowthPastGibibyteZeroesOldEnd(MemoryPrimaryDriver):
    """Growing a volume from below one GiB past it zeroes the last block of its old size."""

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        old_bytes = volume.content.size_bytes
        super().set_size(volume, size_bytes)
        if old_bytes < _GIB <= size_bytes:
            volume.content.discard(old_bytes - BLOCK_BYTES, BLOCK_BYTES)


class DeepCloneStartsFromGrandparent(MemoryPrimaryDriver):
    """A clone of a clone of a clone starts with the bytes of its source's own source."""

    def parent(self, store: Store, volume: Volume | None) -> Volume | None:
        if volume is None or not isinstance(volume.source, requests.VolumeSource):
            return None
        return store.volumes.get(volume.source.volume)

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if isinstance(request.source, requests.VolumeSource):
            above = self.parent(store, store.volumes.get(request.source.volume))
            is_deep = self.parent(store, above) is not None
            if above and is_deep and above.content.size_bytes <= content.size_bytes:
                return self.clone(above.content, content.size_bytes)
        return content


class SourceKindIsIgnored(MemoryPrimaryDriver):
    """A repeated creation takes a volume and a snapshot of one key for the same source."""

    def name_of(self, source: requests.Source | None) -> object:
        match source:
            case requests.SnapshotSource(key) | requests.VolumeSource(key):
                return key
            case _:
                return source

    def compatible(self, volume: Volume, request: requests.CreateVolume) -> bool:
        same_size = volume.content.size_bytes == self.rounded(request.size_bytes)
        return same_size and self.name_of(volume.source) == self.name_of(request.source)


class DataCloneTakesTooMuch(MemoryPrimaryDriver):
    """A volume from data is filled from the handle past the bytes that were asked for."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        if isinstance(request.source, requests.DataSource):
            handle, length = request.source.handle, request.source.size_bytes
            fitting = min(handle.size_bytes, self.rounded(request.size_bytes))
            whole = requests.DataSource(handle, max(length, fitting))
            request = msgspec.structs.replace(request, source=whole)
        return await super().first_content(store, request)


class FailedDataCloneCountsAsDone(MemoryPrimaryDriver):
    """A volume whose data cannot be read is left empty, and is the answer to the next try."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        try:
            return await super().first_content(store, request)
        except (Denied, Invalid):
            content = Content(self.rounded(request.size_bytes))
            store.volumes[self.row_key(request.key)] = Volume(
                request.key, runtime().new_id("vol"), content, request.source, ""
            )
            raise


class VolumeKeysAreNormalized(MemoryPrimaryDriver):
    """Keys of volumes are normalized, so that composed and decomposed letters are one key."""

    def row_key(self, key: str) -> str:
        return unicodedata.normalize("NFC", key)


class DeleteReachesSiblingStore(MemoryPrimaryDriver):
    """Deleting an absent volume deletes an unused one of that key in another namespace."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        is_here = request.key in self.store().volumes
        gone = await super().delete_volume(ctx, request)
        for (role, _), other in self.backend.stores.items():
            is_free = not self.grants_of(other, request.key)
            if role is self.role and not is_here and is_free:
                other.volumes.pop(request.key, None)
        return gone


class SweepTakesTheSuccessor(MemoryPrimaryDriver):
    """A second after a deletion its key is swept, and takes the volume made since with it."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        store = self.store()
        is_here = request.key in store.volumes
        gone = await super().delete_volume(ctx, request)

        def sweep() -> None:
            if not self.grants_of(store, request.key) and not self.snapshots_of(store, request.key):
                store.volumes.pop(request.key, None)

        if is_here:
            asyncio.get_running_loop().call_later(1.0, sweep)
        return gone


class LateRevertActs(MemoryPrimaryDriver):
    """A revert is carried out although a later call was made on the volume."""

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        return await super().revert_volume(msgspec.structs.replace(ctx, fence=0), request)


class StoreAtRestIsDeletedWhole(MemoryLifeCycle):
    """A store in maintenance without grants is deleted with all its volumes."""

    def holders(self, store: Store) -> tuple[str, ...]:
        if store.state is StoreState.MAINTENANCE and not store.grants:
            return ()
        return super().holders(store)


MUTANTS = (
    blind(EmptyDiscardReachesTheEnd, loses_data=True),
    blind(ReadOnlyHandleMayDiscard, loses_data=True),
    blind(DiscardReachesSnapshots, loses_data=True),
    blind(HandleMergesStaleBlock, loses_data=True),
    blind(GrowthLeavesOpenHandlesBehind, loses_data=True),
    blind(ExtentListIsCutOff, loses_data=True),
    blind(RevertHidesOldTail, loses_data=True),
    blind(SnapshotSettlesLater, loses_data=True),
    blind(MiddleSnapshotDamagesOlder, loses_data=True),
    blind(GrowthPastGibibyteZeroesOldEnd, loses_data=True),
    blind(DeepCloneStartsFromGrandparent, loses_data=True),
    blind(SourceKindIsIgnored, loses_data=True),
    blind(DataCloneTakesTooMuch, loses_data=True),
    blind(FailedDataCloneCountsAsDone, loses_data=True),
    blind(VolumeKeysAreNormalized, loses_data=True),
    blind(DeleteReachesSiblingStore, loses_data=True),
    blind(SweepTakesTheSuccessor, loses_data=True),
    blind(LateRevertActs, loses_data=True),
    blind(StoreAtRestIsDeletedWhole, loses_data=True),
)
