"""Paths below one folder that are never reached through a link.

Whoever can write in a folder can put a link, a pipe or a device in the place of a file; a path that
is looked up by its text alone leads wherever that leads. A :class:`TreePath` is looked up from its
root in one step by ``openat2``, or name by name where the kernel lacks it, and what stands in the
way is an ``OSError`` with ``EUCLEAN``. The root is the user's own: it may be reached through links.
Blocking functions.
"""

import contextlib
import ctypes
import errno
import functools
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

RECORD_MAX_BYTES: Final = 16 << 20
"""More than any record has; what is larger is no record, and is not read into memory."""
_OPENAT2: Final = 437
_NO_MAGICLINKS: Final = 0x02
_NO_SYMLINKS: Final = 0x04
_BENEATH: Final = 0x08
_EXCHANGE: Final = 0x02
_HERE: Final = -100  # AT_FDCWD
_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_libc: Final = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    """``struct open_how``."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


class Strange(OSError):
    """Under a path is not what should be there; its number is ``EUCLEAN``, drivers: ``Corrupt``."""


def strange(path: object, what: str) -> Strange:
    """The error that says so of a path."""
    return Strange(errno.EUCLEAN, what, str(path))


def check_regular(status: os.stat_result, path: object) -> None:
    """Refuse whatever is no regular file."""
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise strange(path, f"there is {kind} in the place of a file")


class TreePath(msgspec.Struct, frozen=True, order=True):
    """A path below ``root``, as its names."""

    root: Path
    names: tuple[str, ...] = ()

    def __truediv__(self, name: str) -> "TreePath":
        """What has this name in this folder; a name with a slash, or of dots, is none."""
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise strange(self, f"{name!r} is no name in this folder")
        return TreePath(self.root, (*self.names, name))

    def __str__(self) -> str:
        """The path for people, and for programs that are told it."""
        return str(self.path)

    @property
    def path(self) -> Path:
        """The path that others may look up; how they do is theirs to say."""
        return self.root.joinpath(*self.names)

    @staticmethod
    def of(root: Path, path: Path) -> "TreePath":
        """A path that is below a root by its text; ``ValueError`` for another."""
        whole = TreePath(root)
        for name in path.relative_to(root).parts:
            whole /= name
        return whole

    @property
    def name(self) -> str:
        """The last name."""
        return self.names[-1]

    @property
    def parent(self) -> "TreePath":
        """The folder it is in."""
        return TreePath(self.root, self.names[:-1])

    def open(self, flags: int, mode: int = 0) -> int:
        """Open it, without following anything; the descriptor belongs to the caller."""
        flags |= os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            root = os.open(self.root, _FOLDER)
            try:
                return _opened(root, self.names, flags, mode) if self.names else _again(root, flags)
            finally:
                os.close(root)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.EXDEV}:
                raise strange(self, "there is a symbolic link where none may be") from error
            error.filename = str(self)
            raise

    def open_file(self, flags: int) -> int:
        """Open a regular file that exists; never waits.

        It is looked at before, since to open a device can do something, and after, since it may
        have been replaced in between.
        """
        self.regular()
        fd = self.open(flags | os.O_NONBLOCK)
        try:
            check_regular(os.fstat(fd), self)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def stat(self) -> os.stat_result:
        """What the system says of it; of a link, not of what that leads to."""
        if not self.names:
            return self.root.stat()
        with held(self) as (folder, name):
            return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def regular(self) -> os.stat_result:
        """What the system says of a file; an ``OSError`` where it is none."""
        status = self.stat()
        check_regular(status, self)
        return status

    def exists(self) -> bool:
        """Whether anything has this name, a link that leads nowhere included."""
        try:
            self.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def is_dir(self) -> bool:
        """Whether it is a folder, and no link to one."""
        try:
            return stat.S_ISDIR(self.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def iterdir(self) -> Iterator["TreePath"]:
        """What is in the folder, in no order."""
        fd = self.open(os.O_RDONLY | os.O_DIRECTORY)
        try:
            names = os.listdir(fd)  # noqa: PTH208 - a folder that is open has no path
        finally:
            os.close(fd)
        for name in names:
            yield TreePath(self.root, (*self.names, name))

    def read_bytes(self) -> bytes:
        """All bytes of a record; an ``OSError`` where it is no file, or larger than any record."""
        fd = self.open_file(os.O_RDONLY)
        try:
            data = bytearray()
            while piece := os.read(fd, RECORD_MAX_BYTES + 1 - len(data)):
                data += piece
        finally:
            os.close(fd)
        if len(data) > RECORD_MAX_BYTES:
            raise strange(self, f"it has more than the {RECORD_MAX_BYTES} bytes of any record")
        return bytes(data)


@contextlib.contextmanager
def held(path: Path | TreePath) -> Iterator[tuple[int | None, str]]:
    """How to name a path to the system: in a folder that is held open, or by its text.

    Errors inside name the path.
    """
    folder: int | None = None
    try:
        if isinstance(path, TreePath):
            folder = path.parent.open(_FOLDER)
            yield folder, path.name
        else:
            yield None, str(path)
    except OSError as error:
        if error.filename is None or error.filename in {path, getattr(path, "name", None)}:
            error.filename = str(path)
        raise
    finally:
        if folder is not None:
            os.close(folder)


def exchange_names(folder: int | None, name: str, other: int | None, new: str) -> None:
    """Let two names in folders that are held open change places."""
    function = getattr(_libc, "renameat2", None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    here, there = (_HERE if fd is None else fd for fd in (folder, other))
    if function(here, os.fsencode(name), there, os.fsencode(new), _EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@functools.cache
def _has_openat2() -> bool:
    try:
        os.close(_openat2(-1, "/", os.O_PATH | os.O_CLOEXEC, 0, 0))
    except OSError:  # an old kernel, or a sandbox that knows none of it
        return False
    return True


def _openat2(folder: int, name: str, flags: int, mode: int, resolve: int) -> int:
    how = _How(flags, mode, resolve)
    fd = int(
        _libc.syscall(_OPENAT2, folder, os.fsencode(name), ctypes.byref(how), ctypes.sizeof(how))
    )
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return fd


def _opened(root: int, names: tuple[str, ...], flags: int, mode: int) -> int:
    if _has_openat2():
        resolve = _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS
        return _openat2(root, "/".join(names), flags & ~os.O_NOFOLLOW, mode, resolve)
    return _opened_by_names(root, names, flags, mode)


def _opened_by_names(root: int, names: tuple[str, ...], flags: int, mode: int) -> int:
    """As one step would, where the kernel has none: each folder on the way is held open."""
    with contextlib.ExitStack() as stack:
        folder = root
        for name in names[:-1]:
            folder = _stepped(folder, name, _FOLDER | os.O_NOFOLLOW, 0)
            stack.callback(os.close, folder)
        return _stepped(folder, names[-1], flags, mode)


def _stepped(folder: int, name: str, flags: int, mode: int) -> int:
    try:
        return os.open(name, flags, mode, dir_fd=folder)
    except NotADirectoryError as error:  # what the system says of a link, too
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
        raise


def _again(folder: int, flags: int) -> int:
    return os.open(".", flags, dir_fd=folder)
