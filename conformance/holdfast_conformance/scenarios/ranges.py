"""Drawing sizes and ranges of bytes by class: off every grid, at every end, around every power."""

from collections.abc import Callable, Iterator

from holdfast.data import BLOCK_BYTES
from holdfast_conformance.scenarios.choices import Choices

MIB = 1 << 20
GIB = 1 << 30
_SECTOR_BYTES = 512
_FRONT_BYTES = 64 * BLOCK_BYTES
_LONG_MAX_BYTES = MIB + MIB // 2
_FAR_SIZES = (
    16 * MIB + BLOCK_BYTES,
    2 * GIB + MIB,
    4 * GIB + MIB,
    4 * GIB + 3 * MIB,
    5 * GIB,
    8 * GIB,
    33 * GIB,
    65 * GIB,
)
_FARTHEST_BYTES = 1024 * GIB - 5 * MIB
_LARGE_BIT = 27
_MORE_RANGES = 150
_PAST_4_GIB = 2
"""With which of them those past 4 GiB begin."""
Range = tuple[int, int]
"""Offset and length in bytes."""


def far_size(choices: Choices, *, granularity_bytes: int, size_max_bytes: int) -> int:
    """A size that is large, a little more than a round number, and allowed.

    The first time a story is told it is past 4 GiB, where it is allowed.
    """
    more = choices.pick((0, 1, 3, 255)) * granularity_bytes
    sizes = _FAR_SIZES if choices.turn % 2 else _FAR_SIZES[_PAST_4_GIB:]
    size = choices.pick(sizes) + more + choices.below(3) * 7 * BLOCK_BYTES
    largest = size_max_bytes // granularity_bytes * granularity_bytes
    return min(-(-size // granularity_bytes) * granularity_bytes, largest)


def farther_size(unit_bytes: int, size_max_bytes: int) -> int:
    """The largest of the far sizes, as far as it is allowed; many a pool is no larger."""
    return _allowed(_FAR_SIZES[-1], unit_bytes, size_max_bytes)


def farthest_size(unit_bytes: int, size_max_bytes: int) -> int:
    """The largest size that plans write into, as far as it is allowed: what wraps at some power of
    two wraps inside it.
    """
    return _allowed(_FARTHEST_BYTES, unit_bytes, size_max_bytes)


def _allowed(size_bytes: int, unit_bytes: int, size_max_bytes: int) -> int:
    largest = size_max_bytes // unit_bytes * unit_bytes
    return min(-(-size_bytes // unit_bytes) * unit_bytes, largest)


def growing_sizes(unit_bytes: int) -> Iterator[int]:
    """Sizes below and above some powers of two, each several times the one before it."""
    for size in (3 * MIB, 700 * MIB, 3 * GIB, 70 * GIB, 600 * GIB):
        yield -(-size // unit_bytes) * unit_bytes


def odd_pairs(size_bytes: int, choices: Choices) -> Iterator[Range]:
    """Two blocks a little past every large power of two inside a volume of this size; the second
    begins at a number of blocks with many digits that count.
    """
    for bit in range(_LARGE_BIT, size_bytes.bit_length()):
        first = (1 << bit) + 2 * (1 + choices.below(9)) * BLOCK_BYTES
        if first + 2 * BLOCK_BYTES <= size_bytes:
            yield first, 2 * BLOCK_BYTES
    yield size_bytes - 2 * BLOCK_BYTES, 2 * BLOCK_BYTES


def any_range(choices: Choices, size_bytes: int) -> Range:
    """A range inside a volume of this size, of one class of several; at least one byte."""
    offset, length = choices.pick(_CLASSES)(choices, size_bytes)
    offset = max(0, min(offset, size_bytes - 1))
    return offset, max(1, min(length, size_bytes - offset))


def long_range(choices: Choices, size_bytes: int) -> Range:
    """A range of more than a mebibyte, as far as the volume has one."""
    length = min(MIB + 1 + _number(choices) % (_LONG_MAX_BYTES - MIB), size_bytes)
    return _number(choices) % (size_bytes - length + 1), length


def around_powers(size_bytes: int, first_bit: int) -> Iterator[Range]:
    """A short range across every power of two inside a volume of this size."""
    for bit in range(first_bit, size_bytes.bit_length()):
        power = 1 << bit
        if power + 3 <= size_bytes:
            yield power - 5, 8


def overlapping(choices: Choices, size_bytes: int) -> tuple[Range, ...]:
    """Ranges that overlap in part, wholly and not at all, in no order."""
    offset, length = any_range(choices, max(1, size_bytes - BLOCK_BYTES))
    places = [(offset, length + choices.below(BLOCK_BYTES)) for _ in range(2)]
    places += [(max(0, offset - 1 - choices.below(600)), length), any_range(choices, size_bytes)]
    inside = [(start, max(1, min(count, size_bytes - start))) for start, count in places]
    return tuple(choices.shuffled(inside))


def scattered(choices: Choices, size_bytes: int) -> tuple[Range, ...]:
    """Many short ranges with holes between them, in no order of their places."""
    pitch = (2 + choices.below(3)) * BLOCK_BYTES
    # More than any list of one's own has room for, once: each of them is read after every step.
    wanted = 20 + choices.below(40) if choices.turn % 2 else 140 + choices.below(_MORE_RANGES)
    count = min(wanted, size_bytes // pitch)
    starts = range(0, count * pitch, pitch)
    length = choices.pick((BLOCK_BYTES, 512, BLOCK_BYTES + 1, 1))
    return tuple(choices.shuffled([(start, length) for start in starts]))


def ends(size_bytes: int) -> tuple[Range, ...]:
    """The first and the last bytes."""
    last = min(size_bytes, 700)
    return (0, min(size_bytes, 3)), (size_bytes - last, last)


def _number(choices: Choices) -> int:
    """A number of 48 bits."""
    return (choices.below(1 << 16) << 32) + (choices.below(1 << 16) << 16) + choices.below(1 << 16)


def _inside_a_block(choices: Choices, size_bytes: int) -> Range:
    block = choices.below(max(1, min(size_bytes, _FRONT_BYTES) // BLOCK_BYTES))
    start = choices.below(BLOCK_BYTES - 1)
    return block * BLOCK_BYTES + start, 1 + choices.below(BLOCK_BYTES - start)


def _across_blocks(choices: Choices, size_bytes: int) -> Range:
    border = (1 + choices.below(max(1, min(size_bytes, _FRONT_BYTES) // BLOCK_BYTES))) * BLOCK_BYTES
    before = 1 + choices.below(3 * BLOCK_BYTES)
    return border - before, before + 1 + choices.below(3 * BLOCK_BYTES)


def _blocks(choices: Choices, size_bytes: int) -> Range:
    first = choices.below(max(1, min(size_bytes, _FRONT_BYTES) // BLOCK_BYTES))
    return first * BLOCK_BYTES, (1 + choices.below(6)) * BLOCK_BYTES


def _sectors(choices: Choices, size_bytes: int) -> Range:
    first = choices.below(max(1, min(size_bytes, _FRONT_BYTES) // _SECTOR_BYTES))
    return first * _SECTOR_BYTES, (1 + choices.below(20)) * _SECTOR_BYTES


def _at_the_end(choices: Choices, size_bytes: int) -> Range:
    length = choices.pick((1, 511, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES))
    return size_bytes - length, length


def _around_a_power(choices: Choices, size_bytes: int) -> Range:
    bits = range(9, max(10, size_bytes.bit_length()))
    before = choices.below(BLOCK_BYTES + 2)
    return (1 << choices.pick(bits)) - before, before + choices.below(BLOCK_BYTES + 2)


def _anywhere(choices: Choices, size_bytes: int) -> Range:
    return _number(choices) % size_bytes, 1 + choices.below(2 * BLOCK_BYTES)


_CLASSES: tuple[Callable[[Choices, int], Range], ...] = (
    _inside_a_block,
    _across_blocks,
    _blocks,
    _sectors,
    _at_the_end,
    _around_a_power,
    _around_a_power,
    _anywhere,
)
