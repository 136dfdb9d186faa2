"""The chunk map of a transfer: which chunks are durable at the target, with the digests of their
blocks. It is what a transfer goes on from after its process was killed.

A map is a sequence of entries, each at most a few hundred bytes: a beginning, which names the
source as it was, and chunks. A later beginning ends what was before it: the source had changed.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from holdfast.motion.block_digests import BLOCK_BYTES, BlockDigest, packed, unpacked

CHUNK_BYTES: Final = 64 << 20
"""The unit of resuming: of each stream at most one is moved twice."""
BLOCKS: Final = CHUNK_BYTES // BLOCK_BYTES


class Beginning(msgspec.Struct, frozen=True, tag="begin", kw_only=True):
    """A transfer begins from nothing, with this source and this target."""

    source: str
    target: str
    length_bytes: int
    digested: bool
    chunk_bytes: int = CHUNK_BYTES


class DurableChunk(msgspec.Struct, frozen=True, tag="chunk", kw_only=True):
    """A chunk is durable at the target; ``digests`` are 16 bytes for each of its blocks."""

    number: int
    digests: bytes = b""


Entry = Beginning | DurableChunk
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encoded(entry: Entry) -> bytes:
    """An entry as a checkpoint keeps it."""
    return _encoder.encode(entry)


class ChunkMap:
    """What a transfer has reached."""

    def __init__(self, beginning: Beginning, chunks: Iterable[DurableChunk] = ()) -> None:
        self.beginning = beginning
        self._chunks = {chunk.number: chunk for chunk in chunks}

    @classmethod
    def resumed(cls, beginning: Beginning, entries: Iterable[bytes]) -> "ChunkMap | None":
        """The map that earlier attempts left, where they moved what is to be moved now."""
        found: ChunkMap | None = None
        for document in entries:
            try:
                entry = _decoder.decode(document)
            except msgspec.DecodeError:  # of a version that wrote other entries: all is moved again
                return None
            if isinstance(entry, Beginning):
                found = cls(entry)
            elif found is not None:
                found.enter(entry)
        if found is None or found.beginning != beginning or not beginning.source:
            return None
        return found

    def enter(self, chunk: DurableChunk) -> None:
        """A chunk has become durable."""
        self._chunks[chunk.number] = chunk

    def __contains__(self, number: int) -> bool:
        return number in self._chunks

    def digests(self) -> tuple[BlockDigest, ...]:
        """The digests of all blocks of all chunks that were entered."""
        return tuple(
            block
            for chunk in self._chunks.values()
            for block in unpacked(chunk.digests, chunk.number * BLOCKS)
        )


def durable_chunk(number: int, digests: Iterable[BlockDigest], *, digested: bool) -> DurableChunk:
    """The entry of a chunk, from the digests of its blocks."""
    document = packed(digests, number * BLOCKS, BLOCKS) if digested else b""
    return DurableChunk(number=number, digests=document)
