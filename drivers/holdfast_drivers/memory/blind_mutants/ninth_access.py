"""Blind defects of the ninth round: grants, fences, probes and life cycle."""

from abc import abstractmethod
from typing import Any, Final

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import OutOfRange
from holdfast.contract.handles import ExtentHandle
from holdfast.data import BLOCK_BYTES, BlockIO, Extent
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

_FLUSH_SLOTS: Final = 64


_EXTENT_PAGE: Final = 128


_CACHED_MAX_BYTES: Final = 1024 * 1024


Blocks = dict[int, bytes]


def shelf(backend: Backend, name: str) -> dict[Any, Any]:
    """What the defective array keeps under a name in its own metadata."""
    kept: dict[Any, Any] = vars(backend).setdefault(f"shelf of {name}", {})
    return kept


def behind(backend: Backend, token: str) -> tuple[Store, Granted, Volume] | None:
    """The store, grant and volume of a handle's token."""
    entry = backend.grant_of(token.partition(":")[0])
    if entry is None:
        return None
    store, grant = entry
    return store, grant, store.volumes[grant.volume]


class DefectiveIO(MemoryBlockIO):
    """Block access to a volume that knows its backend."""

    def __init__(self, backend: Backend, token: str, size_bytes: int) -> None:
        super().__init__(token, backend.content_behind, size_bytes=size_bytes)
        self.backend = backend
        self.token = token


class DefectiveBackend(Backend):
    """A backend whose volumes are accessed by a class of its own."""

    io_type: type[DefectiveIO] = DefectiveIO

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        plain = super().block_io(handle)
        if handle.token.startswith("object:"):
            return plain
        return self.io_type(self, handle.token, plain.size_bytes)


