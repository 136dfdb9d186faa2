"""Block access to a regular file on this host.

Each call opens the path anew, so that a grant that was taken back is noticed, and holds a shared
lock (``flock``) on the file meanwhile: a driver that needs a quiet moment, to copy the file or to
take the grant back, takes the lock alone. The folders around a handle's path outlive the grant: a
missing file means that the grant was taken back (or the object deleted), a missing folder of a
missing folder that the whole store cannot be reached.
"""

import errno
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from holdfast.concurrency.runtime import runtime
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
from holdfast.data.block_io import BlockIO, Extent, check_range
from holdfast.data.sparse import file_extents
from holdfast.files import mutations
from holdfast.files.trees import TreePath

_ZEROES = bytes(1 << 20)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_GONE = frozenset({errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO})


class FileIO(BlockIO):
    """Block access to the file behind one handle."""

    def __init__(self, handle: FileHandle, inode: tuple[int, int]) -> None:
        self.size_bytes = handle.size_bytes
        self._handle = handle
        self._path = _path_of(handle)
        self._inode = inode

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        self._check_range(offset_bytes, length_bytes)
        return await runtime().run_blocking(self._read, offset_bytes, length_bytes)

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        self._check_range(offset_bytes, len(data))
        self._check_writable()
        await runtime().run_blocking(self._write, offset_bytes, data)

    async def flush(self) -> None:
        await runtime().run_blocking(self._flush)

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        self._check_range(offset_bytes, length_bytes)
        self._check_writable()
        if length_bytes:  # the system refuses to punch a hole of nothing
            await runtime().run_blocking(self._discard, offset_bytes, length_bytes)

    async def extents(self) -> tuple[Extent, ...]:
        return await runtime().run_blocking(self._extents)

    def _check_range(self, offset_bytes: int, length_bytes: int) -> None:
        check_range(offset_bytes, length_bytes, self.size_bytes, self._handle.path)

    def _check_writable(self) -> None:
        if self._handle.read_only:
            raise Denied(f"{self._handle.path} was opened for reading only")

    @contextmanager
    def _opened(
        self, error_of: Callable[[OSError, mutations.AnyPath], DriverError]
    ) -> Iterator[mutations.OpenFile]:
        try:
            with mutations.open_existing(self._path, writable=not self._handle.read_only) as file:
                fcntl.flock(file.fd, fcntl.LOCK_SH)
                # The lock may have been waited for while the grant was taken back.
                if inode_of(self._path.stat()) != self._inode:
                    raise Denied(f"{self._path} is another file now")
                yield file
        except OSError as error:
            raise error_of(error, self._path) from error

    def _read(self, offset_bytes: int, length_bytes: int) -> bytes:
        with self._opened(_read_error) as file:
            data = mutations.read_at(file, offset_bytes, length_bytes)
        if len(data) != length_bytes:
            raise Corrupt(f"{self._path} is shorter than its {self.size_bytes} bytes")
        return data

    def _check_there(self, file: mutations.OpenFile, end_bytes: int) -> None:
        """Refuse what lies behind the end of a file that became smaller since it was opened."""
        if end_bytes > os.fstat(file.fd).st_size:
            raise OutOfRange(f"{self._path} has no {end_bytes} bytes any more")

    def _write(self, offset_bytes: int, data: bytes) -> None:
        with self._opened(_write_error) as file:
            self._check_there(file, offset_bytes + len(data))
            mutations.write_at(file, offset_bytes, data)

    def _flush(self) -> None:
        with self._opened(_write_error) as file:
            if not self._handle.read_only:
                mutations.fsync_file(file)

    def _discard(self, offset_bytes: int, length_bytes: int) -> None:
        with self._opened(_write_error) as file:
            self._check_there(file, offset_bytes + length_bytes)
            try:
                mutations.punch_hole(file, offset_bytes, length_bytes)
            except OSError as error:
                if error.errno not in {errno.EOPNOTSUPP, errno.ENOSYS}:
                    raise
                end = offset_bytes + length_bytes
                for offset in range(offset_bytes, end, len(_ZEROES)):
                    mutations.write_at(file, offset, _ZEROES[: end - offset])

    def _extents(self) -> tuple[Extent, ...]:
        with self._opened(_read_error) as file:
            return tuple(file_extents(file.fd, self.size_bytes))


@asynccontextmanager
async def open_file_io(handle: FileHandle) -> AsyncIterator[BlockIO]:
    """Open the file behind a handle.

    Raises:
        Denied: the grant was taken back, or the system refuses access.
        Unavailable: the store's folder cannot be reached.
        Corrupt: the file is no regular file, or shorter than the handle says.
    """
    yield FileIO(handle, await runtime().run_blocking(_look, handle))


def _look(handle: FileHandle) -> tuple[int, int]:
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
    return inode_of(status)


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
