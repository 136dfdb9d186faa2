"""Blind defects of the sixth round: the bytes of volumes, caches and extents."""

from contextlib import suppress
from typing import Final

from holdfast.contract import requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import Denied, OutOfRange
from holdfast.contract.handles import ExtentHandle
from holdfast.data import BLOCK_BYTES, BlockIO, Extent
from holdfast.data.block_io import check_range
from holdfast_drivers.memory.backend import (
    Backend,
    MemoryBlockIO,
    Snapshot,
    Store,
    Volume,
)
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

_SECTOR_BYTES: Final = 512


_CLUSTER_BYTES: Final = 64 * 1024


_BATCH: Final = 32


_BLOCKS_OF_32_BITS: Final = (1 << 32) // BLOCK_BYTES


def _in_order(store: Store, volume: str) -> list[Snapshot]:
    """A volume's snapshots in the order in which they were made."""
    return [row for row in store.snapshots.values() if row.volume == volume]


def _is_volume(handle: ExtentHandle) -> bool:
    return not handle.token.startswith("object:")


class _VolumeIO(MemoryBlockIO):
    """Block access to a volume that knows its backend."""

    def __init__(self, backend: Backend, handle: ExtentHandle) -> None:
        find = backend.content_behind
        super().__init__(handle.token, find, size_bytes=find(handle.token, write=False).size_bytes)
        self.backend = backend
        entry = backend.grant_of(handle.token.partition(":")[0])
        if entry is None:
            raise Denied("the grant of this handle has been revoked")
        self.store, self.grant = entry

    def content(self, *, write: bool = False) -> Content:
        """The volume's bytes, where the grant allows it."""
        return self._find(self._token, write=write)

    def row(self) -> Volume:
        """The volume's row."""
        return self.store.volumes[self.grant.volume]


