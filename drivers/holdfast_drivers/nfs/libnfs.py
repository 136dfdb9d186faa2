"""NFSv3 without a mount: the part of libnfs that the drivers use, with types and errors.

One :class:`Client` is one connection. libnfs is not thread-safe: a client is used from one thread.
Every call ends at the client's deadline; what the server or the connection refuses is an
``OSError`` with the server's own error number: ``ETIMEDOUT`` when no answer came in time,
``ECONNRESET`` when the connection broke, and for everything else what NFS says (``ENOENT``,
``ESTALE``, ``ENOSPC``, ...).
"""

import contextlib
import ctypes
import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import msgspec

from holdfast.contract.capabilities import BYTES_MAX
from holdfast.files.trees import RECORD_MAX_BYTES, strange
from holdfast_drivers.nfs import library

_PORTMAPPER: Final = 111
_NFS: Final = 2049
_SYN_COUNT: Final = 2
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_NO_TIME_S: Final = 0.05
_LOOKS: Final = 8
_SLACK_BYTES: Final = 1 << 20
_FORMAT: Final = 0o170000
_FOLDER: Final = 0o040000
_FILE: Final = 0o100000
_LINK: Final = 0o120000


class Status(msgspec.Struct, frozen=True):
    """What the server says of a file or folder; ``used_bytes`` is what it occupies."""

    size_bytes: int
    used_bytes: int
    is_folder: bool
    is_file: bool = True


class Space(msgspec.Struct, frozen=True):
    """What the server says of an export's file system."""

    total_bytes: int
    free_bytes: int


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where an export is, and as whom it is used (the server believes the numbers).

    What is under ``below``, a folder of it, is never reached through a symbolic link.
    """

    server: str
    export: str
    uid: int
    gid: int
    below: str = ""


class File:
    """One open file of a client."""

    def __init__(self, client: "Client", handle: ctypes.c_void_p, path: str) -> None:
        self._client = client
        self._handle = handle
        self._path = path

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Up to this many bytes; fewer only at the end of the file."""
        data = bytearray()
        while len(data) < length_bytes:
            size = min(self._client.read_max_bytes, length_bytes - len(data))
            buffer = ctypes.create_string_buffer(size)
            with self._explained(0):
                count = self._client.call(
                    "nfs_pread", self._path, self._handle, offset_bytes + len(data), size, buffer
                )
            data += buffer.raw[:count]
            if count == 0:
                break
        return bytes(data)

    def write_at(self, offset_bytes: int, data: bytes) -> None:
        """Write all of ``data``; ``sync`` makes it durable."""
        self._client.changing = True
        view = memoryview(data)
        while view:
            piece = bytes(view[: self._client.write_max_bytes])
            with self._explained(len(piece)):
                count = self._client.call(
                    "nfs_pwrite", self._path, self._handle, offset_bytes, len(piece), piece
                )
            offset_bytes += count
            view = view[count:]

    @contextlib.contextmanager
    def _explained(self, more_bytes: int) -> Iterator[None]:
        """Ask the server once more why it refused to read or write: libnfs does not tell.

        Nothing else is lost: the connection works, and what was refused was not done.
        """
        try:
            yield
        except OSError as error:
            if error.errno != errno.EFAULT:
                raise
            self.status()  # the file may be gone, or forbidden
            if self._client.space(self._path).free_bytes < more_bytes + _SLACK_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path) from error
            raise OSError(errno.EIO, "the NFS server could not do it", self._path) from error

    def sync(self) -> None:
        """Return when the server has everything on its disk."""
        self._client.call("nfs_fsync", self._path, self._handle)

    def status(self) -> Status:
        """What the server says of the file now."""
        status = library.Stat()
        self._client.call("nfs_fstat64", self._path, self._handle, ctypes.byref(status))
        return _status(status)


T = TypeVar("T")


class StaysStale(OSError):
    """A file handle that was stale at each of several looks."""


def until_fresh(look: Callable[[], T]) -> T:
    """What ``look`` sees, looked again where that was replaced or removed under it.

    A server that calls everything stale is heard after a few looks, however they are nested.

    Raises:
        StaysStale: it was stale each time.
    """
    for number in range(1, _LOOKS + 1):
        try:
            return look()
        except StaysStale:
            raise
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            if number == _LOOKS:
                raise StaysStale(error.errno, error.strerror, error.filename) from error
    raise AssertionError("there is a last look")


