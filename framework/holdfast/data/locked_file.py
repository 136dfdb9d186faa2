"""The file behind a handle: opened anew for each use, under a shared lock, and still the same file.

Each use opens the path anew, so that a grant that was taken back is noticed, and holds a shared
lock (``flock``) on the file meanwhile: a driver that needs a quiet moment, to copy the file or to
take the grant back, takes the lock alone. The folders around a handle's path outlive the grant: a
missing file means that the grant was taken back (or the object deleted), a missing folder of a
missing folder that the whole store cannot be reached. Blocking.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from holdfast.contract.errors import (
    Corrupt,
    Denied,
    DriverError,
    Exhausted,
    OutOfRange,
    Unavailable,
    Unknown,
)
from holdfast.contract.handles import FileHandle
from holdfast.files import mutations
from holdfast.files.trees import TreePath

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_GONE = frozenset({errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO})


class LockedFile:
    """The file that a handle meant when it was first looked at; see ``look``."""

    def __init__(self, handle: FileHandle, path: mutations.AnyPath, inode: tuple[int, int]) -> None:
        self.handle = handle
        self.path = path
        self._inode = inode

    @classmethod
    def look(cls, handle: FileHandle) -> Self:
        """Look at the file behind a handle.

        Raises:
            Denied: the grant was taken back, or the system refuses access.
            Unavailable: the store's folder cannot be reached.
            Corrupt: the file is no regular file, or shorter than the handle says.
        """
        path = _path_of(handle)
        try:
            with mutations.open_existing(path, writable=not handle.read_only) as file:
                status = os.fstat(file.fd)
        except IsADirectoryError:
            raise Corrupt(f"{path} is a folder") from None
        except OSError as error:
            raise _read_error(error, path) from error
        if not stat.S_ISREG(status.st_mode) or status.st_size < handle.size_bytes:
            raise Corrupt(f"{path} is no file of {handle.size_bytes} bytes")
        return cls(handle, path, inode_of(status))

    @property
    def place(self) -> str:
        """What tells this file from another one that has its name later."""
        return f"{self._inode[0]}:{self._inode[1]}"

    def check_writable(self) -> None:
        """Refuse to change what was opened for reading only."""
        if self.handle.read_only:
            raise Denied(f"{self.handle.path} was opened for reading only")

    @contextmanager
    def reading(self) -> Iterator[mutations.OpenFile]:
        """The file while it is read; an ``OSError`` within is one of reading it."""
        try:
            with self._opened() as file:
                yield file
        except OSError as error:
            raise _read_error(error, self.path) from error

    @contextmanager
    def writing(self) -> Iterator[mutations.OpenFile]:
        """The file while it is changed; an ``OSError`` within is one of changing it."""
        try:
            with self._opened() as file:
                yield file
        except OSError as error:
            raise _write_error(error, self.path) from error

    @contextmanager
    def _opened(self) -> Iterator[mutations.OpenFile]:
        with mutations.open_existing(self.path, writable=not self.handle.read_only) as file:
            fcntl.flock(file.fd, fcntl.LOCK_SH)
            # The lock may have been waited for while the grant was taken back.
            if inode_of(self.path.stat()) != self._inode:
                raise Denied(f"{self.path} is another file now")
            yield file

    def read_error(self, error: OSError) -> DriverError:
        """What the system said when the file was read."""
        return _read_error(error, self.path)

    def check_there(self, file: mutations.OpenFile, end_bytes: int) -> None:
        """Refuse what lies behind the end of a file that became smaller since it was opened."""
        if end_bytes > os.fstat(file.fd).st_size:
            raise OutOfRange(f"{self.path} has no {end_bytes} bytes any more")


def _path_of(handle: FileHandle) -> mutations.AnyPath:
    path = Path(handle.path)
    if not handle.below:
        return path
    try:
        return TreePath.of(Path(handle.below), path)
    except (OSError, ValueError) as error:
        raise Corrupt(f"{path} is no path below {handle.below}") from error


def inode_of(status: os.stat_result) -> tuple[int, int]:
    """What tells two files of this host apart, whatever their names."""
    return status.st_dev, status.st_ino


def _common_error(error: OSError, path: mutations.AnyPath) -> DriverError | None:
    if isinstance(error, FileNotFoundError):
        if path.parent.is_dir() or path.parent.parent.is_dir():
            return Denied(f"{path} is gone: the grant was taken back")
        return Unavailable(f"{path.parent.parent} cannot be reached")
    if error.errno == errno.EUCLEAN:
        return Corrupt(f"{path}: {error.strerror}")
    if error.errno in _REFUSED:
        return Denied(f"{path}: {error.strerror}")
    if error.errno in _GONE:
        return Unavailable(f"{path}: {error.strerror}")
    return None


def _read_error(error: OSError, path: mutations.AnyPath) -> DriverError:
    if error.errno == errno.EIO:
        return Corrupt(f"{path}: {error.strerror}")
    return _common_error(error, path) or Unavailable(f"{path}: {error.strerror}")


def _write_error(error: OSError, path: mutations.AnyPath) -> DriverError:
    if error.errno in _FULL:
        return Exhausted(f"{path}: {error.strerror}")
    if error.errno == errno.EFBIG:
        return OutOfRange(f"{path}: {error.strerror}")
    return _common_error(error, path) or Unknown(f"{path}: {error.strerror}")
