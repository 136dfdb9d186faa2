"""The digest of a volume's content: sparse-aware, so that a hole and a block of zeroes count the
same.

It is the XXH3-128 of the size (8 bytes, little endian) followed by, for every 4 KiB block that is
not all zero, the block's number (8 bytes, little endian) and the XXH3-128 of the block; a short
last block is padded with zeroes.
"""

from collections.abc import Iterable

import xxhash

from holdfast.data.block_io import BlockIO

BLOCK_BYTES = 4096
_ZERO_BLOCK = bytes(BLOCK_BYTES)
_READ_BLOCKS = 256


def block_hash(block: bytes) -> bytes:
    """The 16-byte hash of one block of at most 4 KiB, or nothing for a block of zeroes."""
    padded = block.ljust(BLOCK_BYTES, b"\0")
    return b"" if padded == _ZERO_BLOCK else xxhash.xxh3_128_digest(padded)


def digest_of_hashes(size_bytes: int, hashes: Iterable[tuple[int, bytes]]) -> str:
    """The content digest from the hashes of the blocks that are not zero, in ascending order."""
    digest = xxhash.xxh3_128(size_bytes.to_bytes(8, "little"))
    for number, hashed in hashes:
        if hashed:
            digest.update(number.to_bytes(8, "little"))
            digest.update(hashed)
    return digest.hexdigest()


class ContentHasher:
    """The content digest of bytes that pass in order, in constant memory.

    Args:
        size_bytes: how many there will be.
    """

    def __init__(self, size_bytes: int) -> None:
        self._running = xxhash.xxh3_128(size_bytes.to_bytes(8, "little"))
        self._number = 0
        self._held = b""

    def update(self, data: bytes) -> None:
        """The next bytes."""
        whole = self._held + data if self._held else data
        end = len(whole) // BLOCK_BYTES * BLOCK_BYTES
        for start in range(0, end, BLOCK_BYTES):
            self._block(whole[start : start + BLOCK_BYTES])
        self._held = whole[end:]

    def _block(self, block: bytes) -> None:
        if hashed := block_hash(block):
            self._running.update(self._number.to_bytes(8, "little"))
            self._running.update(hashed)
        self._number += 1

    def digest(self) -> str:
        """The digest, when all bytes have passed."""
        if self._held:
            self._block(self._held)
            self._held = b""
        return self._running.hexdigest()


async def content_digest(content: BlockIO) -> str:
    """The content digest of what is behind a handle; holes are not read."""
    hashes: dict[int, bytes] = {}
    for extent in await content.extents():
        first = extent.offset_bytes // BLOCK_BYTES
        end_bytes = min(extent.offset_bytes + extent.length_bytes, content.size_bytes)
        last = -(-end_bytes // BLOCK_BYTES)
        for start in range(first, last, _READ_BLOCKS):
            offset = start * BLOCK_BYTES
            # No further than the extent: what counts as zeroes need not be there to be read.
            until = min(last * BLOCK_BYTES, content.size_bytes)
            length = min(_READ_BLOCKS * BLOCK_BYTES, until - offset)
            data = await content.read_at(offset, length)
            for index in range(0, len(data), BLOCK_BYTES):
                number = start + index // BLOCK_BYTES
                hashes[number] = block_hash(data[index : index + BLOCK_BYTES])
    return digest_of_hashes(content.size_bytes, sorted(hashes.items()))
