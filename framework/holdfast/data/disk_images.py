"""What a disk image file is, and how long it has to be: read from its headers. Blocking functions.

Raw images are recognised by what they hold (a partition table or a file system) or, where they hold
nothing that is known, by being whole sectors that are no text and no other format. Partition tables
and file systems also say how long the image must be, so that a file that was cut off is noticed.
"""

import enum
import itertools
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from holdfast.contract.errors import UsageError
from holdfast.data import qcow2
from holdfast.files import mutations

SECTOR_BYTES: Final = 512
_HEAD_BYTES = 68 << 10
_QCOW2_OFFSET = 0x00FF_FFFF_FFFF_FE00
_QCOW2_COMPRESSED = 1 << 62
_TAR_MAGIC = b"ustar"
_TAR_MAGIC_AT = 257
_OTHER_FORMATS: Final = {
    b"KDMV": "a VMDK image",
    b"# Disk DescriptorFile": "a VMDK description",
    b"vhdxfile": "a VHDX image",
    b"conectix": "a VHD image",
    b"<<< ": "a VDI image",
    b"QED\0": "a QED image",
    b"\x1f\x8b": "compressed with gzip",
    b"\xfd7zXZ\0": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"PK\x03\x04": "a zip archive",
    b"\x7fELF": "a program",
    b"\x89PNG": "a picture",
    b"%PDF": "a PDF document",
    b"SQLite format 3\0": "an SQLite database",
}


class ImageFormat(enum.StrEnum):
    """The formats that are accepted as a template."""

    RAW = "raw"
    QCOW2 = "qcow2"


class ImageFile(msgspec.Struct, frozen=True, kw_only=True):
    """An image file that looks whole; ``size_bytes`` is the size of the disk in it."""

    path: str
    format: ImageFormat
    size_bytes: int


def inspect_image(path: Path) -> ImageFile:
    """Recognise an image file and check that nothing of it is missing.

    Raises:
        UsageError: the file is missing, unreadable, no image, shorter than its headers say, or
            needs another file; the message is one line with the file's name and the cause.
    """
    try:
        with mutations.open_existing(path) as file:
            if not stat.S_ISREG(os.fstat(file.fd).st_mode):
                raise UsageError(f"{path} is no regular file")
            head = mutations.read_at(file, 0, _HEAD_BYTES)
            if head.startswith(qcow2.MAGIC):
                return _inspect_qcow2(path, file, head)
            return _inspect_raw(path, file.size_bytes(), head)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _too_short(path: Path, size_bytes: int, needed_bytes: int, what: str) -> UsageError:
    return UsageError(
        f"{path} is cut off: its {what} needs {needed_bytes} bytes, the file has {size_bytes}"
    )


# Raw


def _inspect_raw(path: Path, size_bytes: int, head: bytes) -> ImageFile:
    if size_bytes == 0:
        raise UsageError(f"{path} is no disk image: it is empty")
    for magic, what in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise UsageError(f"{path} is no raw or qcow2 image: it is {what}")
    if head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
        raise UsageError(f"{path} is no raw or qcow2 image: it is a tar archive")
    for probe in (_iso9660, _gpt, _ext, _xfs, _mbr):
        layout = probe(head)
        if layout is not None:
            what, needed_bytes = layout
            if size_bytes < needed_bytes:
                raise _too_short(path, size_bytes, needed_bytes, what)
            break
    else:
        if size_bytes % SECTOR_BYTES:
            raise UsageError(
                f"{path} is no disk image: {size_bytes} bytes are not whole sectors of "
                f"{SECTOR_BYTES}"
            )
        if _is_text(head[:SECTOR_BYTES]):
            raise UsageError(f"{path} is no disk image: it is text")
    return ImageFile(path=str(path), format=ImageFormat.RAW, size_bytes=size_bytes)


def _is_text(data: bytes) -> bool:
    return all(byte in b"\t\n\r" or 32 <= byte != 127 for byte in data)


_Needed = tuple[str, int]


def _iso9660(head: bytes) -> _Needed | None:
    if head[0x8000:0x8006] != b"\x01CD001":
        return None
    blocks = int.from_bytes(head[0x8050:0x8054], "little")
    block_bytes = int.from_bytes(head[0x8080:0x8082], "little")
    return "ISO 9660 volume", blocks * block_bytes


def _gpt(head: bytes) -> _Needed | None:
    if head[512:520] != b"EFI PART":
        return None
    return "GPT partition table", (int.from_bytes(head[544:552], "little") + 1) * SECTOR_BYTES