class CopyingUpIO(DefectiveIO):
    """See ``PartialWriteCopiesUpAgain``."""

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        content = self.backend.content_behind(self.token, write=True)
        check_range(offset_bytes, len(data), content.size_bytes)
        for edge in (offset_bytes, offset_bytes + len(data)):
            if data and edge % BLOCK_BYTES:
                self._copy_up(content, edge // BLOCK_BYTES)
        content.write(offset_bytes, data)

    def _copy_up(self, content: Content, number: int) -> None:
        found = behind(self.backend, self.token)
        store, volume = (found[0], found[2]) if found else (None, None)
        if store is None or volume is None:
            return
        rows = [row for row in store.snapshots.values() if row.volume == volume.key]
        if rows and number in rows[-1].content.blocks:
            content.blocks[number] = rows[-1].content.blocks[number]


class PartialWriteCopiesUpAgain(DefectiveBackend):
    """A write of a part of a block copies the block up from the newest snapshot every time.

    A second partial write to the block undoes what the first one wrote since the snapshot.
    """

    io_type = CopyingUpIO


class CachingIO(DefectiveIO):
    """Block access through a cache of blocks; larger reads go past it."""

    @abstractmethod
    def cache(self) -> Blocks | None:
        """The cache to use, if any."""

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        content = self.backend.content_behind(self.token, write=False)
        cache = self.cache()
        check_range(offset_bytes, length_bytes, content.size_bytes)
        if cache is None or not 0 < length_bytes <= _CACHED_MAX_BYTES:
            return content.read(offset_bytes, length_bytes)
        first, skip = divmod(offset_bytes, BLOCK_BYTES)
        end = -(-(offset_bytes + length_bytes) // BLOCK_BYTES)
        for number in range(first, end):
            if number not in cache:
                cache[number] = content.read(number * BLOCK_BYTES, BLOCK_BYTES)
        joined = b"".join(cache[number] for number in range(first, end))
        return joined[skip : skip + length_bytes]

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        await super().write_at(offset_bytes, data)
        self._forget(offset_bytes, len(data))

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        await super().discard(offset_bytes, length_bytes)
        self._forget(offset_bytes, length_bytes)

    def _forget(self, offset_bytes: int, length_bytes: int) -> None:
        first, end = offset_bytes // BLOCK_BYTES, -(-(offset_bytes + length_bytes) // BLOCK_BYTES)
        cache = self.cache()
        for number in [n for n in cache or () if first <= n < end]:
            (cache or {}).pop(number)


class GrantCachingIO(CachingIO):
    """See ``ReadCachePerGrant``."""

    def cache(self) -> Blocks | None:
        found = behind(self.backend, self.token)
        if found is None or found[1].mode is AccessMode.EXCLUSIVE:
            return None
        cache: Blocks = shelf(self.backend, "caches").setdefault(found[1].id, {})
        return cache


class ReadCachePerGrant(DefectiveBackend):
    """Each grant has a cache of blocks of its own, which only its own writes make invalid.

    Where two hosts share a volume, one goes on to read old bytes that the other replaced and
    flushed, also through a handle that it opens anew.
    """

    io_type = GrantCachingIO


class VolumeCachingIO(CachingIO):
    """See ``PageCacheSurvivesRevertInRoundNine``."""

    def cache(self) -> Blocks | None:
        found = behind(self.backend, self.token)
        if found is None:
            return None
        name = (found[2].id, found[2].content.size_bytes)
        cache: Blocks = shelf(self.backend, "caches").setdefault(name, {})
        return cache


class PageCacheSurvivesRevertInRoundNine(DefectiveBackend):
    """The array's cache of a volume's blocks is made invalid by writes, and not by a revert.

    Blocks that were read before the revert are read with their old bytes after it.
    """

    io_type = VolumeCachingIO


class SlottedIO(DefectiveIO):
    """See ``FlushCommitsFirstSlots``."""

    def __init__(self, backend: Backend, token: str, size_bytes: int) -> None:
        super().__init__(backend, token, size_bytes)
        self._slots = 0
        self._late: list[tuple[int, bytes]] = []

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        content = self.backend.content_behind(self.token, write=True)
        check_range(offset_bytes, len(data), content.size_bytes)
        self._slots += 1
        if self._slots > _FLUSH_SLOTS or self._late:
            self._late.append((offset_bytes, bytes(data)))
        else:
            content.write(offset_bytes, data)

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        whole = self.backend.content_behind(self.token, write=False)
        if not self._late:
            return whole.read(offset_bytes, length_bytes)
        seen = whole.copy()
        self._commit(seen, self._late)
        return seen.read(offset_bytes, length_bytes)

    async def flush(self) -> None:
        content = self.backend.content_behind(self.token, write=False)
        if self._slots <= _FLUSH_SLOTS:
            self._commit(content, self._late)
            self._late = []
        self._slots = 0

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        content = self.backend.content_behind(self.token, write=True)
        check_range(offset_bytes, length_bytes, content.size_bytes)
        self._commit(content, self._late)
        self._late = []
        content.discard(offset_bytes, length_bytes)

    async def extents(self) -> tuple[Extent, ...]:
        seen = self.backend.content_behind(self.token, write=False).copy()
        self._commit(seen, self._late)
        return seen.extents()

    def _commit(self, content: Content, late: list[tuple[int, bytes]]) -> None:
        for offset_bytes, data in late:
            try:
                content.write(offset_bytes, data)
            except OutOfRange:
                continue


class FlushCommitsFirstSlots(DefectiveBackend):
    """A flush commits the 64 slots of the write journal; what came after them waits for the next.

    The 65th write since the last flush is seen through its own handle, and lost with it although
    the flush was acknowledged.
    """

    io_type = SlottedIO


class PagedExtentsIO(DefectiveIO):
    """See ``ExtentsFirstPageOnly``."""

    async def extents(self) -> tuple[Extent, ...]:
        return (await super().extents())[:_EXTENT_PAGE]


class ExtentsFirstPageOnly(DefectiveBackend):
    """The map of where data is consists of one page of 128 runs; the next page is never asked for.

    Whatever is copied from a more fragmented volume by its extents lacks the rest.
    """

    io_type = PagedExtentsIO


class RememberingIO(DefectiveIO):
    """See ``RevokeReplaysLastWrite``."""

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        await super().write_at(offset_bytes, data)
        found = behind(self.backend, self.token)
        if found and found[1].mode is AccessMode.SHARED:
            last = (found[2].id, offset_bytes, bytes(data))
            shelf(self.backend, "last writes")[found[1].id] = last


class RevokeReplaysLastWrite(DefectiveBackend):
    """The last write of a sharing host stays in its journal and is replayed once it is revoked.

    What another host wrote over it since, and flushed, is overwritten with the old bytes.
    """

    io_type = RememberingIO

    def content_behind(self, token: str, *, write: bool) -> Content:
        last_writes = shelf(self, "last writes")
        for grant in [name for name in last_writes if self.grant_of(name) is None]:
            self._replay(*last_writes.pop(grant))
        return super().content_behind(token, write=write)

    def _replay(self, volume: str, offset_bytes: int, data: bytes) -> None:
        for store in self.stores.values():
            for row in store.volumes.values():
                if row.id == volume and offset_bytes + len(data) <= row.content.size_bytes:
                    row.content.write(offset_bytes, data)


MUTANTS = (
    blind(PartialWriteCopiesUpAgain, loses_data=True),
    blind(ReadCachePerGrant, loses_data=True),
    blind(PageCacheSurvivesRevertInRoundNine, loses_data=True),
    blind(FlushCommitsFirstSlots, loses_data=True),
    blind(ExtentsFirstPageOnly, loses_data=True),
    blind(RevokeReplaysLastWrite, loses_data=True),
)