class _ReadCacheIO(_VolumeIO):
    """Keeps every block that it has read."""

    def __init__(self, backend: Backend, handle: ExtentHandle) -> None:
        super().__init__(backend, handle)
        self.cached: dict[int, bytes] = {}

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        content = self.content()
        check_range(offset_bytes, length_bytes, content.size_bytes)
        first, skip = divmod(offset_bytes, BLOCK_BYTES)
        last = -(-(offset_bytes + length_bytes) // BLOCK_BYTES)
        for number in range(first, last):
            if number not in self.cached:
                start = number * BLOCK_BYTES
                length = min(BLOCK_BYTES, content.size_bytes - start)
                self.cached[number] = content.read(start, length)
        joined = b"".join(self.cached[number] for number in range(first, last))
        return joined[skip : skip + length_bytes]

    def forget(self, offset_bytes: int, length_bytes: int) -> None:
        """Drop what this opening itself has changed."""
        last = -(-(offset_bytes + length_bytes) // BLOCK_BYTES)
        for number in range(offset_bytes // BLOCK_BYTES, last):
            self.cached.pop(number, None)

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        await super().write_at(offset_bytes, data)
        self.forget(offset_bytes, len(data))

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        await super().discard(offset_bytes, length_bytes)
        last = -(-(offset_bytes + length_bytes) // BLOCK_BYTES)
        first = offset_bytes // BLOCK_BYTES
        self.cached = {n: data for n, data in self.cached.items() if not first <= n < last}


class SharedReadCache(Backend):
    """The client keeps the pages it has read and drops only those that it writes itself, so a host
    goes on reading old bytes after another host that shares the volume wrote and flushed new ones.
    """

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _ReadCacheIO(self, handle) if _is_volume(handle) else super().block_io(handle)


class _QueuedIO(_VolumeIO):
    """Queues writes until they are flushed."""

    def __init__(self, backend: Backend, handle: ExtentHandle) -> None:
        super().__init__(backend, handle)
        self.queue: list[tuple[int, bytes]] = []

    def submit(self, count: int) -> None:
        """Write out the oldest of the queue."""
        content = self.content(write=True) if self.queue else self.content()
        for offset_bytes, data in self.queue[:count]:
            with suppress(OutOfRange):  # it was cut off meanwhile
                content.write(offset_bytes, data)
        del self.queue[:count]

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        seen = self.content().copy()
        for start, data in self.queue:
            with suppress(OutOfRange):
                seen.write(start, data)
        return seen.read(offset_bytes, length_bytes)

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        check_range(offset_bytes, len(data), self.content(write=True).size_bytes)
        self.queue.append((offset_bytes, bytes(data)))

    async def flush(self) -> None:
        self.submit(_BATCH)

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        self.submit(len(self.queue))
        await super().discard(offset_bytes, length_bytes)

    async def extents(self) -> tuple[Extent, ...]:
        self.submit(len(self.queue))
        return await super().extents()


class FlushOneBatch(Backend):
    """A flush submits the write-back queue in one batch of at most 32 requests and does not come
    back for the rest, so of many small writes the later ones are still only in the host's memory
    when the flush returns.
    """

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _QueuedIO(self, handle) if _is_volume(handle) else super().block_io(handle)


class _PaddedIO(_VolumeIO):
    """Writes whole sectors."""

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        content = self.content(write=True)
        end = offset_bytes + len(data)
        check_range(offset_bytes, len(data), content.size_bytes)
        content.write(offset_bytes, data)
        if len(data) > BLOCK_BYTES:
            padding = min(-end % _SECTOR_BYTES, content.size_bytes - end)
            content.write(end, bytes(padding))


class PaddedLastSector(Backend):
    """Writes of more than one block take the direct path, whose bounce buffer is filled up with
    zeroes to the next sector instead of with what is on the disk, which wipes the bytes behind it.
    """

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _PaddedIO(self, handle) if _is_volume(handle) else super().block_io(handle)


class _OverlayDiscardIO(_VolumeIO):
    """Discards by dropping blocks from the overlay."""

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        await super().discard(offset_bytes, length_bytes)
        below = _in_order(self.store, self.grant.volume)
        if not below:
            return
        content = self.content(write=True)
        first = -(-offset_bytes // BLOCK_BYTES)
        last = (offset_bytes + length_bytes) // BLOCK_BYTES
        for number, data in below[-1].content.blocks.items():
            if first <= number < last:
                content.blocks[number] = data


class DiscardUncoversSnapshot(Backend):
    """A discard unmaps the clusters in the overlay without a zero flag, so where the volume has a
    snapshot below the overlay, the discarded range reads the snapshot's old bytes again.
    """

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _OverlayDiscardIO(self, handle) if _is_volume(handle) else super().block_io(handle)


class _OwnMapIO(_VolumeIO):
    """Knows which clusters are allocated from when it was opened."""

    def __init__(self, backend: Backend, handle: ExtentHandle) -> None:
        super().__init__(backend, handle)
        blocks = self.content().blocks
        self.allocated = {number * BLOCK_BYTES // _CLUSTER_BYTES for number in blocks}

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        content = self.content(write=True)
        check_range(offset_bytes, len(data), content.size_bytes)
        last = -(-(offset_bytes + len(data)) // _CLUSTER_BYTES)
        for cluster in range(offset_bytes // _CLUSTER_BYTES, last):
            if cluster not in self.allocated:
                start = cluster * _CLUSTER_BYTES
                content.discard(start, min(_CLUSTER_BYTES, content.size_bytes - start))
                self.allocated.add(cluster)
        content.write(offset_bytes, data)


class TwoAllocationMaps(Backend):
    """Every opener caches the image's allocation table, so the second of two hosts that share a
    volume allocates a cluster anew which the first has filled already, and its bytes are gone.
    """

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _OwnMapIO(self, handle) if _is_volume(handle) else super().block_io(handle)


class _SessionIO(_VolumeIO):
    """A session that was let in once."""

    def content_in_session(self, token: str, *, write: bool) -> Content:
        """As ``content_behind``, and what a session that nobody ended still reaches."""
        try:
            return self.backend.content_behind(token, write=write)
        except Denied:
            others = any(volume == self.grant.volume for volume, _ in self.store.grants)
            if not others or (write and self.grant.mode is AccessMode.READ_ONLY):
                raise
            return self.row().content

    def __init__(self, backend: Backend, handle: ExtentHandle) -> None:
        super().__init__(backend, handle)
        self._find = self.content_in_session


class SessionOutlivesRevoke(Backend):
    """The target checks its list of initiators at login only and is torn down with the last grant,
    so a host whose grant was revoked goes on writing in its open session while another has one.
    """

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _SessionIO(self, handle) if _is_volume(handle) else super().block_io(handle)


class _UnprotectedIO(_VolumeIO):
    """Asks for write protection in WRITE only."""

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        self.content().discard(offset_bytes, length_bytes)


class UnmapIgnoresWriteProtection(Backend):
    """Write protection is checked in the handlers of WRITE but not in that of UNMAP, so a host with
    a read-only grant can discard the volume's bytes.
    """

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _UnprotectedIO(self, handle) if _is_volume(handle) else super().block_io(handle)


class _TopLayerIO(_VolumeIO):
    """Looks at the clone's own blocks only."""

    def inherited(self) -> dict[int, bytes]:
        """The blocks of what the volume was made from, while that is there."""
        row: Snapshot | Volume | None
        match self.row().source:
            case requests.SnapshotSource(key):
                row = self.store.snapshots.get(key)
            case requests.VolumeSource(key):
                row = self.store.volumes.get(key)
            case _:
                row = None
        return row.content.blocks if row else {}

    async def extents(self) -> tuple[Extent, ...]:
        content, below = self.content(), self.inherited()
        own = {n: data for n, data in content.blocks.items() if below.get(n) is not data}
        return Content(content.size_bytes, own).extents()


class ExtentsWithoutParent(Backend):
    """The block map is asked for the top layer alone, so what a clone still shares with its source
    is reported as a hole, and every copy that trusts the map is short of it.
    """

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        return _TopLayerIO(self, handle) if _is_volume(handle) else super().block_io(handle)


class CloneOffsetOf32Bits(MemoryPrimaryDriver):
    """The loop that copies a clone's extents keeps the target's offset in 32 bits, so everything
    beyond 4 GiB lands in the clone's first 4 GiB.
    """

    def clone(self, content: Content, size_bytes: int) -> Content:
        copied = super().clone(content, size_bytes)
        numbers = sorted(copied.blocks)
        copied.blocks = {n % _BLOCKS_OF_32_BITS: copied.blocks[n] for n in numbers}
        return copied


MUTANTS = (
    blind(SharedReadCache, loses_data=True),
    blind(FlushOneBatch, loses_data=True),
    blind(PaddedLastSector, loses_data=True),
    blind(DiscardUncoversSnapshot, loses_data=True),
    blind(TwoAllocationMaps, loses_data=True),
    blind(SessionOutlivesRevoke, loses_data=True),
    blind(UnmapIgnoresWriteProtection, loses_data=True),
    blind(ExtentsWithoutParent, loses_data=True),
    blind(CloneOffsetOf32Bits, loses_data=True),
)
