"""How an inspector reads a disk that is a file: raw, or qcow2 by its tables."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import xxhash

from holdfast_drivers.inspection.readers.regular_files import opened

_BLOCK_BYTES = 4096
_READ_BYTES = 1 << 20
_HEADER = struct.Struct(">4s16xIQ4xIQ")
"""Of qcow2: magic, bits of a cluster, disk's size, entries and place of the table."""
_CLUSTER_BITS_MAX = 21
_TABLE_MAX_BYTES = 32 << 20
"""Beyond these QEMU itself opens no image."""
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_ZERO, _COMPRESSED = 1, 1 << 62


def _raw_runs(fd: int) -> Iterator[tuple[int, bytes]]:
    """What a raw file holds, and where; holes are not read."""
    size = os.fstat(fd).st_size
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA) // _BLOCK_BYTES * _BLOCK_BYTES
        except OSError:  # only a hole is left
            return
        end = min(os.lseek(fd, offset, os.SEEK_HOLE), size)
        while offset < end:
            data = os.pread(fd, min(_READ_BYTES, size - offset), offset)
            yield offset, data
            offset += len(data)


def _qcow2_runs(fd: int) -> Iterator[tuple[int, bytes]]:
    """What the disk in a qcow2 image holds, and where (QEMU, docs/interop/qcow2)."""
    size, bits, entries, table = _qcow2_header(fd)
    cluster = 1 << bits
    for high, upper in enumerate(_words(fd, table, entries)):
        if not upper & _OFFSET:
            continue
        for low, entry in enumerate(_words(fd, upper & _OFFSET, cluster // 8)):
            if not entry & _OFFSET or entry & _ZERO:
                continue
            if entry & _COMPRESSED:
                raise ValueError("a compressed cluster, which no driver of ours writes")
            offset = (high * (cluster // 8) + low) * cluster
            data = os.pread(fd, cluster, entry & _OFFSET).ljust(cluster, b"\0")
            yield offset, data[: max(size - offset, 0)]


def _qcow2_header(fd: int) -> tuple[int, int, int, int]:
    """The disk's size, the bits of a cluster, and how many entries its first table has, where."""
    head = os.pread(fd, _HEADER.size, 0)
    magic, bits, size, entries, table = _HEADER.unpack(head)
    if magic != b"QFI\xfb":
        return -1, 9, 0, 0  # a host has destroyed it
    if not 9 <= bits <= _CLUSTER_BITS_MAX or entries * 8 > _TABLE_MAX_BYTES or size >= 1 << 63:
        raise ValueError("a header of a disk that cannot be")
    return size, bits, entries, table


def _words(fd: int, offset: int, count: int) -> tuple[int, ...]:
    """A table of 8-byte numbers; what is past the file's end is zero."""
    return struct.unpack(f">{count}Q", os.pread(fd, 8 * count, offset).ljust(8 * count, b"\0"))


def disk_of(path: Path, form: str = "raw") -> tuple[int, str]:
    """The size of a disk in this format, and its content digest (``holdfast.data.digest``)."""
    qcow2 = form == "qcow2"
    with opened(path) as file:
        fd = file.fileno()
        size = _qcow2_header(fd)[0] if qcow2 else os.fstat(fd).st_size
        digest = xxhash.xxh3_128(size.to_bytes(8, "little", signed=True))
        for offset, data in _qcow2_runs(fd) if qcow2 else _raw_runs(fd):
            for start in range(0, len(data), _BLOCK_BYTES):
                block = data[start : start + _BLOCK_BYTES].ljust(_BLOCK_BYTES, b"\0")
                if block != bytes(_BLOCK_BYTES):
                    digest.update(((offset + start) // _BLOCK_BYTES).to_bytes(8, "little"))
                    digest.update(xxhash.xxh3_128_digest(block))
    return size, digest.hexdigest()
