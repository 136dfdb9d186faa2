"""Blind defects of the seventh round: copies, extents and the bytes of volumes."""

from typing import Final

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.errors import NotFound
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES, BlockIO, Extent, open_block_io
from holdfast.data.block_io import check_range
from holdfast_drivers.memory.backend import Backend, Store, Volume
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

_KIB: Final = 1024


_MIB: Final = 1024**2


_MAX_RW_COUNT: Final = 0x7FFFF000
"""What one call of ``copy_file_range`` moves at most."""


class _Through(BlockIO):
    """Block access to a volume that passes everything on to the backend's own."""

    def __init__(self, inner: BlockIO, backend: Backend, token: str) -> None:
        self.inner = inner
        self.backend = backend
        self.token = token
        self.size_bytes = inner.size_bytes

    def behind(self) -> tuple[Store, Volume]:
        """The volume and its store; ``Denied`` once the grant was revoked."""
        self.backend.content_behind(self.token, write=False)
        found = self.backend.grant_of(self.token.partition(":")[0])
        if found is None:
            raise NotFound("the grant is gone")
        store, grant = found
        return store, store.volumes[grant.volume]

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


class _Attached(Backend):
    """A backend whose block access to volumes is of a class of its own."""

    io_type: type[_Through] = _Through

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        inner = super().block_io(handle)
        if self.grant_of(handle.token.partition(":")[0]) is None:
            return inner
        return self.io_type(inner, self, handle.token)


class _QueueingIO(_Through):
    """Keeps writes in the session's queue until a flush."""

    @property
    def queue(self) -> list[tuple[int, bytes]]:
        """The session's writes that are not carried out yet, the oldest first."""
        assert isinstance(self.backend, FlushSubmitsOneBatch)
        return self.backend.queues.setdefault(self.token, [])

    def submit(self, content: Content, count: int) -> None:
        """Carry out the oldest writes of the queue."""
        for offset, data in self.queue[:count]:
            if offset < content.size_bytes:
                content.write(offset, data[: content.size_bytes - offset])
        del self.queue[:count]

    def seen(self) -> Content:
        """The content as the session sees it."""
        content = self.backend.content_behind(self.token, write=False)
        if not self.queue:
            return content
        merged = content.copy()
        for offset, data in self.queue:
            if offset < merged.size_bytes:
                merged.write(offset, data[: merged.size_bytes - offset])
        return merged

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return self.seen().read(offset_bytes, length_bytes)

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        content = self.backend.content_behind(self.token, write=True)
        check_range(offset_bytes, len(data), content.size_bytes)
        self.queue.append((offset_bytes, bytes(data)))

    async def flush(self) -> None:
        self.submit(self.backend.content_behind(self.token, write=False), 32)

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        content = self.backend.content_behind(self.token, write=True)
        check_range(offset_bytes, length_bytes, content.size_bytes)
        self.submit(content, len(self.queue))
        content.discard(offset_bytes, length_bytes)

    async def extents(self) -> tuple[Extent, ...]:
        return self.seen().extents()


class FlushSubmitsOneBatch(_Attached):
    """A flush submits the session's write queue once, at its depth of 32, and reports success with
    the rest still queued, which a logout throws away and no snapshot contains.
    """

    io_type = _QueueingIO

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self.queues: dict[str, list[tuple[int, bytes]]] = {}


