"""Digests of content by blocks of 4 MiB; a hole and a block of zeroes count the same.

A block's digest is the XXH3-128 of its bytes, a short last block padded with zeroes. The digest of
the content is the XXH3-128 of its size (8 bytes, little endian) followed by, for every block that
is not all zero, the block's number (8 bytes, little endian) and its digest.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import xxhash

BLOCK_BYTES: Final = 4 << 20
"""XXH3 reads memory faster than anything copies it; a digest of 16 bytes for 4 MiB is 4 per TiB."""
DIGEST_BYTES: Final = 16
SCHEME: Final = "xxh3-4m:"
"""What the digest of content begins with, so that it is told from one made by other rules."""
_ZEROES: Final = memoryview(bytes(256 << 10))


class BlockDigest(msgspec.Struct, frozen=True):
    """The digest of one block by its number."""

    number: int
    digest: bytes


class BlockHasher:
    """The digests of successive blocks, from bytes and holes as they pass in order.

    Args:
        number: of the first block.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._room = BLOCK_BYTES
        self._running = xxhash.xxh3_128()
        self._ended: list[BlockDigest] = []

    def data(self, passed: memoryview) -> None:
        """Bytes that pass."""
        while len(passed) > self._room:
            cut = self._room
            self._update(passed[:cut])
            passed = passed[cut:]
        self._update(passed)

    def hole(self, length_bytes: int) -> None:
        """So many zeroes that nobody reads."""
        while length_bytes:
            count = min(length_bytes, self._room)
            if count == BLOCK_BYTES:
                self._next_block()
            else:
                self._zeroes(count)
            length_bytes -= count

    def _zeroes(self, count: int) -> None:
        for at in range(0, count, len(_ZEROES)):
            self._update(_ZEROES[: min(len(_ZEROES), count - at)])

    def _update(self, passed: memoryview) -> None:
        self._running.update(passed)
        self._room -= len(passed)
        if not self._room:
            if (digest := self._running.digest()) != ZERO_DIGEST:
                self._ended.append(BlockDigest(self._number, digest))
            self._next_block()

    def _next_block(self) -> None:
        self._number += 1
        self._room = BLOCK_BYTES
        self._running.reset()

    def ended(self) -> tuple[BlockDigest, ...]:
        """The digests of all blocks that passed and are not all zero; a short one is padded."""
        if self._room < BLOCK_BYTES:
            self._zeroes(self._room)
        return tuple(self._ended)


def _digest_of_zeroes() -> bytes:
    running = xxhash.xxh3_128()
    for _ in range(0, BLOCK_BYTES, len(_ZEROES)):
        running.update(_ZEROES)
    return running.digest()


ZERO_DIGEST: Final = _digest_of_zeroes()


def content_of(size_bytes: int, digests: Iterable[BlockDigest]) -> str:
    """The digest of content of this size, from those of its blocks in whatever order."""
    running = xxhash.xxh3_128(size_bytes.to_bytes(8, "little"))
    for block in sorted(digests, key=lambda block: block.number):
        if block.digest != ZERO_DIGEST:
            running.update(block.number.to_bytes(8, "little"))
            running.update(block.digest)
    return SCHEME + running.hexdigest()


def packed(digests: Iterable[BlockDigest], first: int, count: int) -> bytes:
    """The digests of ``count`` blocks from number ``first``, 16 bytes each."""
    known = {block.number: block.digest for block in digests}
    return b"".join(known.get(number, ZERO_DIGEST) for number in range(first, first + count))


def unpacked(document: bytes, first: int) -> Iterator[BlockDigest]:
    """The inverse of ``packed``, without the blocks of zeroes."""
    for at in range(0, len(document), DIGEST_BYTES):
        digest = document[at : at + DIGEST_BYTES]
        if digest != ZERO_DIGEST:
            yield BlockDigest(first + at // DIGEST_BYTES, digest)
