"""Sparse files: where their data is, and copies that keep holes as holes. Blocking functions."""

import errno
import os
from collections.abc import Iterator

from holdfast.data.block_io import Extent
from holdfast.files import kernel_copies, mutations

_READ_BYTES = 1 << 20
_NO_KERNEL_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_NO_CLONE = frozenset({errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS})


def file_extents(fd: int, size_bytes: int) -> Iterator[Extent]:
    """Where data is in the first ``size_bytes`` of an open file, in ascending order."""
    offset = 0
    while offset < size_bytes:
        try:
            start = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        if start >= size_bytes:
            return
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size_bytes)
        yield Extent(start, end - start)
        offset = end


def copy_sparse(source: mutations.OpenFile, target: mutations.OpenFile, size_bytes: int) -> int:
    """Copy the first ``size_bytes`` of ``source`` into an empty ``target``; returns bytes moved.

    ``target`` gets exactly that size. Where the system can, its blocks are shared or copied inside
    the kernel.
    """
    mutations.truncate(target, size_bytes)
    moved = 0
    for extent in file_extents(source.fd, size_bytes):
        _copy_extent(source, target, extent)
        moved += extent.length_bytes
    return moved


def _copy_extent(source: mutations.OpenFile, target: mutations.OpenFile, extent: Extent) -> None:
    """Copy an extent; ``OSError`` where the source ends before it does."""
    copied = 0
    try:
        copied = kernel_copies.copy_range(
            source, extent.offset_bytes, target, extent.offset_bytes, extent.length_bytes
        )
    except OSError as error:
        if error.errno not in _NO_KERNEL_COPY:
            raise
    end = extent.offset_bytes + extent.length_bytes
    for offset in range(extent.offset_bytes + copied, end, _READ_BYTES):
        count = min(_READ_BYTES, end - offset)
        data = mutations.read_at(source, offset, count)
        if len(data) < count:
            raise OSError(errno.EIO, "the file ended early", str(source.path))
        mutations.write_at(target, offset, data)


def clone_or_copy(source: mutations.OpenFile, target: mutations.OpenFile, size_bytes: int) -> int:
    """As ``copy_sparse``, but let the two share all blocks where the file system can.

    Returns the bytes moved, which are 0 after a clone.
    """
    try:
        kernel_copies.clone_range(source, target)
    except OSError as error:
        if error.errno not in _NO_CLONE:
            raise
        return copy_sparse(source, target, size_bytes)
    mutations.truncate(target, size_bytes)
    return 0
