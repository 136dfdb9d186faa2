"""Sparse bytes in 4 KiB blocks. Blocks are immutable and shared, so that a copy is a new table."""

from holdfast.data import BLOCK_BYTES, BlockIO, Extent
from holdfast.data.block_io import check_range

_ZERO_BLOCK = bytes(BLOCK_BYTES)


class Content:
    """The bytes of one volume or snapshot; what has no block reads as zeroes."""

    __slots__ = ("blocks", "size_bytes")

    def __init__(self, size_bytes: int, blocks: dict[int, bytes] | None = None) -> None:
        self.size_bytes = size_bytes
        self.blocks: dict[int, bytes] = {} if blocks is None else blocks

    @property
    def used_bytes(self) -> int:
        """What the blocks occupy."""
        return len(self.blocks) * BLOCK_BYTES

    def copy(self, size_bytes: int | None = None) -> "Content":
        """An independent copy, continued with zeroes where ``size_bytes`` is larger."""
        return Content(size_bytes or self.size_bytes, dict(self.blocks))

    def same_as(self, other: "Content") -> bool:
        """Whether both have the same size and bytes."""
        return self.size_bytes == other.size_bytes and self.blocks == other.blocks

    def resize(self, size_bytes: int) -> None:
        """Cut off, or continue with zeroes."""
        if size_bytes < self.size_bytes:
            first_gone = -(-size_bytes // BLOCK_BYTES)
            self.blocks = {n: data for n, data in self.blocks.items() if n < first_gone}
        self.size_bytes = size_bytes

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly these bytes; past the end is ``OutOfRange``."""
        self._check(offset_bytes, length_bytes)
        first, skip = divmod(offset_bytes, BLOCK_BYTES)
        if skip == 0 and length_bytes == BLOCK_BYTES:
            return self.blocks.get(first, _ZERO_BLOCK)
        last = -(-(offset_bytes + length_bytes) // BLOCK_BYTES)
        joined = b"".join(self.blocks.get(n, _ZERO_BLOCK) for n in range(first, last))
        return joined[skip : skip + length_bytes]

    def write(self, offset_bytes: int, data: bytes) -> None:
        """Replace these bytes; past the end is ``OutOfRange``."""
        self._check(offset_bytes, len(data))
        position = 0
        while position < len(data):
            number, skip = divmod(offset_bytes + position, BLOCK_BYTES)
            piece = bytes(data[position : position + BLOCK_BYTES - skip])
            self._write_block(number, skip, piece)
            position += len(piece)

    def discard(self, offset_bytes: int, length_bytes: int) -> None:
        """Make these bytes zero; whole blocks are given back."""
        self._check(offset_bytes, length_bytes)
        end_bytes = offset_bytes + length_bytes
        first = -(-offset_bytes // BLOCK_BYTES)
        last = end_bytes // BLOCK_BYTES
        if first > last:
            self.write(offset_bytes, bytes(length_bytes))
            return
        self.write(offset_bytes, bytes(first * BLOCK_BYTES - offset_bytes))
        self.write(last * BLOCK_BYTES, bytes(end_bytes - last * BLOCK_BYTES))
        self.blocks = {n: data for n, data in self.blocks.items() if not first <= n < last}

    def extents(self) -> tuple[Extent, ...]:
        """Runs of blocks that exist."""
        runs: list[tuple[int, int]] = []
        for number in sorted(self.blocks):
            if runs and number == runs[-1][1]:
                runs[-1] = (runs[-1][0], number + 1)
            else:
                runs.append((number, number + 1))
        return tuple(
            Extent(
                start * BLOCK_BYTES, min(end * BLOCK_BYTES, self.size_bytes) - start * BLOCK_BYTES
            )
            for start, end in runs
        )

    def _write_block(self, number: int, skip: int, piece: bytes) -> None:
        if len(piece) < BLOCK_BYTES:
            old = self.blocks.get(number, _ZERO_BLOCK)
            piece = old[:skip] + piece + old[skip + len(piece) :]
        if piece == _ZERO_BLOCK:
            self.blocks.pop(number, None)
        else:
            self.blocks[number] = piece

    def _check(self, offset_bytes: int, length_bytes: int) -> None:
        check_range(offset_bytes, length_bytes, self.size_bytes)


async def content_of(source: BlockIO, size_bytes: int) -> Content:
    """A copy of the first ``size_bytes`` behind a handle; holes stay holes."""
    content = Content(size_bytes)
    for extent in await source.extents():
        end = min(extent.offset_bytes + extent.length_bytes, size_bytes)
        for offset in range(extent.offset_bytes, end, 64 * BLOCK_BYTES):
            length = min(64 * BLOCK_BYTES, end - offset)
            content.write(offset, await source.read_at(offset, length))
    return content
