"""Bytes from one open file to another without leaving the kernel: blocks shared, or bytes copied.

Each is a mutation of the target; see ``holdfast.files.mutations``.
"""

import fcntl
import os
from collections.abc import Callable
from typing import Final

from holdfast.files.mutations import Mutation, MutationKind, OpenFile, mutation, naming

_FICLONE: Final = 0x40049409
_COPY_MAX_BYTES: Final = 8 << 20
_Copy = Callable[[OpenFile, int, OpenFile, int, int], int]


def clone_range(source: OpenFile, target: OpenFile) -> None:
    """Let ``target`` share all bytes of ``source`` (FICLONE); ``OSError`` where not supported."""
    mutation(
        lambda: Mutation(kind=MutationKind.CLONE, path=str(target.path), source=str(source.path)),
        lambda: naming(target.path, lambda: fcntl.ioctl(target.fd, _FICLONE, source.fd)),
    )


def copy_range(
    source: OpenFile,
    source_offset_bytes: int,
    target: OpenFile,
    offset_bytes: int,
    length_bytes: int,
) -> int:
    """Copy a range inside the kernel; returns the bytes copied, holes included.

    Fewer than asked for are copied only where the source ends. ``OSError`` with ``EXDEV`` or
    ``EOPNOTSUPP`` where the file systems cannot do it.
    """
    part = _told(_copied)
    return _by_parts(part, (source, source_offset_bytes), (target, offset_bytes), length_bytes)


def send_range(
    source: OpenFile,
    source_offset_bytes: int,
    target: OpenFile,
    offset_bytes: int,
    length_bytes: int,
) -> int:
    """As ``copy_range``, between any two file systems (``sendfile``).

    It moves the position in ``target``, which nobody else uses meanwhile.
    """
    part = _told(_sent)
    return _by_parts(part, (source, source_offset_bytes), (target, offset_bytes), length_bytes)


def _copied(source: OpenFile, start_bytes: int, target: OpenFile, at_bytes: int, count: int) -> int:
    return os.copy_file_range(source.fd, target.fd, count, start_bytes, at_bytes)


def _sent(source: OpenFile, start_bytes: int, target: OpenFile, at_bytes: int, count: int) -> int:
    os.lseek(target.fd, at_bytes, os.SEEK_SET)
    return os.sendfile(target.fd, source.fd, start_bytes, count)


def _told(act: _Copy) -> _Copy:
    """A copy of which observers are told."""

    def observed(
        source: OpenFile, start_bytes: int, target: OpenFile, at_bytes: int, count: int
    ) -> int:
        return mutation(
            lambda: Mutation(
                kind=MutationKind.COPY,
                path=str(target.path),
                offset_bytes=at_bytes,
                length_bytes=count,
                data=os.pread(source.fd, count, start_bytes),
                source=str(source.path),
                source_offset_bytes=start_bytes,
            ),
            lambda: naming(target.path, lambda: act(source, start_bytes, target, at_bytes, count)),
        )

    return observed


def _by_parts(
    copy: _Copy, source: tuple[OpenFile, int], target: tuple[OpenFile, int], length_bytes: int
) -> int:
    at = 0
    while at < length_bytes:
        count = min(_COPY_MAX_BYTES, length_bytes - at)
        copied = copy(source[0], source[1] + at, target[0], target[1] + at, count)
        if copied == 0:
            break
        at += copied
    return at