class _CachingIO(_Through):
    """Answers reads of whole blocks from the pages that were read before."""

    def pages(self) -> dict[int, bytes]:
        """The volume's pages."""
        assert isinstance(self.backend, PageCacheSurvivesRevert)
        return self.backend.caches.setdefault(self.behind()[1].id, {})

    def forget(self, offset_bytes: int, length_bytes: int) -> None:
        """Drop the pages of a range."""
        pages = self.pages()
        first, end = offset_bytes // BLOCK_BYTES, -(-(offset_bytes + length_bytes) // BLOCK_BYTES)
        for number in [number for number in pages if first <= number < end]:
            del pages[number]

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        end_bytes = offset_bytes + length_bytes
        result = bytearray(await self.inner.read_at(offset_bytes, length_bytes))
        pages = self.pages()
        for number in range(offset_bytes // BLOCK_BYTES, -(-end_bytes // BLOCK_BYTES)):
            page = number * BLOCK_BYTES
            start, end = max(offset_bytes, page), min(end_bytes, page + BLOCK_BYTES)
            place = slice(start - offset_bytes, end - offset_bytes)
            if number in pages:
                result[place] = pages[number][start - page : end - page]
            elif end - start == BLOCK_BYTES:
                pages[number] = bytes(result[place])
        return bytes(result)

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        await self.inner.write_at(offset_bytes, data)
        self.forget(offset_bytes, len(data))

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        await self.inner.discard(offset_bytes, length_bytes)
        self.forget(offset_bytes, length_bytes)


class PageCacheSurvivesRevert(_Attached):
    """The target's page cache is invalidated by writes and discards that pass it, but not by a
    revert, so blocks read before the revert come back afterwards in place of the snapshot's.
    """

    io_type = _CachingIO

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self.caches: dict[str, dict[int, bytes]] = {}


class _PunchingIO(_Through):
    """Gives blocks back without asking who else refers to them."""

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        store, volume = self.behind()
        first = -(-offset_bytes // BLOCK_BYTES)
        last = (offset_bytes + length_bytes) // BLOCK_BYTES
        blocks = volume.content.blocks
        before = {number: blocks[number] for number in blocks if first <= number < last}
        await self.inner.discard(offset_bytes, length_bytes)
        for snapshot in store.snapshots.values():
            if snapshot.volume == volume.key:
                kept = snapshot.content.blocks
                for number, block in before.items():
                    if kept.get(number) is block:
                        del kept[number]


class DiscardSkipsCopyOnWrite(_Attached):
    """Copy-on-write is hooked into writes only, so a discard frees blocks that the volume's
    snapshots still refer to, and those then read zeroes.
    """

    io_type = _PunchingIO


class _FewExtentsIO(_Through):
    """Asks for the extents once."""

    async def extents(self) -> tuple[Extent, ...]:
        return (await self.inner.extents())[:32]


class ExtentMapOfOneCall(_Attached):
    """The extent map is fetched with one FIEMAP call into a buffer of 32 entries and never asked
    for the rest, so every sparse copy of a fragmented volume lacks what comes after them.
    """

    io_type = _FewExtentsIO


class _ZeroDetectingIO(_Through):
    """Takes zeroes for what is there anyhow."""

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        if len(data) < BLOCK_BYTES or any(data):
            await self.inner.write_at(offset_bytes, data)
            return
        content = self.backend.content_behind(self.token, write=True)
        check_range(offset_bytes, len(data), content.size_bytes)


class ZeroDetectionSkipsTheWrite(_Attached):
    """Zero detection treats a write of a whole block or more of zeroes as nothing to store, also
    where older data lies, so what the guest wiped is still there.
    """

    io_type = _ZeroDetectingIO


class CopiesWithOneCall(MemoryPrimaryDriver):
    """A volume is filled from data with a single ``copy_file_range``, whose short count is taken
    for success: what lies past 2 GiB less one page stays empty.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if isinstance(request.source, requests.DataSource):
            end = _MAX_RW_COUNT // BLOCK_BYTES
            content.blocks = {n: block for n, block in content.blocks.items() if n < end}
        return content


class CopiesWholeChunks(MemoryPrimaryDriver):
    """The copy loop moves whole chunks of 64 KiB and forgets to cut the last one, so bytes of the
    source past the length asked for leak into the new volume's tail.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        source = request.source
        if isinstance(source, requests.DataSource):
            async with open_block_io(source.handle) as opened:
                room = min(opened.size_bytes, self.rounded(request.size_bytes))
            chunks = -(-source.size_bytes // (64 * _KIB)) * 64 * _KIB
            length = max(source.size_bytes, min(chunks, room))
            whole = requests.DataSource(source.handle, length)
            request = msgspec.structs.replace(request, source=whole)
        return await super().first_content(store, request)


class _SharedUntilWritten(Content):
    """A clone that keeps its source's table of blocks until it is written itself."""

    __slots__ = ("shared",)

    def __init__(self, size_bytes: int, blocks: dict[int, bytes]) -> None:
        super().__init__(size_bytes, blocks)
        self.shared = True

    def write(self, offset_bytes: int, data: bytes) -> None:
        if self.shared:
            self.blocks = dict(self.blocks)
            self.shared = False
        super().write(offset_bytes, data)


class CloneSharesUntilItIsWritten(MemoryPrimaryDriver):
    """A clone of a volume shares the source's block map and is unshared by the first write to the
    clone only, so that writes to the source show in it until then.
    """

    def clone(self, content: Content, size_bytes: int) -> Content:
        return _SharedUntilWritten(size_bytes, content.blocks)


class ReplayedCloneCopiesAgain(MemoryPrimaryDriver):
    """A repeated creation from a snapshot finds the volume and starts the copy once more, over
    whatever was written to it since the first answer.
    """

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        info = super().existing_volume(store, request)
        source = request.source
        if info and isinstance(source, requests.SnapshotSource):
            snapshot = store.snapshots.get(source.snapshot)
            if snapshot is not None:
                volume = self.volume(store, request.key)
                volume.content = self.clone(snapshot.content, volume.content.size_bytes)
        return info


class ShrinkInWholeMebibytes(MemoryPrimaryDriver):
    """A shrink is handed to the volume manager in whole MiB, rounded down, so the volume ends
    before the size asked for and the guest's last bytes are cut off.
    """

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        if request.shrink and request.size_bytes >= _MIB:
            whole = request.size_bytes // _MIB * _MIB
            request = msgspec.structs.replace(request, size_bytes=whole)
        return await super().resize_volume(ctx, request)


class GrowthTakesRecycledExtents(MemoryPrimaryDriver):
    """Extents are zeroed when a volume is created but not when one is extended, so the new tail
    shows what deleted volumes had in the extents that are used again.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._free: list[bytes] = []

    def remove_volume(self, store: Store, key: str) -> None:
        self._free.extend(self.volume(store, key).content.blocks.values())
        super().remove_volume(store, key)

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        old = volume.content.size_bytes
        super().set_size(volume, size_bytes)
        for number in range(old // BLOCK_BYTES, size_bytes // BLOCK_BYTES):
            if not self._free:
                return
            volume.content.blocks[number] = self._free.pop()


class RefusedDeletionDiscardsFirst(MemoryPrimaryDriver):
    """A deletion discards the volume's blocks before the backend is asked to remove it, and is then
    refused because of its snapshots: the volume stays, empty.
    """

    def refuse_with_snapshots(self, store: Store, key: str) -> None:
        volume = self.volume(store, key)
        volume.content = Content(volume.content.size_bytes)
        super().refuse_with_snapshots(store, key)


MUTANTS = (
    blind(FlushSubmitsOneBatch, loses_data=True),
    blind(PageCacheSurvivesRevert, loses_data=True),
    blind(DiscardSkipsCopyOnWrite, loses_data=True),
    blind(ExtentMapOfOneCall, loses_data=True),
    blind(ZeroDetectionSkipsTheWrite, loses_data=True),
    blind(CopiesWithOneCall, loses_data=True),
    blind(CopiesWholeChunks, loses_data=True),
    blind(CloneSharesUntilItIsWritten, loses_data=True),
    blind(ReplayedCloneCopiesAgain, loses_data=True),
    blind(ShrinkInWholeMebibytes, loses_data=True),
    blind(GrowthTakesRecycledExtents, loses_data=True),
    blind(RefusedDeletionDiscardsFirst, loses_data=True),
)
