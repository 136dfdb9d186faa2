"""Blind defects of the eighth round: bytes behind handles."""

import asyncio
from typing import ClassVar, Final

from holdfast.contract import requests
from holdfast.contract.handles import ExtentHandle
from holdfast.data import BLOCK_BYTES, BlockIO
from holdfast.data.block_io import check_range
from holdfast_drivers.memory.backend import (
    Backend,
    Granted,
    MemoryBlockIO,
    Store,
    Volume,
)
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import blind

GIB: Final = 1024**3


def _whole_blocks(offset_bytes: int, length_bytes: int) -> range:
    """The numbers of the blocks that lie wholly within a range."""
    first = -(-offset_bytes // BLOCK_BYTES)
    return range(first, (offset_bytes + length_bytes) // BLOCK_BYTES)


def _source_content(store: Store, volume: Volume) -> Content | None:
    """The bytes of what a volume was created from, while that is there."""
    match volume.source:
        case requests.SnapshotSource(key):
            snapshot = store.snapshots.get(key)
            return snapshot.content if snapshot else None
        case requests.VolumeSource(key):
            parent = store.volumes.get(key)
            return parent.content if parent else None
        case _:
            return None


class _Access(MemoryBlockIO):
    """Block access that knows its backend."""

    def __init__(self, backend: Backend, token: str) -> None:
        size_bytes = backend.content_behind(token, write=False).size_bytes
        super().__init__(token, backend.content_behind, size_bytes=size_bytes)
        self.backend = backend

    def content(self, *, write: bool) -> Content:
        """The bytes, as the grant allows."""
        return self.backend.content_behind(self._token, write=write)

    def place(self) -> tuple[Store, Volume]:
        """The store and the volume behind the handle; only for a grant in force."""
        entry = self.backend.grant_of(self._token.partition(":")[0])
        assert entry is not None
        store, grant = entry
        return store, store.volumes[grant.volume]


class _AccessBackend(Backend):
    """A backend whose volumes are accessed in a way of its own."""

    access_type: ClassVar[type[_Access]] = _Access

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        if handle.token.startswith("object:"):
            return super().block_io(handle)
        return self.access_type(self, handle.token)


class _ConcurrentSectorsAccess(_Access):
    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        end_bytes = offset_bytes + len(data)
        if offset_bytes % BLOCK_BYTES == 0 and end_bytes % BLOCK_BYTES == 0:
            await super().write_at(offset_bytes, data)
            return
        start = offset_bytes // BLOCK_BYTES * BLOCK_BYTES
        length = -(-end_bytes // BLOCK_BYTES) * BLOCK_BYTES - start
        old = self.content(write=True).read(start, length)
        await asyncio.sleep(0)
        skip = offset_bytes - start
        new = old[:skip] + data + old[skip + len(data) :]
        self.content(write=True).write(start, new)


class SectorWritesOverlap(_AccessBackend):
    """A write that is not aligned to 4 KiB reads its blocks, waits and writes them back whole, with
    no lock: of two at once to different sectors of one block, one acknowledged write is lost.
    """

    access_type = _ConcurrentSectorsAccess


class _BackingAccess(_Access):
    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        await super().discard(offset_bytes, length_bytes)
        store, volume = self.place()
        backing = [row for row in store.snapshots.values() if row.volume == volume.key]
        if not backing:
            return
        for number in _whole_blocks(offset_bytes, length_bytes):
            if number in backing[-1].content.blocks:
                volume.content.blocks[number] = backing[-1].content.blocks[number]


class BackingFileShinesThrough(_AccessBackend):
    """A discard only unlinks the clusters of the topmost layer: on a volume with a snapshot the
    discarded range reads the newest snapshot's old bytes and not zeroes.
    """

    access_type = _BackingAccess


class _WrappingAccess(_Access):
    LIMIT: ClassVar[int] = 256 * GIB

    def wrapped(self, offset_bytes: int, length_bytes: int, *, write: bool) -> int:
        """Where the range really lands."""
        check_range(offset_bytes, length_bytes, self.content(write=write).size_bytes)
        return offset_bytes % self.LIMIT if length_bytes else offset_bytes

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return await super().read_at(
            self.wrapped(offset_bytes, length_bytes, write=False), length_bytes
        )

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        await super().write_at(self.wrapped(offset_bytes, len(data), write=True), data)

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        await super().discard(self.wrapped(offset_bytes, length_bytes, write=True), length_bytes)


class BlockNumberWraps(_AccessBackend):
    """The number of a 4 KiB block has 26 bits: a write at 256 GiB or above reads back well there,
    but has replaced the bytes at the same offset modulo 256 GiB.
    """

    access_type = _WrappingAccess


class _StaleCacheAccess(_Access):
    def __init__(self, backend: Backend, token: str) -> None:
        super().__init__(backend, token)
        self._seen: dict[int, bytes] = {}

    def remember(self, offset_bytes: int, length_bytes: int) -> None:
        """Keep the blocks that a range touches."""
        content = self.content(write=False)
        end = -(-(offset_bytes + length_bytes) // BLOCK_BYTES)
        for number in range(offset_bytes // BLOCK_BYTES, end):
            self._seen[number] = content.read(number * BLOCK_BYTES, BLOCK_BYTES)

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        data = await super().read_at(offset_bytes, length_bytes)
        self.remember(offset_bytes, length_bytes)
        return data

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        content = self.content(write=True)
        check_range(offset_bytes, len(data), content.size_bytes)
        if not data:
            return
        for number in {offset_bytes // BLOCK_BYTES, (offset_bytes + len(data) - 1) // BLOCK_BYTES}:
            if number in self._seen:
                content.write(number * BLOCK_BYTES, self._seen[number])
        await super().write_at(offset_bytes, data)
        self.remember(offset_bytes, len(data))


class StaleBlocksWrittenBack(_AccessBackend):
    """A handle that stays open completes its partial writes from the blocks as it once read them:
    what another host of a shared volume flushed beside them meanwhile is undone.
    """

    access_type = _StaleCacheAccess


class _WriteUpToEndAccess(_Access):
    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        content = self.content(write=True)
        room = content.size_bytes - offset_bytes
        if offset_bytes >= 0 and 0 < room < len(data):
            content.write(offset_bytes, data[:room])
        await super().write_at(offset_bytes, data)


class RefusedWriteFillsUpToEnd(_AccessBackend):
    """A write that crosses the volume's end is ``OutOfRange``, but the part before the end has been
    written already: the bytes there are lost though "nothing was done".
    """

    access_type = _WriteUpToEndAccess


class _RingAccess(_Access):
    SLOTS: ClassVar[int] = 128

    def __init__(self, backend: Backend, token: str) -> None:
        super().__init__(backend, token)
        self._base: dict[int, bytes] = {}
        self._pending: list[tuple[int, bytes]] = []

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        if not self._pending:
            self._base = dict(self.content(write=True).blocks)
        await super().write_at(offset_bytes, data)
        self._pending.append((offset_bytes, data))

    async def flush(self) -> None:
        await super().flush()
        pending, self._pending = self._pending, []
        if len(pending) <= self.SLOTS:
            return
        content = self.content(write=True)
        content.blocks = dict(self._base)
        for offset, data in pending[-self.SLOTS :]:
            if offset + len(data) <= content.size_bytes:
                content.write(offset, data)


class JournalRingOverflows(_AccessBackend):
    """The write-back journal of a handle has 128 slots: of more writes between two flushes, only
    the last 128 are there after the flush that acknowledged all.
    """

    access_type = _RingAccess


class _FreeingAccess(_Access):
    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        content = self.content(write=True)
        before = dict(content.blocks)
        await super().discard(offset_bytes, length_bytes)
        store, volume = self.place()
        parent = _source_content(store, volume)
        for number in _whole_blocks(offset_bytes, length_bytes):
            if parent and number in before and parent.blocks.get(number) is before[number]:
                del parent.blocks[number]


class DiscardFreesSharedBlocks(_AccessBackend):
    """A discard in a clone frees blocks without looking at their reference count: the snapshot or
    volume that the clone was made from reads zeroes there.
    """

    access_type = _FreeingAccess


class _CarelessFlushAccess(_Access):
    async def flush(self) -> None:
        self.backend.reach()


class FlushOutlivesGrant(_AccessBackend):
    """``flush`` asks nobody: through a handle whose grant was revoked it succeeds, where each call
    must be ``Denied``, so a fenced-off host believes that it is still the owner.
    """

    access_type = _CarelessFlushAccess


class OldHandleWritesIntoSnapshot(Backend):
    """A handle that was in use when a snapshot was taken goes on with the old file, which is the
    snapshot now: what is written later is in the snapshot, and missing in the volume.
    """

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self._before: dict[str, set[str]] = {}

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        opened = super().block_io(handle)
        if handle.token not in self._before:
            known = {row.id for store in self.stores.values() for row in store.snapshots.values()}
            self._before[handle.token] = known
        return opened

    def content_behind(self, token: str, *, write: bool) -> Content:
        content = super().content_behind(token, write=write)
        entry = self.grant_of(token.partition(":")[0])
        if entry is None or token not in self._before:
            return content
        store, grant = entry
        for row in store.snapshots.values():
            if row.volume == grant.volume and row.id not in self._before[token]:
                return row.content
        return content


class NamesakeInOtherStore(Backend):
    """Bytes are found by the volume's name in the whole backend: where two stores have a volume of
    the same key, the handle of the younger store's one reads and writes the elder's.
    """

    def content_behind(self, token: str, *, write: bool) -> Content:
        content = super().content_behind(token, write=write)
        key = token.partition(":")[2]
        named = (store.volumes[key] for store in self.stores.values() if key in store.volumes)
        return next((volume.content for volume in named), content)


class RevokedHandleRevives(Backend):
    """A handle is bound to volume and host and not to its grant: after a revoke it is ``Denied``,
    but as soon as the host is granted the volume again, the old handle reads and writes.
    """

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self._issued: dict[str, tuple[str, str, str]] = {}

    def grant_of(self, identifier: str) -> tuple[Store, Granted] | None:
        entry = super().grant_of(identifier)
        if entry is not None:
            store, grant = entry
            self._issued[identifier] = (store.id, grant.volume, grant.host)
            return entry
        store_id, volume, host = self._issued.get(identifier, ("", "", ""))
        for store in self.stores.values():
            if store.id == store_id and (volume, host) in store.grants:
                return store, store.grants[volume, host]
        return None


MUTANTS = (
    blind(SectorWritesOverlap, loses_data=True),
    blind(BackingFileShinesThrough, loses_data=True),
    blind(BlockNumberWraps, loses_data=True),
    blind(StaleBlocksWrittenBack, loses_data=True),
    blind(RefusedWriteFillsUpToEnd, loses_data=True),
    blind(JournalRingOverflows, loses_data=True),
    blind(DiscardFreesSharedBlocks, loses_data=True),
    blind(FlushOutlivesGrant, loses_data=False),
    blind(OldHandleWritesIntoSnapshot, loses_data=True),
    blind(NamesakeInOtherStore, loses_data=True),
    blind(RevokedHandleRevives, loses_data=False),
)
