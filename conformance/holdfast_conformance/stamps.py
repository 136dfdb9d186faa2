"""Stamped blocks: 4 KiB that say for which plan, volume, block and generation they were written.

A block is a header, the names of the run and the volume, and a filler that does not compress; the
header ends with a checksum of everything else. It begins as the files of some format do, another
one for each generation: whoever guesses what is in a volume by its first bytes guesses wrong.

The checksum comes from XXH3, which is fast and not cryptographic: it tells damage and mix-ups
apart, not an adversary. The filler is SHAKE128's output for the rest of the stamp, which one call
gives at any length.
"""

import hashlib
import struct
from functools import lru_cache
from typing import Final

import xxhash

from holdfast.data import BLOCK_BYTES, block_hash
from holdfast_conformance.trace import BlockRead

_MAGICS: Final = (
    b"HOLDFAST",
    b"QFI\xfb\0\0\0\x03",  # qcow2, version 3
    b"conectix",  # VHD
    b"KDMV\x01\0\0\0",  # VMDK
    b"vhdxfile",
    b"\x1f\x8b\x08\0\0\0\0\0",  # gzip
    b"LUKS\xba\xbe\0\x02",
    b"\x28\xb5\x2f\xfd\x04\0\0\0",  # Zstandard
)
"""What a block begins with, by the remainder of its generation."""
_HEADER = struct.Struct("<8sQQHHQ")
_ZERO = bytes(BLOCK_BYTES)
ZEROES = 0
"""The generation of a write of zeroes, which has no stamp."""


def stamp(run: str, volume: str, number: int, generation: int) -> bytes:
    """The 4 KiB that a write of ``generation`` puts into block ``number`` of ``volume``.

    ``run`` is the plan's id, so that blocks of another plan are told apart.
    """
    run_name, volume_name = run.encode(), volume.encode()
    names = run_name + volume_name
    filler_bytes = BLOCK_BYTES - _HEADER.size - len(names)
    if filler_bytes < 0:
        raise ValueError(f"the names {run!r} and {volume!r} do not fit into one block")
    body = names + _filler(names, number, generation, filler_bytes)
    checksum = _checksum(number, generation, len(run_name), len(volume_name), body)
    header = _HEADER.pack(
        _magic(generation), number, generation, len(run_name), len(volume_name), checksum
    )
    return header + body


def decode(block: bytes, number: int, run: str) -> BlockRead:
    """What was found at block ``number``: zeroes, a stamp of ``run``, a foreign one, or garbage."""
    padded = block.ljust(BLOCK_BYTES, b"\0")
    if padded == _ZERO:
        return BlockRead(number, "zero")
    magic, stamped, generation, run_bytes, volume_bytes, checksum = _HEADER.unpack_from(padded)
    body = padded[_HEADER.size :]
    if magic != _magic(generation) or checksum != _checksum(
        stamped, generation, run_bytes, volume_bytes, body
    ):
        return BlockRead(number, "garbage", digest=block_hash(padded).hex())
    volume = body[run_bytes : run_bytes + volume_bytes].decode(errors="replace")
    state = "stamp" if body[:run_bytes] == run.encode() else "foreign"
    return BlockRead(number, state, volume, stamped, generation)


@lru_cache(maxsize=65536)
def hash_of_stamp(run: str, volume: str, number: int, generation: int) -> bytes:
    """The block hash of a stamp, as ``holdfast.data.block_hash`` computes it from the bytes."""
    return block_hash(stamp(run, volume, number, generation))


Pieces = tuple[tuple[int, int, tuple[str, int] | None], ...]
"""Where each piece of a block starts and ends, and the volume and generation of its stamp."""


@lru_cache(maxsize=65536)
def hash_of_pieces(run: str, number: int, pieces: Pieces) -> bytes:
    """The block hash of a block that has the bytes of several stamps."""
    return block_hash(bytes_of_pieces(run, number, pieces))


def bytes_of_pieces(run: str, number: int, pieces: Pieces) -> bytes:
    """A block that has the bytes of several stamps; what no piece has is zeroes."""
    if not pieces:
        return _ZERO
    block = bytearray(BLOCK_BYTES)
    for start, end, stamped in pieces:
        if stamped is not None:
            block[start:end] = stamp(run, stamped[0], number, stamped[1])[start:end]
    return bytes(block)


def stamped_bytes(
    run: str, volume: str, offset_bytes: int, length_bytes: int, generation: int
) -> bytes:
    """What a write of these bytes puts there: those of the stamps at that place, or zeroes."""
    if generation == ZEROES:
        return bytes(length_bytes)
    first, skip = divmod(offset_bytes, BLOCK_BYTES)
    last = -(-(offset_bytes + length_bytes) // BLOCK_BYTES)
    blocks = b"".join(stamp(run, volume, number, generation) for number in range(first, last))
    return blocks[skip : skip + length_bytes]


def _magic(generation: int) -> bytes:
    return _MAGICS[generation % len(_MAGICS)]


def _filler(names: bytes, number: int, generation: int, length_bytes: int) -> bytes:
    return hashlib.shake_128(names + struct.pack("<QQ", number, generation)).digest(length_bytes)


def _checksum(number: int, generation: int, run_bytes: int, volume_bytes: int, body: bytes) -> int:
    head = struct.pack("<QQHH", number, generation, run_bytes, volume_bytes)
    return xxhash.xxh3_64_intdigest(head + body)
