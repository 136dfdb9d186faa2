"""Blind defects of what volumes hold: discards, clones, growth, reverts and writes."""

import asyncio
from fnmatch import fnmatchcase
from typing import Final
from weakref import WeakKeyDictionary

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES, BlockIO, Extent, open_block_io
from holdfast_drivers.memory.backend import (
    Backend,
    MemoryBlockIO,
    Snapshot,
    Store,
    Volume,
)
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.provider import MemoryProvider

MIB: Final = 1024**2
GIB: Final = 1024**3


class PassedOn(BlockIO):
    """Block access that hands everything on; a defect replaces one method."""

    def __init__(self, inner: BlockIO) -> None:
        self.inner = inner
        self.size_bytes = inner.size_bytes

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return await self.inner.read_at(offset_bytes, length_bytes)

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        await self.inner.write_at(offset_bytes, data)

    async def flush(self) -> None:
        await self.inner.flush()

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        await self.inner.discard(offset_bytes, length_bytes)

    async def extents(self) -> tuple[Extent, ...]:
        return await self.inner.extents()


class SinglePrecisionDiscard(PassedOn):
    """Reckons blocks in single precision."""

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        block, skip = divmod(offset_bytes, BLOCK_BYTES)
        lost_bits = max(0, block.bit_length() - 24)
        block = block >> lost_bits << lost_bits
        await self.inner.discard(block * BLOCK_BYTES + skip, length_bytes)


class DiscardReckonsBlocksInSinglePrecision(Backend):
    """A discard past 64 GiB hits an earlier block: its number is kept in a mantissa of 24 bits. C2
    40.
    """

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return SinglePrecisionDiscard(super().block_io(handle))