class Client:
    """One mounted export.

    ``changing`` is true once anything was sent that may have changed the server's state.
    """

    def __init__(self, address: Address, seconds_left: Callable[[], float]) -> None:
        self._library = library.loaded()
        self._seconds_left = seconds_left
        self._context: int | None = None
        self._below = address.below
        self._folders: set[str] = set()
        self.changing = False
        self._reach(address.server)
        self._context = self._library.nfs_init_context()
        if not self._context:
            raise OSError(errno.ENOMEM, "libnfs has no memory for a connection")
        try:
            self._mount(address)
        except BaseException:
            self.close()
            raise

    def _reach(self, server: str) -> None:
        """Find out within the deadline whether the server answers; libnfs itself would not end."""
        for port in (_PORTMAPPER, _NFS):
            with socket.create_connection((server, port), timeout=self._timeout_s()):
                pass

    def _mount(self, address: Address) -> None:
        call, context = self._library, self._context
        call.nfs_set_version(context, 3)
        call.nfs_set_autoreconnect(context, 0)  # what is sent again might be done twice
        call.nfs_set_dircache(context, 0)
        call.nfs_set_tcp_syncnt(context, _SYN_COUNT)
        call.nfs_set_uid(context, address.uid)
        call.nfs_set_gid(context, address.gid)
        self.call("nfs_mount", address.export, address.server.encode(), address.export.encode())
        self.read_max_bytes = int(call.nfs_get_readmax(context))
        self.write_max_bytes = int(call.nfs_get_writemax(context))

    def begin(self) -> None:
        """Begin with a call: nothing was changed by it, and nothing is known of the export."""
        self.changing = False
        self._folders.clear()

    def _plain(self, path: str) -> bytes:
        """A path as it is sent, once no folder on its way is a link: libnfs would follow it."""
        way = self._below
        for name in path.removeprefix(way).strip("/").split("/")[:-1]:
            way = f"{way}/{name}"
            if way not in self._folders:
                self._refuse_link(way)
                self._folders.add(way)
        return os.fsencode(path)

    def _refuse_link(self, path: str) -> None:
        status = library.Stat()
        until_fresh(lambda: self.call("nfs_lstat64", path, os.fsencode(path), ctypes.byref(status)))
        if status.mode & _FORMAT == _LINK:
            raise strange(path, "there is a symbolic link in the place of a folder")

    def close(self) -> None:
        """Drop the connection; files that are open go with it."""
        if self._context:
            self._library.nfs_destroy_context(self._context)
        self._context = None

    def _timeout_s(self) -> float:
        left_s = self._seconds_left()
        if left_s < _NO_TIME_S:
            raise TimeoutError(errno.ETIMEDOUT, "no time is left")
        return left_s

    def call(self, name: str, path: str, *arguments: object) -> int:
        """Call a function of libnfs; ``path`` is for the error's text."""
        self._library.nfs_set_timeout(self._context, int(self._timeout_s() * 1000))
        result = int(getattr(self._library, name)(self._context, *arguments))
        if result < 0:
            raise self._error(-result, path, data=name in {"nfs_pread", "nfs_pwrite"})
        return result

    def _error(self, number: int, path: str, *, data: bool) -> OSError:
        text = (self._library.nfs_get_error(self._context) or b"").decode(errors="replace")
        if number == errno.EINTR:
            return OSError(errno.ETIMEDOUT, "the NFS server did not answer in time", path)
        if number == errno.EFAULT and "not accepted" in text:  # by the export's list of clients
            return OSError(errno.EACCES, "the NFS server does not accept this client", path)
        if number == errno.EIO and "NFS3ERR" not in text and "MNT3ERR" not in text:
            return OSError(errno.ECONNRESET, "the connection to the NFS server broke", path)
        if (
            number == errno.EFAULT and not data
        ):  # libnfs has no number for what happened, only words
            return OSError(errno.ECONNRESET, f"libnfs: {text}", path)
        return OSError(number, os.strerror(number), path)

    # Files

    @contextlib.contextmanager
    def open(self, path: str, flags: int = os.O_RDONLY) -> Iterator[File]:
        """A file, closed again whatever happens; ``EUCLEAN`` for what is no regular file."""
        if not flags & os.O_CREAT and not self.status(path).is_file:
            raise strange(path, "there is something else in the place of a file")
        handle = ctypes.c_void_p()
        self.changing = self.changing or flags != os.O_RDONLY
        self.call("nfs_open2", path, self._plain(path), flags, _FILE_MODE, ctypes.byref(handle))
        try:
            yield File(self, handle, path)
        finally:
            # Nothing depends on it: what must be durable was synced, and NFSv3 knows no open files.
            left_ms = max(1, int(self._seconds_left() * 1000))
            self._library.nfs_set_timeout(self._context, left_ms)
            self._library.nfs_close(self._context, handle)

    def create(self, path: str) -> contextlib.AbstractContextManager[File]:
        """A new file for writing; ``FileExistsError`` where the name is taken."""
        return self.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def write_new(self, path: str, data: bytes) -> None:
        """A new file with these bytes, durably."""
        with self.create(path) as file:
            file.write_at(0, data)
            file.sync()

    def read(self, path: str) -> bytes:
        """All bytes of a small file; ``EUCLEAN`` for one that is larger than any record."""
        with self.open(path) as file:
            size_bytes = file.status().size_bytes
            if size_bytes > RECORD_MAX_BYTES:
                raise strange(path, f"it has {size_bytes} bytes, more than any record")
            return file.read_at(0, size_bytes)

    # Names

    def status(self, path: str) -> Status:
        """What the server says of a path."""
        status = library.Stat()
        # The path is looked up first and then what was found is asked, which may be gone by then.
        until_fresh(lambda: self.call("nfs_lstat64", path, self._plain(path), ctypes.byref(status)))
        return _status(status)

    def exists(self, path: str) -> bool:
        """Whether there is anything under this path."""
        try:
            self.status(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def entries(self, path: str) -> dict[str, Status]:
        """What is in a folder, by name, in no order."""
        folder = ctypes.c_void_p()
        self._plain(f"{path}/.")  # the folder itself is none either
        self.call("nfs_opendir", path, os.fsencode(path), ctypes.byref(folder))
        entries: dict[str, Status] = {}
        try:
            while pointer := self._library.nfs_readdir(self._context, folder):
                entry = library.Entry.from_address(pointer)
                name = entry.name.decode(errors="surrogateescape")
                if name not in {".", ".."}:
                    entries[name] = _status_of(entry.mode, entry.size, entry.used)
        finally:
            self._library.nfs_closedir(self._context, folder)
        return entries

    def mkdir(self, path: str) -> None:
        """A new folder."""
        self.changing = True
        self.call("nfs_mkdir2", path, self._plain(path), _FOLDER_MODE)

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        self.changing = True
        self.call("nfs_rmdir", path, self._plain(path))

    def unlink(self, path: str) -> None:
        """Remove a file's name."""
        self.changing = True
        self.call("nfs_unlink", path, self._plain(path))

    def discard(self, path: str) -> None:
        """Remove a file's name; that it is gone already is fine."""
        with contextlib.suppress(FileNotFoundError):
            self.unlink(path)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in place of what has that name, at once."""
        self.changing = True
        self.call("nfs_rename", old, self._plain(old), self._plain(new))

    def link(self, old: str, new: str) -> None:
        """Give a file one more name; ``FileExistsError`` where that is taken."""
        self.changing = True
        self.call("nfs_link", old, self._plain(old), self._plain(new))

    def space(self, path: str) -> Space:
        """The figures of the export's file system."""
        space = library.Space()
        self.call("nfs_statvfs64", path, self._plain(path), ctypes.byref(space))
        unit = space.frsize or space.bsize
        # An export of another network's file system may say that it has 16 EiB.
        return Space(
            total_bytes=min(space.blocks * unit, BYTES_MAX),
            free_bytes=min(space.bavail * unit, BYTES_MAX),
        )


def _status(status: library.Stat) -> Status:
    return _status_of(status.mode, status.size, status.used or status.blocks * 512)


def _status_of(mode: int, size_bytes: int, used_bytes: int) -> Status:
    form = mode & _FORMAT
    return Status(size_bytes, used_bytes, form == _FOLDER, form == _FILE)
