"""Object content expanded from a number, so that plans and traces carry no payload.

The bytes do not compress, and every 16 of them differ, so that a shift, a mix-up of parts or a cut
changes the digest. What they are shaped like is in the upper bits of the number.
"""

import enum
import hashlib
import struct
import zlib
from functools import lru_cache
from typing import Final

_SEED_BYTES = 16
_SHAPE_BITS: Final = 40
_PLAIN_MAX: Final = 1 << _SHAPE_BITS
_PAGE_BYTES: Final = 4096
_GZIP_HEAD: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_GZIP_TAIL: Final = struct.Struct("<II")
_STORED_HEAD: Final = struct.Struct("<BHH")
_STORED_MAX_BYTES: Final = (1 << 16) - 1
_QCOW2: Final = b"QFI\xfb\0\0\0\x03"
_LINES: Final = bytes(b"abcdefghijklmnop \t\r\n\r\n.,;:-"[byte % 26] for byte in range(256))
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
    GZIP = 4
    """A whole gzip file, where it is large enough for one."""
    QCOW2 = 5
    """Begins as a disk image does."""
    LINES = 6
    """Letters and blanks in lines of every kind of end."""
    HOLLOW = 7
    """No page is all zeroes, and each begins with them; of every second one the end is, too."""


@lru_cache(maxsize=64)
def expand(content: int, size_bytes: int) -> bytes:
    """Content number ``content`` in this size; of a plain one a shorter is a prefix of a longer.

    The bytes are what SHAKE128 (FIPS 202) makes of the number, in its shape.
    """
    match content >> _SHAPE_BITS:
        case Shape.HOLES:
            return _with_holes(_plain(content, size_bytes))
        case Shape.ZEROES:
            return bytes(size_bytes)
        case Shape.GZIP:
            return _zipped(_plain(content, size_bytes))
        case Shape.QCOW2:
            return (_QCOW2 + _plain(content, size_bytes))[:size_bytes]
        case Shape.LINES:
            return _plain(content, size_bytes).translate(_LINES)
        case Shape.HOLLOW:
            return _hollow(_plain(content, size_bytes))
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


def _hollow(data: bytes) -> bytes:
    hollow = bytearray(data)
    last = len(data) - 1  # stays
    for number, start in enumerate(range(0, len(data), _PAGE_BYTES)):
        half = start + _PAGE_BYTES // 2
        zeroes = [(start, half)]
        if number % 2:
            zeroes.append((half + 9, start + _PAGE_BYTES))
        for at, end in zeroes:
            hollow[at : min(end, last)] = bytes(max(0, min(end, last) - at))
    return bytes(hollow)


def _zipped(data: bytes) -> bytes:
    """A gzip file of this size (RFC 1952) of stored blocks (RFC 1951), with the data's beginning.

    Made by hand, since how a library cuts its blocks is its own affair and changes.
    """
    room = len(data) - len(_GZIP_HEAD) - _GZIP_TAIL.size
    blocks = -(-room // (_STORED_MAX_BYTES + _STORED_HEAD.size))
    if room <= blocks * _STORED_HEAD.size:
        return data
    kept = data[: room - blocks * _STORED_HEAD.size]
    packed = [_GZIP_HEAD]
    for number in range(blocks):
        part = kept[number * _STORED_MAX_BYTES : (number + 1) * _STORED_MAX_BYTES]
        last = number == blocks - 1
        packed += (_STORED_HEAD.pack(last, len(part), len(part) ^ 0xFFFF), part)
    packed.append(_GZIP_TAIL.pack(zlib.crc32(kept), len(kept)))
    return b"".join(packed)


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
