"""Defects in bytes off the beaten track: far, long, small, unaligned, discarded, kept open."""

import itertools
from collections.abc import Callable

from holdfast.contract.handles import ExtentHandle
from holdfast.data import BLOCK_BYTES, BlockIO
from holdfast_drivers.memory.backend import Backend, Granted, MemoryBlockIO, Snapshot, Store, Volume
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.provider import MemoryProvider

_MIB = 1 << 20


class _OddIO(Backend):
    """A backend whose volumes are reached through another block access."""

    io_type: type[MemoryBlockIO]

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        opened = super().block_io(handle)
        if handle.token.startswith("object:"):
            return opened
        return self.io_type(handle.token, self.content_behind, size_bytes=opened.size_bytes)


def _without(content: Content, gone: Callable[[int], bool], size_bytes: int) -> Content:
    copy = content.copy(size_bytes)
    copy.blocks = {n: data for n, data in copy.blocks.items() if not gone(n * BLOCK_BYTES)}
    return copy


class ClonesEndAfterAMebibyte(MemoryPrimaryDriver):
    """A loop that copies by the mebibyte is left after the first."""

    def clone(self, content: Content, size_bytes: int) -> Content:
        return _without(content, lambda offset: offset >= _MIB, size_bytes)


class ClonesSkipAHole(MemoryPrimaryDriver):
    """What lies behind a hole is not copied."""

    def clone(self, content: Content, size_bytes: int) -> Content:
        extents = content.extents()
        end = extents[0].offset_bytes + extents[0].length_bytes if extents else 0
        return _without(content, lambda offset: offset >= end, size_bytes)


class SnapshotsEndAtFourGibibytes(MemoryPrimaryDriver):
    """What lies past 4 GiB is not in a snapshot."""

    def frozen(self, volume: Volume) -> Content:
        return _without(volume.content, lambda offset: offset >= 1 << 32, volume.content.size_bytes)


class RevertLeavesWhatIsFar(MemoryPrimaryDriver):
    """A revert brings back the first 2 GiB and leaves the rest as it is."""

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        far = {n: data for n, data in volume.content.blocks.items() if n * BLOCK_BYTES >= 1 << 31}
        super().restore(volume, snapshot)
        near = {n: d for n, d in volume.content.blocks.items() if n * BLOCK_BYTES < 1 << 31}
        volume.content.blocks = near | far


class FarBlocksAreShared(MemoryPrimaryDriver):
    """A clone copies its first 16 MiB; what is behind them it shares with its source for ever."""

    def clone(self, content: Content, size_bytes: int) -> Content:
        if content.size_bytes > 16 * _MIB:
            return Content(size_bytes, content.blocks)
        return super().clone(content, size_bytes)


class _WrapsAt16MiB(MemoryBlockIO):
    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        await super().write_at(offset_bytes & 0xFFFFFF, data)

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return await super().read_at(offset_bytes & 0xFFFFFF, length_bytes)


class OffsetsHave24Bits(_OddIO):
    """Offsets wrap at 16 MiB."""

    io_type = _WrapsAt16MiB


class _WrapsAt4GiB(MemoryBlockIO):
    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        await super().write_at(offset_bytes & 0xFFFFFFFF, data)

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return await super().read_at(offset_bytes & 0xFFFFFFFF, length_bytes)


class OffsetsHave32Bits(_OddIO):
    """Offsets wrap at 4 GiB."""

    io_type = _WrapsAt4GiB


class _ZeroesTheBlock(MemoryBlockIO):
    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        skip = offset_bytes % BLOCK_BYTES
        await super().write_at(offset_bytes - skip, bytes(skip) + data)


class SmallWritesZeroTheirBlock(_OddIO):
    """A write in the middle of a block clears the block up to it."""

    io_type = _ZeroesTheBlock


class _WholeSectors(MemoryBlockIO):
    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        whole = len(data) // 512 * 512 or len(data)
        await super().write_at(offset_bytes, data[:whole])


class TheLastPartOfASectorIsLost(_OddIO):
    """What a write has beyond its last whole sector is not written."""

    io_type = _WholeSectors


class _SkipsZeroes(MemoryBlockIO):
    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        if any(data):
            await super().write_at(offset_bytes, data)


class ZeroesAreNotWritten(_OddIO):
    """A write of zeroes is taken for nothing to do."""

    io_type = _SkipsZeroes


class _LongWrites(MemoryBlockIO):
    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        await super().write_at(offset_bytes, data[:_MIB])


class LongWritesAreCut(_OddIO):
    """A write of more than a mebibyte puts down its first mebibyte."""

    io_type = _LongWrites


class _IgnoresDiscard(MemoryBlockIO):
    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        self._find(self._token, write=True).read(offset_bytes, length_bytes)


class DiscardDoesNothing(_OddIO):
    """A discard succeeds and discards nothing."""

    io_type = _IgnoresDiscard


