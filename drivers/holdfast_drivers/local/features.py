"""What the file system under a folder can do, found out with files that have no name.

Nothing is written, and where there is no place even for such a file, one that is there is asked:
a store that is full can still be opened, to read and to empty it.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from holdfast.files.trees import TreePath
from holdfast_drivers.local.errors import FULL

_FICLONE = 0x40049409
_BLOCK_BYTES = 4096
_FILE_MAX_BYTES = 1 << 60
_ASSUMED_MAX_BYTES = 1 << 40
_NO_SHARING = frozenset({errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS})
_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about one file system; they do not change while it is mounted."""

    reflink: bool
    file_max_bytes: int


def find_features(folder: Path, there: TreePath) -> Features:
    """The features of the file system that holds ``folder``. Blocking; nothing is left behind.

    Where files without a name cannot be had, sharing is not declared and a modest size is assumed.

    Args:
        folder: where stores are.
        there: a file of ours on that file system, if there is one; it is not changed.

    Raises:
        OSError: the folder is missing or may not be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            source, target = (_nameless(folder, stack) for _ in range(2))
        except OSError as error:
            if error.errno in FULL and there.exists():
                return _features_of(there)
            if error.errno not in _NO_NAMELESS_FILES or not folder.is_dir():
                raise
            return Features(reflink=False, file_max_bytes=_ASSUMED_MAX_BYTES)
        return Features(reflink=_can_share(source, target), file_max_bytes=_largest(target))


def _features_of(there: TreePath) -> Features:
    """What a file that is there tells: by requests that no file system carries out.

    A file cannot share blocks with itself, and a position past the largest size is none; what comes
    out is the same as for a new file.
    """
    fd = there.open_file(os.O_RDWR)
    try:
        try:
            fcntl.ioctl(fd, _FICLONE, fd)
        except OSError as error:
            reflink = error.errno not in _NO_SHARING
        else:
            reflink = True
        return Features(reflink=reflink, file_max_bytes=_farthest(fd))
    finally:
        os.close(fd)


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
    return _last_possible(lambda size_bytes: os.ftruncate(fd, size_bytes))


def _farthest(fd: int) -> int:
    """The same, of a file that must stay as it is."""
    return _last_possible(lambda size_bytes: os.lseek(fd, size_bytes, os.SEEK_SET))


def _last_possible(attempt: Callable[[int], object]) -> int:
    possible, impossible = 0, _FILE_MAX_BYTES // _BLOCK_BYTES + 1
    while impossible - possible > 1:
        middle = (possible + impossible) // 2
        try:
            attempt(middle * _BLOCK_BYTES)
        except OSError:
            impossible = middle
        else:
            possible = middle
    return possible * _BLOCK_BYTES
