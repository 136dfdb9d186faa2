"""What the file system under a folder can do, found out with files that have no name."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

import msgspec

_FICLONE = 0x40049409
_BLOCK_BYTES = 4096
_FILE_MAX_BYTES = 1 << 60
_ASSUMED_MAX_BYTES = 1 << 40
_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about one file system; they do not change while it is mounted."""

    reflink: bool
    file_max_bytes: int


def find_features(folder: Path) -> Features:
    """The features of the file system that holds ``folder``. Blocking; nothing is left behind.

    Where files without a name cannot be had, sharing is not declared and a modest size is assumed.

    Raises:
        OSError: the folder is missing or may not be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            source, target = (_nameless(folder, stack) for _ in range(2))
        except OSError as error:
            if error.errno not in _NO_NAMELESS_FILES or not folder.is_dir():
                raise
            return Features(reflink=False, file_max_bytes=_ASSUMED_MAX_BYTES)
        os.pwrite(source, bytes(_BLOCK_BYTES), 0)
        return Features(reflink=_can_share(source, target), file_max_bytes=_largest(target))


def _nameless(folder: Path, stack: contextlib.ExitStack) -> int:
    fd = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, fd)
    return fd


def _can_share(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def _largest(fd: int) -> int:
    """The largest size, in whole blocks, that the file system gives a file."""
    possible, impossible = 0, _FILE_MAX_BYTES // _BLOCK_BYTES + 1
    while impossible - possible > 1:
        middle = (possible + impossible) // 2
        try:
            os.ftruncate(fd, middle * _BLOCK_BYTES)
        except OSError:
            impossible = middle
        else:
            possible = middle
    return possible * _BLOCK_BYTES