class _DiscardsWholeBlocks(MemoryBlockIO):
    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        content = self._find(self._token, write=True)
        first = offset_bytes // BLOCK_BYTES
        last = -(-(offset_bytes + length_bytes) // BLOCK_BYTES) if length_bytes else first
        content.read(offset_bytes, length_bytes)
        content.blocks = {n: d for n, d in content.blocks.items() if not first <= n < last}


class DiscardTakesTheNeighbours(_OddIO):
    """A discard of a part of a block takes the whole of it."""

    io_type = _DiscardsWholeBlocks


class _DiscardsUnasked(MemoryBlockIO):
    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        self._find(self._token, write=False).discard(offset_bytes, length_bytes)


class DiscardNeedsNoRightToWrite(_OddIO):
    """A host that may only read discards."""

    io_type = _DiscardsUnasked


class DiscardReachesTheSnapshots(MemoryPrimaryDriver):
    """A snapshot shares the table of its volume until the first write, and a discard is none."""

    def frozen(self, volume: Volume) -> Content:
        return _SharedUntilWritten(volume.content)


class _SharedUntilWritten(Content):
    """A copy that follows what its source loses."""

    __slots__ = ("_source",)

    def __init__(self, source: Content) -> None:
        super().__init__(source.size_bytes, dict(source.blocks))
        self._source = source

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self._follow()
        return super().read(offset_bytes, length_bytes)

    def copy(self, size_bytes: int | None = None) -> Content:
        self._follow()
        return super().copy(size_bytes)

    def _follow(self) -> None:
        gone = set(self.blocks) - set(self._source.blocks)
        self.blocks = {n: data for n, data in self.blocks.items() if n not in gone}


class _WritesLater(MemoryBlockIO):
    def __init__(self, token: str, find: Callable[..., Content], *, size_bytes: int) -> None:
        super().__init__(token, find, size_bytes=size_bytes)
        self._later: list[tuple[int, bytes]] = []

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        self._find(self._token, write=True).read(offset_bytes, len(data))
        self._later.append((offset_bytes, data))

    async def flush(self) -> None:
        for offset_bytes, data in self._later:
            await super().write_at(offset_bytes, data)
        self._later.clear()
        await super().flush()


class ReadsDoNotSeeWhatIsNotFlushed(_OddIO):
    """What was written is read as it was before, until it is flushed."""

    io_type = _WritesLater


class _HoldsItsContent(MemoryBlockIO):
    def __init__(self, token: str, find: Callable[..., Content], *, size_bytes: int) -> None:
        held = find(token, write=False)

        def content(token: str, *, write: bool) -> Content:
            find(token, write=write)
            return held

        super().__init__(token, content, size_bytes=size_bytes)


class _MovingDriver(MemoryPrimaryDriver):
    def frozen(self, volume: Volume) -> Content:
        frozen = volume.content
        volume.content = frozen.copy()
        return frozen


class _HoldingBackend(_OddIO):
    io_type = _HoldsItsContent


class OpenHandlesWriteIntoTheSnapshot(MemoryProvider):
    """A snapshot takes the volume's place, and what is open goes on with the snapshot's bytes."""

    backend_type = _HoldingBackend
    primary_type = _MovingDriver


class SlotsAreUsedAgain(Backend):
    """The next grant to a host takes the place of one that was revoked, and its open handles."""

    def grant_of(self, identifier: str) -> tuple[Store, Granted] | None:
        entry = super().grant_of(identifier)
        if entry is not None:
            self._places[identifier] = (entry[0].id, entry[1].host)
            return entry
        place = self._places.get(identifier)
        known = list(self._places)
        for store in self.stores.values():
            for row in store.grants.values():
                earlier = row.id in known[: known.index(identifier)] if place else True
                if (store.id, row.host) == place and not earlier:
                    return store, row
        return None

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self._places: dict[str, tuple[str, str]] = {}


class SnapshotsFillTheHoles(MemoryPrimaryDriver):
    """A hole between two extents holds the block before it in a snapshot."""

    def frozen(self, volume: Volume) -> Content:
        frozen = super().frozen(volume)
        numbers = sorted(frozen.blocks)
        for number, following in itertools.pairwise(numbers):
            if 1 < following - number < 64:
                frozen.blocks[number + 1] = frozen.blocks[number]
        return frozen


MUTANTS = (
    planted("SNP-09", ClonesEndAfterAMebibyte),
    planted("SNP-09", ClonesSkipAHole),
    planted("SNP-01", SnapshotsEndAtFourGibibytes),
    planted("SNP-07", RevertLeavesWhatIsFar),
    planted("SNP-09", FarBlocksAreShared),
    planted("DAT-01", OffsetsHave24Bits),
    planted("DAT-01", OffsetsHave32Bits),
    planted("DAT-05", SmallWritesZeroTheirBlock),
    planted("DAT-05", TheLastPartOfASectorIsLost),
    planted("DAT-05", ZeroesAreNotWritten),
    planted("DAT-05", LongWritesAreCut),
    planted("DAT-06", DiscardDoesNothing),
    planted("DAT-06", DiscardTakesTheNeighbours),
    planted("ACC-08", DiscardNeedsNoRightToWrite),
    planted("SNP-02", DiscardReachesTheSnapshots),
    planted("DAT-05", ReadsDoNotSeeWhatIsNotFlushed),
    planted("ACC-07", SlotsAreUsedAgain),
    planted("ACC-07", OpenHandlesWriteIntoTheSnapshot),
    planted("SNP-01", SnapshotsFillTheHoles),
)
