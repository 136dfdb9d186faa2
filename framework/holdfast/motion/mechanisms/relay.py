"""Relay: whatever can be read block by block is read, hashed, and written block by block."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar, Final

from holdfast.contract.handles import NativeHandle
from holdfast.data.block_io import BlockIO, Extent
from holdfast.data.extents import subtract
from holdfast.data.in_lane import open_apart
from holdfast.motion.block_digests import BLOCK_BYTES, BlockDigest, BlockHasher
from holdfast.motion.handle_kinds import WORDS
from holdfast.motion.mechanism import Mechanism, Mover, Offer, Pair, Refusal
from holdfast.motion.pieces import Piece

_READ_BYTES: Final = 2 << 20


class Relay(Mechanism):
    """Works for every pair of handles with block access, and is the dearest."""

    name: ClassVar[str] = "relay"
    streams: ClassVar[int] = 4
    """Reads and writes of several pieces overlap: most of the time is spent waiting."""

    def offer(self, pair: Pair) -> Offer | Refusal:
        for side in (pair.source, pair.target):
            if isinstance(side.handle, NativeHandle):
                return Refusal(f"{side.name} is {WORDS[NativeHandle]}")
        return Offer(cost=4, how="data is read and written through this process")

    @asynccontextmanager
    async def open(self, pair: Pair) -> AsyncIterator[Mover]:
        async with AsyncExitStack() as stack:
            source, target = [
                await stack.enter_async_context(open_apart(side.handle, threads=self.streams))
                for side in (pair.source, pair.target)
            ]
            yield _Relaying(pair, source, target)


class _Relaying(Mover):
    def __init__(self, pair: Pair, source: BlockIO, target: BlockIO) -> None:
        self._pair = pair
        self._source = source
        self._target = target

    async def identity(self) -> str:
        return self._pair.source.version

    async def place(self) -> str:
        return self._pair.target.version

    async def prepare(self) -> tuple[Extent, ...]:
        extents = tuple(_within(self._pair.length_bytes, await self._source.extents()))
        if not self._pair.target.fresh:
            for stale in subtract(await self._target.extents(), extents):
                await self._target.discard(stale.offset_bytes, stale.length_bytes)
        return extents

    async def move(self, piece: Piece) -> tuple[BlockDigest, ...]:
        hasher = BlockHasher(piece.offset_bytes // BLOCK_BYTES)
        for offset, length, holds_data in piece.runs():
            if not holds_data:
                hasher.hole(length)
                continue
            end = offset + length
            for at in range(offset, end, _READ_BYTES):
                data = await self._source.read_at(at, min(_READ_BYTES, end - at))
                if self._pair.digested:
                    hasher.data(memoryview(data))
                await self._target.write_at(at, data)
        return hasher.ended() if self._pair.digested else ()

    async def settle(self) -> None:
        await self._target.flush()


def _within(length_bytes: int, extents: tuple[Extent, ...]) -> tuple[Extent, ...]:
    """The extents of the first bytes alone."""
    return tuple(
        Extent(extent.offset_bytes, min(extent.length_bytes, length_bytes - extent.offset_bytes))
        for extent in extents
        if extent.offset_bytes < length_bytes
    )
