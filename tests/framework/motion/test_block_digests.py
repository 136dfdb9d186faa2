"""Digests by blocks: the same however bytes and holes pass, and blind to nothing but holes."""

import itertools

import xxhash
from hypothesis import given
from hypothesis import strategies as st

from holdfast.motion.block_digests import (
    BLOCK_BYTES,
    SCHEME,
    BlockDigest,
    BlockHasher,
    content_of,
    packed,
    unpacked,
)

ODD = BLOCK_BYTES + 4097


def plain(data: bytes) -> str:
    """The definition, word for word."""
    whole = xxhash.xxh3_128(len(data).to_bytes(8, "little"))
    for number, start in enumerate(range(0, len(data), BLOCK_BYTES)):
        block = data[start : start + BLOCK_BYTES].ljust(BLOCK_BYTES, b"\0")
        if any(block):
            whole.update(number.to_bytes(8, "little"))
            whole.update(xxhash.xxh3_128_digest(block))
    return SCHEME + whole.hexdigest()


@st.composite
def contents(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int, bool]]]:
    """Content of up to three blocks, and one way in which it passes: runs of data and of holes."""
    size = draw(st.sampled_from([0, 1, 4096, BLOCK_BYTES - 1, BLOCK_BYTES, ODD, 3 * BLOCK_BYTES]))
    cuts = sorted(draw(st.sets(st.integers(0, size), max_size=5)) | {0, size})
    data = bytearray(size)
    runs: list[tuple[int, int, bool]] = []
    for start, end in itertools.pairwise(cuts):
        kind = draw(st.sampled_from(["hole", "zeroes", "bytes"]))
        if kind == "bytes":
            data[start] = data[end - 1] = draw(st.integers(1, 255))
        runs.append((start, end - start, kind != "hole"))
    return bytes(data), runs


@given(contents(), st.sampled_from([1 << 18, 1 << 20, 5 << 20]))
def test_the_digest_is_that_of_the_bytes_however_they_pass(
    content: tuple[bytes, list[tuple[int, int, bool]]], buffer: int
) -> None:
    """Runs, buffers, holes and blocks of zeroes change nothing."""
    data, runs = content
    hasher = BlockHasher(0)
    for start, length, holds_data in runs:
        if not holds_data:
            hasher.hole(length)
            continue
        for at in range(start, start + length, buffer):
            hasher.data(memoryview(data)[at : min(at + buffer, start + length)])
    assert content_of(len(data), hasher.ended()) == plain(data)


@given(st.integers(0, ODD - 1), st.integers(1, 255))
def test_every_byte_counts(at: int, value: int) -> None:
    """A byte anywhere, the short last block included, changes the digest; so does the size."""
    data = bytearray(ODD)
    empty = content_of(ODD, ())
    data[at] = value
    hasher = BlockHasher(0)
    hasher.data(memoryview(data))
    assert content_of(ODD, hasher.ended()) != empty
    assert content_of(ODD + 1, ()) != empty


@given(st.dictionaries(st.integers(32, 47), st.binary(min_size=16, max_size=16)))
def test_the_digests_of_a_chunk_survive_packing(known: dict[int, bytes]) -> None:
    """What is unpacked is what was packed, and blocks of zeroes are not named."""
    blocks = tuple(BlockDigest(number, digest) for number, digest in sorted(known.items()))
    document = packed(blocks, 32, 16)
    assert len(document) == 256
    assert tuple(unpacked(document, 32)) == blocks