def _ext(head: bytes) -> _Needed | None:
    if head[1080:1082] != b"\x53\xef":
        return None
    blocks = int.from_bytes(head[1028:1032], "little")
    if int.from_bytes(head[1120:1124], "little") & 0x80:  # 64-bit block numbers
        blocks |= int.from_bytes(head[1360:1364], "little") << 32
    return "ext file system", blocks * (1024 << int.from_bytes(head[1048:1052], "little"))


def _xfs(head: bytes) -> _Needed | None:
    if head[:4] != b"XFSB":
        return None
    return "XFS file system", int.from_bytes(head[4:8], "big") * int.from_bytes(head[8:16], "big")


def _mbr(head: bytes) -> _Needed | None:
    if head[510:512] != b"\x55\xaa":
        return None
    entries = [head[at : at + 16] for at in range(446, 510, 16)]
    if any(entry[0] not in {0, 0x80} for entry in entries):
        return None  # the boot sector of a file system, not a partition table
    ends = [
        sum(struct.unpack("<II", entry[8:16])) for entry in entries if entry[4] not in {0, 0xEE}
    ]
    return "partition table", max(ends, default=0) * SECTOR_BYTES


# qcow2


def _inspect_qcow2(path: Path, file: mutations.OpenFile, head: bytes) -> ImageFile:
    size_bytes = file.size_bytes()
    if len(head) < qcow2.HEADER_BYTES:
        raise _too_short(path, size_bytes, qcow2.HEADER_BYTES, "qcow2 header")
    header = qcow2.parse_header(head)
    if header is None:
        raise UsageError(f"{path} is no qcow2 image of a known version: its header is damaged")
    if header.backing:
        raise UsageError(f"{path} needs a backing file; flatten it with qemu-img convert first")
    if header.external_data:
        raise UsageError(f"{path} keeps its data in another file; convert it first")
    if header.encrypted:
        raise UsageError(f"{path} is encrypted; decrypt it first")
    l1 = _Table(header.l1_offset_bytes, header.l1_entries)
    l1_end, refcounts = l1.offset_bytes + 8 * l1.entries, header.refcounts_offset_bytes
    for what, needed in (("qcow2 L1 table", l1_end), ("refcounts", refcounts)):
        if size_bytes < needed:
            raise _too_short(path, size_bytes, needed, what)
    # With extended L2 entries a bitmap follows each offset.
    _check_clusters(path, file, l1, header.cluster_bits, 2 if header.extended_l2 else 1)
    return ImageFile(path=str(path), format=ImageFormat.QCOW2, size_bytes=header.size_bytes)


class _Table(msgspec.Struct, frozen=True):
    """A table of 8-byte entries in a file."""

    offset_bytes: int
    entries: int

    def read(self, file: mutations.OpenFile) -> Iterator[int]:
        data = mutations.read_at(file, self.offset_bytes, 8 * self.entries)
        whole = len(data) // 8 * 8
        return (entry for (entry,) in struct.iter_unpack(">Q", data[:whole]))


def _check_clusters(
    path: Path, file: mutations.OpenFile, l1: _Table, cluster_bits: int, l2_entry_words: int
) -> None:
    """Refuse an image whose tables point past its end.

    Of the ``l2_entry_words`` 8-byte words of an entry of an L2 table the first is the offset.
    The last cluster may be short: qemu-img writes no more of it than it must.
    """
    size_bytes = file.size_bytes()
    per_table = 1 << (cluster_bits - 3)
    compressed_mask = (1 << (62 - (cluster_bits - 8))) - 1

    def end_of(entry: int) -> int:
        if entry & _QCOW2_COMPRESSED:
            return (entry & compressed_mask) + 1
        return (entry & _QCOW2_OFFSET) + 1 if entry & _QCOW2_OFFSET else 0

    for l1_entry in l1.read(file):
        l2_offset = l1_entry & _QCOW2_OFFSET
        if not l2_offset:
            continue
        if l2_offset >= size_bytes:
            raise _too_short(path, size_bytes, l2_offset + 1, "qcow2 L2 table")
        words = _Table(l2_offset, per_table).read(file)
        offsets = itertools.islice(words, 0, None, l2_entry_words)
        needed = max(map(end_of, offsets), default=0)
        if needed > size_bytes:
            raise _too_short(path, size_bytes, needed, "qcow2 data")
