"""Two files that are opened for a transfer: what all mechanisms between files have in common."""

import errno
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import ClassVar, Final, ParamSpec, TypeVar

from holdfast.concurrency.lanes import Lane, in_lane
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import Corrupt, DriverError
from holdfast.data.block_io import Extent
from holdfast.data.extents import subtract
from holdfast.data.file_io import zero_range
from holdfast.data.locked_file import LockedFile
from holdfast.data.sparse import file_extents
from holdfast.files import mutations
from holdfast.motion.block_digests import BlockDigest
from holdfast.motion.handle_kinds import both_files
from holdfast.motion.mechanism import Mechanism, Mover, NotHere, Offer, Pair, Refusal
from holdfast.motion.pieces import Piece

P = ParamSpec("P")
T = TypeVar("T")


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

    async def _in_lane(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with in_lane(self._lane):
            return await runtime().run_blocking(work, *args, **kwargs)

    async def identity(self) -> str:
        return await self._in_lane(self._identity)

    def _identity(self) -> str:
        with self.source.reading() as file:
            return file.identity()

    async def place(self) -> str:
        return self.target.place

    async def prepare(self) -> tuple[Extent, ...]:
        return await self._in_lane(self._prepare)

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
        return await self._in_lane(self._move, piece)

    def _move(self, piece: Piece) -> tuple[BlockDigest, ...]:
        with self.source.reading() as source, self.target.writing() as target:
            self.target.check_there(target, piece.offset_bytes + piece.length_bytes)
            return self.move_between(source, target, piece)

    @abstractmethod
    def move_between(
        self, source: mutations.OpenFile, target: mutations.OpenFile, piece: Piece
    ) -> tuple[BlockDigest, ...]:
        """Move one piece; blocking. An ``OSError`` is taken for one of the target."""

    def blamed(
        self, error: OSError, source: mutations.OpenFile, extent: Extent
    ) -> OSError | DriverError:
        """Whose error it is, where the kernel has both files at once and names none.

        What can only be said of the target is the target's; else the source is read alone.
        """
        if error.errno in _OF_THE_TARGET:
            return error
        buffer = memoryview(bytearray(min(_BUFFER_BYTES, extent.length_bytes)))
        end = extent.offset_bytes + extent.length_bytes
        try:
            for at in range(extent.offset_bytes, end, len(buffer)):
                mutations.read_into(source, at, buffer[: end - at])
        except OSError as problem:
            return self.source.read_error(problem)
        return error

    def ended_early(self) -> Corrupt:
        """The source has fewer bytes than when it was looked at."""
        return Corrupt(f"{self.source.path} is shorter than its {self.pair.length_bytes} bytes")

    async def settle(self) -> None:
        await self._in_lane(self._settle)

    def _settle(self) -> None:
        with self.target.writing() as file:
            mutations.fsync_file(file)


_BUFFER_BYTES: Final = 1 << 20
_OF_THE_TARGET: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


class BetweenFiles(Mechanism):
    """A mechanism for two files of this host; ``mover`` is what moves the pieces."""

    mover: ClassVar[type[FileMover]]

    def offer(self, pair: Pair) -> Offer | Refusal:
        files = both_files(pair)
        return files if isinstance(files, Refusal) else self.offer_files(pair)

    @abstractmethod
    def offer_files(self, pair: Pair) -> Offer | Refusal:
        """Whether it can move a pair of files."""

    @asynccontextmanager
    async def open(self, pair: Pair) -> AsyncIterator[Mover]:
        """Open both files, with a lane that ends with the transfer."""
        files = both_files(pair)
        if isinstance(files, Refusal):
            raise NotHere(files.reason)
        lane = runtime().open_lane(self.streams)
        try:
            with in_lane(lane):
                source = await runtime().run_blocking(LockedFile.look, files[0])
                target = await runtime().run_blocking(LockedFile.look, files[1])
            yield self.mover(pair, source, target, lane)
        finally:
            lane.close()