class CloneWrapsOffsetsAtFourGib(MemoryPrimaryDriver):
    """A clone writes its source's bytes at offsets of 32 bits, so that the fifth GiB replaces the
    first. C2 40.
    """

    def clone(self, content: Content, size_bytes: int) -> Content:
        copied = Content(size_bytes)
        for number, data in sorted(content.blocks.items()):
            copied.blocks[number % (4 * GIB // BLOCK_BYTES)] = data
        return copied


class RevertOfUnchangedVolumeSharesItsSnapshot(MemoryPrimaryDriver):
    """A revert that finds the volume unchanged makes it use the snapshot's own table, and later
    writes go into the snapshot. C2 17.
    """

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        if volume.content.same_as(snapshot.content):
            volume.content = snapshot.content
        else:
            super().restore(volume, snapshot)


class CloneOfCloneCopiesTheFirstSource(MemoryPrimaryDriver):
    """A clone of a clone gets the bytes of the first volume of the chain, without what was written
    since. C2 39.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if isinstance(request.source, requests.VolumeSource):
            behind = self.volume(store, request.source.volume).source
            if isinstance(behind, requests.VolumeSource):
                first = store.volumes.get(self.row_key(behind.volume))
                if first is not None and first.content.size_bytes <= content.size_bytes:
                    return self.clone(first.content, content.size_bytes)
        return content


class RemovalTakesTheKeyForAPattern(MemoryPrimaryDriver):
    """Deleting a volume whose key holds ``*``, ``?`` or ``[`` removes every volume that it matches.
    C2 31.
    """

    def remove_volume(self, store: Store, key: str) -> None:
        super().remove_volume(store, key)
        for name in [name for name in store.volumes if fnmatchcase(name, key)]:
            del store.volumes[name]


class GrowDropsTheLastPartOfAMebibyte(MemoryPrimaryDriver):
    """Growing a volume of more than 1 MiB keeps its whole MiB and loses what lay after the last. C2
    37 (cinder bug 1762424, ONTAP LUN geometry).
    """

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        old_bytes = volume.content.size_bytes
        if size_bytes > old_bytes > MIB:
            volume.content.resize(old_bytes // MIB * MIB)
        super().set_size(volume, size_bytes)


class ContentWithTail(Content):
    """Content that remembers blocks past its end."""

    __slots__ = ("tail",)

    def __init__(self, content: Content, tail: dict[int, bytes]) -> None:
        super().__init__(content.size_bytes, content.blocks)
        self.tail = tail


class GrowAfterRevertShowsTheOldTail(MemoryPrimaryDriver):
    """A revert to a smaller size frees no blocks, and the next growth shows what was in them. C2
    36.
    """

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        before, end = volume.content.blocks, snapshot.content.size_bytes // BLOCK_BYTES
        tail = {number: data for number, data in before.items() if number >= end}
        volume.content = ContentWithTail(snapshot.content.copy(), tail)

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        super().set_size(volume, size_bytes)
        content = volume.content
        if isinstance(content, ContentWithTail):
            end = size_bytes // BLOCK_BYTES
            content.blocks.update({n: data for n, data in content.tail.items() if n < end})
            content.tail = {}


class PinningBackend(Backend):
    """Pins the table that an open host writes to."""

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self.pinned: dict[str, Content] = {}

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        if handle.token.startswith("object:"):
            return super().block_io(handle)
        image = self.content_behind(handle.token, write=False)
        image = self.pinned.setdefault(handle.token, image)

        def find(token: str, *, write: bool) -> Content:
            self.content_behind(token, write=write)
            return image

        return MemoryBlockIO(handle.token, find, size_bytes=image.size_bytes)


class OverlayDriver(MemoryPrimaryDriver):
    """Puts an overlay above what it freezes."""

    def frozen(self, volume: Volume) -> Content:
        below = volume.content
        volume.content = below.copy()
        return below


class GrantInUseStaysOnTheImageBelowTheSnapshot(MemoryProvider):
    """A snapshot puts a new image on top, and a host that had opened the volume goes on writing
    into the one below: the snapshot changes and the volume lacks it. C2 38 (cinder bugs 1860913,
    1989514).
    """

    backend_type: type[Backend] = PinningBackend
    primary_type: type[MemoryPrimaryDriver] = OverlayDriver


class BlockwiseWrites(PassedOn):
    """Reads a block, changes a part of it and writes it whole."""

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        skip, rest = offset_bytes % BLOCK_BYTES, (offset_bytes + len(data)) % BLOCK_BYTES
        if not data or (skip == 0 and rest == 0):
            await self.inner.write_at(offset_bytes, data)
            return
        await self.inner.read_at(offset_bytes, len(data))  # refuses what is out of range
        first = offset_bytes - skip
        end = -(-(offset_bytes + len(data)) // BLOCK_BYTES) * BLOCK_BYTES
        whole = bytearray(await self.inner.read_at(first, end - first))
        await asyncio.sleep(0.001)
        whole[skip : skip + len(data)] = data
        await self.inner.write_at(first, bytes(whole))


class PartialWritesAtOnceUndoOneAnother(Backend):
    """Two writes at once to different parts of one block: each reads the block, and writes all of
    it, so that one is lost.
    """

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return BlockwiseWrites(super().block_io(handle))


_FREED: WeakKeyDictionary[Backend, dict[str, list[Content]]] = WeakKeyDictionary()


class RecycledVolumeIsZeroedInItsFirstGibOnly(MemoryPrimaryDriver):
    """A new volume gets the place of the one deleted last, of which only the first GiB is wiped. C2
    36 (cinder bug 2106680).
    """

    def freed(self) -> list[Content]:
        return _FREED.setdefault(self.backend, {}).setdefault(self.namespace, [])

    def remove_volume(self, store: Store, key: str) -> None:
        self.freed().append(store.volumes[self.row_key(key)].content)
        super().remove_volume(store, key)

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if request.source is None and self.freed():
            first, end = GIB // BLOCK_BYTES, content.size_bytes // BLOCK_BYTES
            old = self.freed().pop().blocks
            content.blocks = {n: data for n, data in old.items() if first <= n < end}
        return content


class DataCopyEndsAfterEightRuns(MemoryPrimaryDriver):
    """A volume made from a handle gets the first eight runs of data; the list of runs is asked for
    once, and has eight places. C2 40 (cinder bug 2155612).
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if isinstance(request.source, requests.DataSource):
            async with open_block_io(request.source.handle) as opened:
                runs = await opened.extents()
            if len(runs) > 8:
                end = runs[8].offset_bytes // BLOCK_BYTES
                content.blocks = {n: data for n, data in content.blocks.items() if n < end}
        return content


class DeleteLooksForGrantsTooEarly(MemoryPrimaryDriver):
    """A volume that is granted while its deletion is under way is deleted all the same. C2 22."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        store = self.store()
        store.fences.enter(Fenced.VOLUME, request.key, ctx.fence)
        if self.row_key(request.key) in store.volumes:
            self.refuse_in_use(store, request.key)
            self.refuse_with_snapshots(store, request.key)
            await asyncio.sleep(0.001)
            if self.row_key(request.key) in store.volumes:
                self.remove_volume(store, request.key)
        return answers.Gone(key=request.key)


class OnlineResizeSetsTheExactSize(MemoryPrimaryDriver):
    """Resizing a granted volume to less than it has cuts it off, though ``shrink`` was not asked
    for. C2 37.
    """

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        if self.grants_of(self.store(), request.key):
            request = msgspec.structs.replace(request, shrink=True)
        return await super().resize_volume(ctx, request)


MUTANTS = (
    blind(DiscardReckonsBlocksInSinglePrecision, loses_data=True),
    blind(CloneWrapsOffsetsAtFourGib, loses_data=True),
    blind(RevertOfUnchangedVolumeSharesItsSnapshot, loses_data=True),
    blind(CloneOfCloneCopiesTheFirstSource, loses_data=True),
    blind(RemovalTakesTheKeyForAPattern, loses_data=True),
    blind(GrowDropsTheLastPartOfAMebibyte, loses_data=True),
    blind(GrowAfterRevertShowsTheOldTail, loses_data=True),
    blind(GrantInUseStaysOnTheImageBelowTheSnapshot, loses_data=True),
    blind(PartialWritesAtOnceUndoOneAnother, loses_data=True),
    blind(RecycledVolumeIsZeroedInItsFirstGibOnly, loses_data=True),
    blind(DataCopyEndsAfterEightRuns, loses_data=True),
    blind(DeleteLooksForGrantsTooEarly, loses_data=True),
    blind(OnlineResizeSetsTheExactSize, loses_data=True),
)
