"""How the inspector's half in the storage host reads a disk: raw, or qcow2 by its tables.

It is sent there in one piece with ``inside.py``, and shares no code with the driver.
"""

import io
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import xxhash

BLOCK_BYTES = 4096
READ_BYTES = 1 << 20
HEADER = struct.Struct(">4s16xIQ4xIQ")
"""Of qcow2: magic, bits of a cluster, disk's size, entries and place of the table."""
OFFSET = 0x00FF_FFFF_FFFF_FE00
ZERO, COMPRESSED = 1, 1 << 62


def opened(path: Path) -> io.FileIO:
    """A regular file; nothing is followed, and nobody is waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ValueError(f"{path.name} is no file")
    return io.FileIO(fd)


def raw_runs(fd: int) -> Iterator[tuple[int, bytes]]:
    """What a raw file holds, and where; holes are not read."""
    size = os.fstat(fd).st_size
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA) // BLOCK_BYTES * BLOCK_BYTES
        except OSError:  # only a hole is left
            return
        end = min(os.lseek(fd, offset, os.SEEK_HOLE), size)
        while offset < end:
            data = os.pread(fd, min(READ_BYTES, size - offset), offset)
            yield offset, data
            offset += len(data)


def qcow2_runs(fd: int) -> Iterator[tuple[int, bytes]]:
    """What the disk in a qcow2 image holds, and where (QEMU, docs/interop/qcow2)."""
    size, bits, entries, table = qcow2_header(fd)
    cluster = 1 << bits
    for high, upper in enumerate(words(fd, table, entries)):
        if not upper & OFFSET:
            continue
        for low, entry in enumerate(words(fd, upper & OFFSET, cluster // 8)):
            if not entry & OFFSET or entry & ZERO:
                continue
            if entry & COMPRESSED:
                raise ValueError("a compressed cluster, which no driver of ours writes")
            offset = (high * (cluster // 8) + low) * cluster
            data = os.pread(fd, cluster, entry & OFFSET).ljust(cluster, b"\0")
            yield offset, data[: max(size - offset, 0)]


def qcow2_header(fd: int) -> tuple[int, int, int, int]:
    """The disk's size, the bits of a cluster, and how many entries its first table has, where."""
    head = os.pread(fd, HEADER.size, 0)
    magic, bits, size, entries, table = HEADER.unpack(head)
    if magic != b"QFI\xfb":
        return -1, 9, 0, 0  # a host has destroyed it
    return size, bits, entries, table


def words(fd: int, offset: int, count: int) -> tuple[int, ...]:
    """A table of 8-byte numbers; what is past the file's end is zero."""
    return struct.unpack(f">{count}Q", os.pread(fd, 8 * count, offset).ljust(8 * count, b"\0"))


def disk_of(path: Path, *, qcow2: bool) -> tuple[int, str]:
    """The size of a disk, and its content digest (``holdfast.data.digest``)."""
    with opened(path) as file:
        fd = file.fileno()
        size = qcow2_header(fd)[0] if qcow2 else os.fstat(fd).st_size
        digest = xxhash.xxh3_128(size.to_bytes(8, "little", signed=True))
        for offset, data in qcow2_runs(fd) if qcow2 else raw_runs(fd):
            for start in range(0, len(data), BLOCK_BYTES):
                block = data[start : start + BLOCK_BYTES].ljust(BLOCK_BYTES, b"\0")
                if block != bytes(BLOCK_BYTES):
                    digest.update(((offset + start) // BLOCK_BYTES).to_bytes(8, "little"))
                    digest.update(xxhash.xxh3_128_digest(block))
    return size, digest.hexdigest()
