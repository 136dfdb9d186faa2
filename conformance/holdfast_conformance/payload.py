"""Object content expanded from a number, so that plans and traces carry no payload.

The bytes do not compress, and every 16 of them differ, so that a shift, a mix-up of parts or a cut
changes the digest. What they are shaped like is in the upper bits of the number.
"""

import enum
import hashlib
from functools import lru_cache
from typing import Final

_SEED_BYTES = 16
_SHAPE_BITS: Final = 40
_PLAIN_MAX: Final = 1 << _SHAPE_BITS
_PAGE_BYTES: Final = 4096
HEAD_BYTES: Final = 2 * _PAGE_BYTES
"""How much of the beginning is the same in contents of one number that differ after it."""


class Shape(enum.IntEnum):
    """What a content is shaped like."""

    PLAIN = 0
    HOLES = 1
    """Every second page is zeroes, from the second on."""
    ZEROES = 2
    OTHER_TAIL = 3
    """As the plain one of its number at the beginning, and other bytes after that."""


@lru_cache(maxsize=64)
def expand(content: int, size_bytes: int) -> bytes:
    """The first ``size_bytes`` of content number ``content``; a shorter one is a prefix of it.

    They are what SHAKE128 (FIPS 202) makes of the number, in its shape.
    """
    match content >> _SHAPE_BITS:
        case Shape.HOLES:
            return _with_holes(_plain(content, size_bytes))
        case Shape.ZEROES:
            return bytes(size_bytes)
        case Shape.OTHER_TAIL:
            head = _plain(content % _PLAIN_MAX, min(size_bytes, HEAD_BYTES))
            return head + _plain(content, size_bytes)[HEAD_BYTES:]
        case _:
            return _plain(content, size_bytes)


def shaped(content: int, shape: Shape) -> int:
    """The number of the content that has this shape, of a plain one."""
    return content % _PLAIN_MAX | shape << _SHAPE_BITS


def _plain(content: int, size_bytes: int) -> bytes:
    return hashlib.shake_128(content.to_bytes(_SEED_BYTES, "little")).digest(size_bytes)


def _with_holes(data: bytes) -> bytes:
    holed = bytearray(data)
    for start in range(_PAGE_BYTES, len(data), 2 * _PAGE_BYTES):
        end = min(start + _PAGE_BYTES, len(data))
        holed[start:end] = bytes(end - start)
    return bytes(holed)


def same_bytes(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two contents, each a number and a size, are the same bytes.

    Of plain ones that are longer than a few bytes no two are.
    """
    if one == other or one[1] != other[1]:
        return one == other
    if one[1] > _TELLING_BYTES and max(one[0], other[0]) < _PLAIN_MAX:
        return False
    return expand(*one) == expand(*other)


_TELLING_BYTES: Final = 64
"""Bytes of two plain contents that are as long as this are never the same."""


def middle(size_bytes: int) -> tuple[int, int]:
    """The offset and the length of a range inside an object that is read beside the whole."""
    return size_bytes // 3, -(-size_bytes // 3)


@lru_cache(maxsize=4096)
def digest_of_parts(parts: tuple[tuple[int, int], ...], start: int, length: int) -> str:
    """The SHA-256 of ``length`` bytes from ``start`` of the parts ``(content, size)`` in a row."""
    whole = b"".join(expand(content, size_bytes) for content, size_bytes in parts)
    return hashlib.sha256(whole[start : start + length]).hexdigest()
