"""What is moved at once: pieces of 16 MiB, four blocks each, cut where chunks and blocks begin."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

import msgspec

from holdfast.data.block_io import Extent
from holdfast.motion.block_digests import BLOCK_BYTES
from holdfast.motion.chunk_map import CHUNK_BYTES

PIECE_BYTES: Final = 4 * BLOCK_BYTES
"""Between two pieces limits and wishes are looked at; a hop between threads costs little beside."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A range that is moved at once: it begins at a block, and ends at one or at the end.

    ``extents`` are the data in it; what lies between them reads as zeroes.
    """

    offset_bytes: int
    length_bytes: int
    extents: tuple[Extent, ...]

    @property
    def data_bytes(self) -> int:
        """The bytes of data in it."""
        return sum(extent.length_bytes for extent in self.extents)

    def runs(self) -> Iterator[tuple[int, int, bool]]:
        """The range in order: offset, length and whether there is data."""
        at = self.offset_bytes
        for extent in self.extents:
            if extent.offset_bytes > at:
                yield at, extent.offset_bytes - at, False
            yield extent.offset_bytes, extent.length_bytes, True
            at = extent.offset_bytes + extent.length_bytes
        end = self.offset_bytes + self.length_bytes
        if end > at:
            yield at, end - at, False

    @property
    def chunk(self) -> int:
        """The number of the chunk it is in."""
        return self.offset_bytes // CHUNK_BYTES


def pieces(length_bytes: int, extents: Iterable[Extent]) -> Iterator[Piece]:
    """The pieces of the first ``length_bytes`` that hold data, in ascending order."""
    cut = _cut(length_bytes, extents)
    for number, parts in groupby(cut, key=lambda part: part.offset_bytes // PIECE_BYTES):
        offset = number * PIECE_BYTES
        yield Piece(
            offset_bytes=offset,
            length_bytes=min(PIECE_BYTES, length_bytes - offset),
            extents=tuple(parts),
        )


def _cut(length_bytes: int, extents: Iterable[Extent]) -> Iterator[Extent]:
    """The extents, none of which reaches from one piece into the next."""
    for extent in extents:
        at = extent.offset_bytes
        end = min(at + extent.length_bytes, length_bytes)
        while at < end:
            until = min(end, (at // PIECE_BYTES + 1) * PIECE_BYTES)
            yield Extent(at, until - at)
            at = until


def by_chunk(cut: Iterable[Piece]) -> Iterator[tuple[int, tuple[Piece, ...]]]:
    """The pieces of each chunk, with its number."""
    for number, group in groupby(cut, key=lambda piece: piece.chunk):
        yield number, tuple(group)
