"""Block access to a regular file on this host."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import Corrupt
from holdfast.contract.handles import FileHandle
from holdfast.data.block_io import BlockIO, Extent, check_range
from holdfast.data.locked_file import LockedFile
from holdfast.data.sparse import file_extents
from holdfast.files import mutations

_ZEROES: Final = bytes(1 << 20)


class FileIO(BlockIO):
    """Block access to the file behind one handle."""

    def __init__(self, file: LockedFile) -> None:
        self.size_bytes = file.handle.size_bytes
        self._file = file

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        self._check_range(offset_bytes, length_bytes)
        return await runtime().run_blocking(self._read, offset_bytes, length_bytes)

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        self._check_range(offset_bytes, len(data))
        self._file.check_writable()
        await runtime().run_blocking(self._write, offset_bytes, data)

    async def flush(self) -> None:
        await runtime().run_blocking(self._flush)

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        self._check_range(offset_bytes, length_bytes)
        self._file.check_writable()
        if length_bytes:  # the system refuses to punch a hole of nothing
            await runtime().run_blocking(self._discard, offset_bytes, length_bytes)

    async def extents(self) -> tuple[Extent, ...]:
        return await runtime().run_blocking(self._extents)

    def _check_range(self, offset_bytes: int, length_bytes: int) -> None:
        check_range(offset_bytes, length_bytes, self.size_bytes, self._file.handle.path)

    def _read(self, offset_bytes: int, length_bytes: int) -> bytes:
        with self._file.reading() as file:
            data = mutations.read_at(file, offset_bytes, length_bytes)
        if len(data) != length_bytes:
            raise Corrupt(f"{self._file.path} is shorter than its {self.size_bytes} bytes")
        return data

    def _write(self, offset_bytes: int, data: bytes) -> None:
        with self._file.writing() as file:
            self._file.check_there(file, offset_bytes + len(data))
            mutations.write_at(file, offset_bytes, data)

    def _flush(self) -> None:
        with self._file.writing() as file:
            if not self._file.handle.read_only:
                mutations.fsync_file(file)

    def _discard(self, offset_bytes: int, length_bytes: int) -> None:
        with self._file.writing() as file:
            self._file.check_there(file, offset_bytes + length_bytes)
            zero_range(file, offset_bytes, length_bytes)

    def _extents(self) -> tuple[Extent, ...]:
        with self._file.reading() as file:
            return tuple(file_extents(file.fd, self.size_bytes))


def zero_range(file: mutations.OpenFile, offset_bytes: int, length_bytes: int) -> None:
    """Make a range of an open file read as zeroes: as a hole where the file system has holes."""
    try:
        mutations.punch_hole(file, offset_bytes, length_bytes)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
        end = offset_bytes + length_bytes
        for offset in range(offset_bytes, end, len(_ZEROES)):
            mutations.write_at(file, offset, _ZEROES[: end - offset])


@asynccontextmanager
async def open_file_io(handle: FileHandle) -> AsyncIterator[BlockIO]:
    """Open the file behind a handle.

    Raises:
        Denied: the grant was taken back, or the system refuses access.
        Unavailable: the store's folder cannot be reached.
        Corrupt: the file is no regular file, or shorter than the handle says.
    """
    yield FileIO(await runtime().run_blocking(LockedFile.look, handle))
