"""Two files that are opened for a transfer: what all mechanisms between files have in common."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from holdfast.concurrency.lanes import Lane
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import Corrupt
from holdfast.contract.handles import FileHandle
from holdfast.data.block_io import Extent
from holdfast.data.extents import subtract
from holdfast.data.file_io import zero_range
from holdfast.data.locked_file import LockedFile
from holdfast.data.sparse import file_extents
from holdfast.files import mutations
from holdfast.motion.block_digests import BlockDigest
from holdfast.motion.mechanism import Mover, Pair
from holdfast.motion.pieces import Piece


class FileMover(Mover):
    """Moves pieces between two files, in threads of its own: a dead disk holds up nobody else.

    Each piece opens both files anew, so that a grant that was taken back is noticed; see
    ``holdfast.data.locked_file``.
    """

    def __init__(self, pair: Pair, source: LockedFile, target: LockedFile, lane: Lane) -> None:
        self.pair = pair
        self.source = source
        self.target = target
        self._lane = lane

    async def identity(self) -> str:
        return await self._lane.run(self._identity)

    def _identity(self) -> str:
        with self.source.reading() as file:
            return file.identity()

    async def prepare(self) -> tuple[Extent, ...]:
        return await self._lane.run(self._prepare)

    def _prepare(self) -> tuple[Extent, ...]:
        with self.source.reading() as file:
            extents = tuple(file_extents(file.fd, self.pair.length_bytes))
        self.target.check_writable()
        with self.target.writing() as file:
            self.target.check_there(file, self.pair.length_bytes)
            there = tuple(file_extents(file.fd, self.target.handle.size_bytes))
            for stale in subtract(there, extents):
                zero_range(file, stale.offset_bytes, stale.length_bytes)
        return extents

    async def move(self, piece: Piece) -> tuple[BlockDigest, ...]:
        return await self._lane.run(self._move, piece)

    def _move(self, piece: Piece) -> tuple[BlockDigest, ...]:
        with self.source.reading() as source, self.target.writing() as target:
            self.target.check_there(target, piece.offset_bytes + piece.length_bytes)
            return self.move_between(source, target, piece)

    @abstractmethod
    def move_between(
        self, source: mutations.OpenFile, target: mutations.OpenFile, piece: Piece
    ) -> tuple[BlockDigest, ...]:
        """Move one piece; blocking. An ``OSError`` is taken for one of the target."""

    def ended_early(self) -> Corrupt:
        """The source has fewer bytes than when it was looked at."""
        return Corrupt(f"{self.source.path} is shorter than its {self.pair.length_bytes} bytes")

    async def settle(self) -> None:
        await self._lane.run(self._settle)

    def _settle(self) -> None:
        with self.target.writing() as file:
            mutations.fsync_file(file)


MoverT = TypeVar("MoverT", bound=FileMover)


@asynccontextmanager
async def open_files(
    made: type[MoverT], pair: Pair, source: FileHandle, target: FileHandle, *, streams: int = 1
) -> AsyncIterator[MoverT]:
    """Open both files of a pair, with a lane that ends with the transfer."""
    lane = runtime().open_lane(streams)
    try:
        yield made(
            pair,
            await lane.run(LockedFile.look, source),
            await lane.run(LockedFile.look, target),
            lane,
        )
    finally:
        lane.close()
