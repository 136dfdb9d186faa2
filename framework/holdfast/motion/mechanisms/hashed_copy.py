"""Hashed copy: bytes go from one file to the other through a small buffer, and are hashed there."""

from typing import ClassVar, Final

from holdfast.files import mutations
from holdfast.motion.block_digests import BLOCK_BYTES, BlockDigest, BlockHasher
from holdfast.motion.mechanism import Offer, Pair, Refusal
from holdfast.motion.mechanisms.opened_files import BetweenFiles, FileMover
from holdfast.motion.pieces import Piece

_BUFFER_BYTES: Final = 256 << 10
"""Stays in a core's cache between read, hash and write; larger ones cost memory bandwidth."""


class _Hashing(FileMover):
    def move_between(
        self, source: mutations.OpenFile, target: mutations.OpenFile, piece: Piece
    ) -> tuple[BlockDigest, ...]:
        hasher = BlockHasher(piece.offset_bytes // BLOCK_BYTES)
        buffer = memoryview(bytearray(min(_BUFFER_BYTES, piece.length_bytes)))
        for offset, length, holds_data in piece.runs():
            if not holds_data:
                hasher.hole(length)
                continue
            for at in range(offset, offset + length, len(buffer)):
                part = buffer[: min(len(buffer), offset + length - at)]
                self._read(source, at, part)
                hasher.data(part)
                mutations.write_at(target, at, part)
        return hasher.ended()

    def _read(self, source: mutations.OpenFile, offset_bytes: int, into: memoryview) -> None:
        try:
            count = mutations.read_into(source, offset_bytes, into)
        except OSError as error:
            # Within the target's context, which would take it for one of writing.
            raise self.source.read_error(error) from error
        if count < len(into):
            raise self.ended_early()


class HashedCopy(BetweenFiles):
    """``pread``, XXH3, ``pwrite``."""

    mover = _Hashing
    name: ClassVar[str] = "hashed-copy"

    def offer_files(self, pair: Pair) -> Offer | Refusal:
        return Offer(cost=2, how="data is read, hashed and written, holes stay holes")
