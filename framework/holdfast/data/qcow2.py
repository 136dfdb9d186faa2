"""The header of a qcow2 image (QEMU, docs/interop/qcow2): read here, and nothing is believed."""

import struct
from typing import Final

import msgspec

MAGIC: Final = b"QFI\xfb"
HEADER_BYTES: Final = 72
HEAD_BYTES: Final = 104
"""Enough of a file for all of the header that is read here."""
_DIRTY: Final = 1 << 0
_EXTERNAL_DATA: Final = 1 << 2
_EXTENDED_L2: Final = 1 << 4
_VERSIONS: Final = frozenset({2, 3})
_SMALLEST_CLUSTER_BITS: Final = 9
_LARGEST_CLUSTER_BITS: Final = 21


class Qcow2Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a header says of its image.

    ``size_bytes`` is the size of the disk in it. The image needs other files where ``backing`` or
    ``external_data`` is true; ``strange`` where it has features besides the dirty flag.
    """

    size_bytes: int
    cluster_bits: int
    l1_entries: int
    l1_offset_bytes: int
    refcounts_offset_bytes: int
    backing: bool
    encrypted: bool
    external_data: bool
    extended_l2: bool
    strange: bool


def parse_header(head: bytes) -> Qcow2Header | None:
    """The header at the beginning of a file; ``None`` where it is none of a known version."""
    if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
        return None
    (
        version,
        backing,
        _,
        cluster_bits,
        size_bytes,
        encryption,
        l1_entries,
        l1_offset,
        refcounts,
    ) = struct.unpack(">IQIIQIIQQ", head[4:56])
    if version not in _VERSIONS or not (
        _SMALLEST_CLUSTER_BITS <= cluster_bits <= _LARGEST_CLUSTER_BITS
    ):
        return None
    features = int.from_bytes(head[72:80], "big") if version == 3 else 0
    return Qcow2Header(
        size_bytes=size_bytes,
        cluster_bits=cluster_bits,
        l1_entries=l1_entries,
        l1_offset_bytes=l1_offset,
        refcounts_offset_bytes=refcounts,
        backing=bool(backing),
        encrypted=bool(encryption),
        external_data=bool(features & _EXTERNAL_DATA),
        extended_l2=bool(features & _EXTENDED_L2),
        strange=bool(features & ~_DIRTY),
    )
