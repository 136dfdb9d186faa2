"""What a volume or snapshot holds, byte by byte, as the model knows it.

Bytes are written as those of stamped blocks, so that a block is a row of pieces, each with the
bytes of one stamp; what lies between them reads as zeroes, unless nobody can know what it holds.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from holdfast.data import BLOCK_BYTES, digest_of_hashes
from holdfast_conformance.stamps import ZEROES, bytes_of_pieces, hash_of_pieces, hash_of_stamp

_TOLD_MAX_BYTES = 64 << 20
"""Of a larger volume that was not zeroed nobody asks whether all of it is known by now."""
Stamped = tuple[str, int]
"""The volume a block was written for, and the generation of the write."""


class Piece(NamedTuple):
    """The bytes ``start..end-1`` of a block, which are those of a stamp, or zeroes."""

    start: int
    end: int
    stamped: Stamped | None


Block = tuple[Piece, ...]
"""One block: its pieces in ascending order, and neighbours of one stamp are one piece."""


@lru_cache(maxsize=65536)
def _whole(stamped: Stamped | None) -> Block:
    return (Piece(0, BLOCK_BYTES, stamped),)


class Content:
    """An immutable map from block number to pieces; what is not in it reads as zeroes.

    Digests are remembered, since every observation asks for them again.

    Args:
        blocks: the pieces by block number.
        unknown_bytes: below this offset, what was not written may read as anything.
        zeroed: runs of blocks that are zeroes all the same, where nothing was written later.
    """

    __slots__ = ("_blocks", "_digests", "_unknown_bytes", "_zeroed")

    def __init__(
        self,
        blocks: Mapping[int, Block] | None = None,
        *,
        unknown_bytes: int = 0,
        zeroed: tuple[range, ...] = (),
    ) -> None:
        self._blocks: Mapping[int, Block] = blocks or {}
        self._unknown_bytes = unknown_bytes
        self._zeroed = zeroed
        self._digests: dict[tuple[str, int], str | None] = {}

    @property
    def blocks(self) -> Mapping[int, Block]:
        """The pieces by block number."""
        return MappingProxyType(self._blocks)

    def written(self, volume: str, first: int, count: int, generation: int) -> "Content":
        """The content after a write of ``count`` blocks from block ``first``."""
        block = _whole((volume, generation))
        return self._with(dict.fromkeys(range(first, first + count), block))

    def put(self, volume: str, offset_bytes: int, length_bytes: int, generation: int) -> "Content":
        """The content after a write of these bytes; generation 0 is zeroes."""
        stamped = None if generation == ZEROES else (volume, generation)
        return self._overlaid(offset_bytes, length_bytes, stamped)

    def discarded(self, offset_bytes: int, length_bytes: int) -> "Content":
        """The content after these bytes were made zeroes."""
        if self._unknown_bytes:
            return self._zeroed_in(offset_bytes, offset_bytes + length_bytes)
        # The blocks there are, and not the range, which may be of many million.
        end_bytes = offset_bytes + length_bytes
        touched = {
            number: _overlaid(
                block,
                max(0, offset_bytes - number * BLOCK_BYTES),
                min(BLOCK_BYTES, end_bytes - number * BLOCK_BYTES),
                None,
            )
            for number, block in self._blocks.items()
            if number * BLOCK_BYTES < end_bytes and offset_bytes < (number + 1) * BLOCK_BYTES
        }
        return self._with(touched)

    def _zeroed_in(self, start_bytes: int, end_bytes: int) -> "Content":
        """As ``discarded`` where it must be told: whole blocks as a run, of millions perhaps."""
        whole = range(-(-start_bytes // BLOCK_BYTES), end_bytes // BLOCK_BYTES)
        if not whole:
            return self._overlaid(start_bytes, end_bytes - start_bytes, None)
        edges = (
            (whole.start - 1, start_bytes % BLOCK_BYTES or BLOCK_BYTES, BLOCK_BYTES),
            (whole.stop, 0, end_bytes % BLOCK_BYTES),
        )
        touched = {
            number: _overlaid(self._there(number), start, end, None, keep_zeroes=True)
            for number, start, end in edges
            if start < end
        }
        kept = {n: block for n, block in self._blocks.items() if n not in whole}
        zeroed = (*self._zeroed, whole)
        return Content({**kept, **touched}, unknown_bytes=self._unknown_bytes, zeroed=zeroed)

    def _there(self, number: int) -> Block:
        """What is known of a block."""
        zeroes = _whole(None) if any(number in run for run in self._zeroed) else ()
        return self._blocks.get(number, zeroes)

    def cut(self, size_bytes: int) -> "Content":
        """The content without the bytes at or after ``size_bytes``."""
        if all((number + 1) * BLOCK_BYTES <= size_bytes for number in self._blocks):
            return self._bounded(self._blocks, size_bytes)
        blocks = {n: block for n, block in self._blocks.items() if n * BLOCK_BYTES < size_bytes}
        last, rest = divmod(size_bytes, BLOCK_BYTES)
        if rest and last in blocks:
            blocks[last] = _cut(blocks[last], rest)
        return self._bounded(blocks, size_bytes)

    def at(self, number: int) -> Stamped | None:
        """The stamp that one block has as a whole, or ``None``."""
        block = self._blocks.get(number, ())
        return block[0].stamped if is_whole(block) else None

    def block(self, number: int) -> Block | None:
        """The pieces of one block; none are zeroes, and ``None`` is what nobody knows."""
        block = self._there(number)
        if number * BLOCK_BYTES < self._unknown_bytes and not _covered(block):
            return None
        return tuple(piece for piece in block if piece.stamped is not None)

    def read(self, run: str, offset_bytes: int, length_bytes: int, size_bytes: int) -> bytes | None:
        """These bytes; ``None`` where a part of them is not known."""
        first, skip = divmod(offset_bytes, BLOCK_BYTES)
        rows: list[bytes] = []
        for number in range(first, -(-(offset_bytes + length_bytes) // BLOCK_BYTES)):
            block = self.block(number)
            if block is None:
                return None
            rows.append(bytes_of_pieces(run, number, within(block, number, size_bytes)))
        return b"".join(rows)[skip : skip + length_bytes]

    def digest(self, run: str, size_bytes: int) -> str | None:
        """The content digest that ``holdfast.data.content_digest`` finds in a correct backend.

        ``None`` where a part of the content is not known.
        """
        if (run, size_bytes) not in self._digests:
            self._digests[run, size_bytes] = self._digest(run, size_bytes)
        return self._digests[run, size_bytes]

    def _digest(self, run: str, size_bytes: int) -> str | None:
        unknown = self._unknown_bytes
        known = unknown == 0 or (
            unknown <= _TOLD_MAX_BYTES
            and all(self.block(number) is not None for number in range(-(-unknown // BLOCK_BYTES)))
        )
        return digest_of_hashes(size_bytes, self._hashes(run, size_bytes)) if known else None

    def _hashes(self, run: str, size_bytes: int) -> Iterator[tuple[int, bytes]]:
        ordered: Iterable[int] = sorted(self._blocks)
        for number in ordered:
            yield number, block_digest(run, number, self.block(number) or (), size_bytes)

    def _with(self, blocks: Mapping[int, Block]) -> "Content":
        merged = {**self._blocks, **blocks}
        if not self._unknown_bytes:
            merged = {number: block for number, block in merged.items() if block}
        return Content(merged, unknown_bytes=self._unknown_bytes, zeroed=self._zeroed)

    def _bounded(self, blocks: Mapping[int, Block], size_bytes: int) -> "Content":
        unknown_bytes = min(self._unknown_bytes, size_bytes)
        if blocks is self._blocks and unknown_bytes == self._unknown_bytes:
            return self
        return Content(blocks, unknown_bytes=unknown_bytes, zeroed=self._zeroed)

    def _overlaid(self, offset_bytes: int, length_bytes: int, stamped: Stamped | None) -> "Content":
        end_bytes = offset_bytes + length_bytes
        keep_zeroes = self._unknown_bytes > 0
        touched: dict[int, Block] = {}
        for number in range(offset_bytes // BLOCK_BYTES, -(-end_bytes // BLOCK_BYTES)):
            start = max(0, offset_bytes - number * BLOCK_BYTES)
            end = min(BLOCK_BYTES, end_bytes - number * BLOCK_BYTES)
            block = self._there(number)
            touched[number] = _overlaid(block, start, end, stamped, keep_zeroes=keep_zeroes)
        return self._with(touched)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Content)
            and self._blocks == other._blocks
            and self._unknown_bytes == other._unknown_bytes
            and self._zeroed == other._zeroed
        )

    def __hash__(self) -> int:
        return hash((frozenset(self._blocks.items()), self._unknown_bytes))

    def __repr__(self) -> str:
        return f"Content({dict(sorted(self._blocks.items()))!r}, {self._unknown_bytes})"


EMPTY = Content()


def block_digest(run: str, number: int, block: Block, size_bytes: int) -> bytes:
    """The hash of a block, of which no more is there than the size leaves of it."""
    block = within(block, number, size_bytes)
    if not block:
        return b""
    piece = block[0]
    if piece.start == 0 and piece.end == BLOCK_BYTES and piece.stamped is not None:
        return hash_of_stamp(run, piece.stamped[0], number, piece.stamped[1])
    return hash_of_pieces(run, number, block)


def within(block: Block, number: int, size_bytes: int) -> Block:
    """What the size leaves of a block."""
    room = size_bytes - number * BLOCK_BYTES
    return block if room >= BLOCK_BYTES else _cut(block, max(0, room))


def is_whole(block: Block) -> bool:
    """Whether a block is one stamp from its first byte to its last."""
    return len(block) == 1 and block[0].start == 0 and block[0].end == BLOCK_BYTES


def _overlaid(
    block: Block, start: int, end: int, stamped: Stamped | None, *, keep_zeroes: bool = False
) -> Block:
    """A block after a write of ``start..end-1``; zeroes are told only where they are asked for."""
    pieces: list[Piece] = []
    for piece in block:
        if piece.start < start:
            pieces.append(piece._replace(end=min(piece.end, start)))
        if piece.end > end:
            pieces.append(piece._replace(start=max(piece.start, end)))
    if start < end and (stamped is not None or keep_zeroes):
        pieces.append(Piece(start, end, stamped))
    joined: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.start):
        last = joined[-1] if joined else None
        if last is not None and last.end == piece.start and last.stamped == piece.stamped:
            joined[-1] = last._replace(end=piece.end)
        else:
            joined.append(piece)
    return tuple(joined)


def _cut(block: Block, end: int) -> Block:
    return tuple(piece._replace(end=min(piece.end, end)) for piece in block if piece.start < end)


def _covered(block: Block) -> bool:
    """Whether every byte of a block was written."""
    reached = 0
    for piece in block:
        if piece.start > reached:
            return False
        reached = piece.end
    return reached == BLOCK_BYTES
