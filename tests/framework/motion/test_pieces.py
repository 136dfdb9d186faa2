"""Pieces: all data of the first bytes, once, and cut where blocks and chunks begin."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.data.block_io import Extent
from holdfast.motion.block_digests import BLOCK_BYTES
from holdfast.motion.chunk_map import CHUNK_BYTES
from holdfast.motion.pieces import PIECE_BYTES, by_chunk, pieces

FAR = 5 * CHUNK_BYTES


@st.composite
def extent_maps(draw: st.DrawFn) -> tuple[Extent, ...]:
    """Extents in ascending order that do not overlap, as file systems tell them."""
    borders = sorted(draw(st.sets(st.integers(0, FAR), max_size=12)))
    return tuple(
        Extent(start, end - start) for start, end in zip(borders[::2], borders[1::2], strict=False)
    )


@given(extent_maps(), st.integers(0, FAR))
def test_pieces_hold_all_data_of_the_first_bytes_and_nothing_else(
    extents: tuple[Extent, ...], length: int
) -> None:
    wanted = [
        (extent.offset_bytes, min(extent.offset_bytes + extent.length_bytes, length))
        for extent in extents
        if extent.offset_bytes < length
    ]
    found: list[tuple[int, int]] = []
    for piece in pieces(length, extents):
        for extent in piece.extents:
            end = extent.offset_bytes + extent.length_bytes
            if found and found[-1][1] == extent.offset_bytes:
                found[-1] = (found[-1][0], end)
            else:
                found.append((extent.offset_bytes, end))
    merged: list[tuple[int, int]] = []
    for start, end in wanted:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    assert found == merged


@given(extent_maps(), st.integers(0, FAR))
def test_a_piece_begins_at_a_block_and_ends_at_one_or_at_the_end(
    extents: tuple[Extent, ...], length: int
) -> None:
    for piece in pieces(length, extents):
        end = piece.offset_bytes + piece.length_bytes
        assert piece.offset_bytes % BLOCK_BYTES == 0
        assert end == length or end % BLOCK_BYTES == 0
        assert piece.length_bytes <= PIECE_BYTES
        assert piece.offset_bytes // CHUNK_BYTES == (end - 1) // CHUNK_BYTES == piece.chunk
        runs = tuple(piece.runs())
        assert sum(run[1] for run in runs) == piece.length_bytes
        assert sum(run[1] for run in runs if run[2]) == piece.data_bytes


@given(extent_maps())
def test_no_chunk_is_named_twice(extents: tuple[Extent, ...]) -> None:
    numbers = [number for number, _ in by_chunk(pieces(FAR, extents))]
    assert numbers == sorted(set(numbers))
