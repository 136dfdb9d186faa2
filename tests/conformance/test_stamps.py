"""Stamped blocks."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.data import BLOCK_BYTES, block_hash
from holdfast_conformance.stamps import decode, hash_of_stamp, stamp
from holdfast_conformance.trace import BlockRead

NAMES = st.text(min_size=1, max_size=32)
NUMBERS = st.integers(0, (1 << 64) - 1)


@given(run=NAMES, volume=NAMES, number=NUMBERS, generation=NUMBERS)
def test_a_stamp_says_for_what_it_was_written(
    run: str, volume: str, number: int, generation: int
) -> None:
    """Every stamp fills one block and decodes to what it was made from."""
    block = stamp(run, volume, number, generation)

    assert len(block) == BLOCK_BYTES
    assert BlockRead(7, "stamp", volume, number, generation) == decode(block, 7, run)


@given(position=st.integers(0, BLOCK_BYTES - 1), flip=st.integers(1, 255))
def test_one_changed_byte_makes_garbage(position: int, flip: int) -> None:
    """No byte of a stamp can change unseen."""
    block = bytearray(stamp("run", "volume", 3, 1))
    block[position] ^= flip

    assert decode(bytes(block), 3, "run").state == "garbage"


def test_a_stamp_of_another_run_is_foreign() -> None:
    """A block that another plan wrote is told apart from garbage."""
    assert decode(stamp("other", "volume", 3, 1), 3, "run").state == "foreign"


def test_stamps_begin_as_the_files_of_other_formats_do() -> None:
    """Of a few writes in a row one looks like a disk image, and one like an archive."""
    beginnings = {stamp("run", "volume", 0, generation)[:4] for generation in range(1, 9)}

    assert {b"QFI\xfb", b"KDMV", b"\x1f\x8b\x08\0"} <= beginnings


def test_zeroes_are_zeroes() -> None:
    """A block that was never written is no garbage, also when it is short."""
    assert BlockRead(0, "zero") == decode(bytes(BLOCK_BYTES), 0, "run")
    assert BlockRead(0, "zero") == decode(b"", 0, "run")


def test_a_stamp_does_not_compress() -> None:
    """A backend that compresses cannot hide that a block takes space."""
    assert len(zlib.compress(stamp("run", "volume", 3, 1))) > BLOCK_BYTES * 0.95


def test_stamps_differ_in_all_of_the_filler() -> None:
    """Two generations of one block share no part of their filler, so that none deduplicates."""
    first, second = stamp("run", "volume", 3, 1), stamp("run", "volume", 3, 2)
    pieces = {first[at : at + 64] for at in range(64, BLOCK_BYTES, 64)}

    assert pieces.isdisjoint(second[at : at + 64] for at in range(64, BLOCK_BYTES, 64))


def test_the_hash_of_a_stamp_is_that_of_its_bytes() -> None:
    """What the model expects is what the inspector computes."""
    assert block_hash(stamp("run", "volume", 3, 1)) == hash_of_stamp("run", "volume", 3, 1)


def test_names_that_do_not_fit_are_refused() -> None:
    """A stamp is never cut."""
    with pytest.raises(ValueError, match="do not fit"):
        stamp("run", "v" * BLOCK_BYTES, 0, 0)
