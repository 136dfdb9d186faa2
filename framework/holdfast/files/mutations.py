"""Every change that Holdfast makes to files goes through here, so that crash tests see each one.

In production there is no observer and a function costs its system call. A crash test sets one with
``observe``; it is told before and after each mutation, may kill the process there, and may keep the
record: from it the suite's ``power_cut`` rebuilds what a power cut would have left. The rules are
those of POSIX: the bytes of a file are durable after ``fsync_file``, its name after
``fsync_directory`` of the folder that holds it. Nothing here retries or translates an ``OSError``;
each names its file. A :class:`~holdfast.files.trees.TreePath` is reached without following any
link.
"""

import contextlib
import ctypes
import enum
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, Self, TypeVar

import msgspec

from holdfast.files.trees import TreePath, exchange_names, held

T = TypeVar("T")
AnyPath = Path | TreePath

_PUNCH_HOLE = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
_libc = ctypes.CDLL(None, use_errno=True)


class MutationKind(enum.StrEnum):
    """What a mutation does."""

    CREATE = "create"
    WRITE = "write"
    TRUNCATE = "truncate"
    RENAME = "rename"
    EXCHANGE = "exchange"
    LINK = "link"
    UNLINK = "unlink"
    MKDIR = "mkdir"
    RMDIR = "rmdir"
    FSYNC_FILE = "fsync_file"
    FSYNC_DIRECTORY = "fsync_directory"
    CLONE = "clone"
    COPY = "copy"
    PUNCH = "punch"


class Mutation(msgspec.Struct, frozen=True, kw_only=True):
    """One change to the file system, complete enough to be repeated on a copy of the tree.

    ``target`` is the new name of a rename or hard link (``path`` is what existed), or the other one
    of an exchange.
    ``length_bytes`` is the length of a range, or the new size of a truncation. ``data`` holds the
    bytes of a write and of a copy; a clone takes all bytes of ``source``.
    """

    kind: MutationKind
    path: str
    target: str = ""
    offset_bytes: int = 0
    length_bytes: int = 0
    data: bytes = b""
    source: str = ""
    source_offset_bytes: int = 0


class MutationObserver(Protocol):
    """Told of every mutation of this process; it may raise, or end the process, at either point."""

    def before(self, mutation: Mutation) -> None:
        """The mutation has not happened."""

    def after(self, mutation: Mutation) -> None:
        """The mutation has happened; it is not durable yet. Not called when the system refused."""


_observers: list[MutationObserver] = []


@contextlib.contextmanager
def observe(observer: MutationObserver) -> Iterator[None]:
    """Tell ``observer`` of every mutation in this process, in all threads, inside the context."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def mutation(describe: Callable[[], Mutation], act: Callable[[], T]) -> T:
    """Do one mutation under observation; ``describe`` is called only where someone observes."""
    if not _observers:
        return act()
    described = describe()
    for observer in tuple(_observers):
        observer.before(described)
    result = act()
    for observer in tuple(_observers):
        observer.after(described)
    return result


def naming(path: AnyPath, act: Callable[[], T]) -> T:
    """Call the system for an open file, and let what it refuses name the file."""
    try:
        return act()
    except OSError as error:
        error.filename = str(path)
        raise


class OpenFile:
    """A regular file that is open under one path; close it before its name changes.

    Use it as a context manager. ``fd`` is for reading; every change has a function below.
    """

    def __init__(self, path: AnyPath, fd: int) -> None:
        self.path = path
        self.fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def size_bytes(self) -> int:
        """The file's size now."""
        return os.fstat(self.fd).st_size

    def identity(self) -> str:
        """What is another text whenever another file is meant, or its bytes were changed since."""
        status = os.fstat(self.fd)
        changed = f"{status.st_mtime_ns}:{status.st_ctime_ns}"
        return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{changed}"


def open_existing(path: AnyPath, *, writable: bool = False) -> OpenFile:
    """Open a file that exists; never waits, not even for the other end of a pipe.

    Under a :class:`TreePath` nothing but a regular file is opened.
    """
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_NONBLOCK | os.O_CLOEXEC
    if isinstance(path, TreePath):
        return OpenFile(path, path.open_file(flags))
    return OpenFile(path, os.open(path, flags))


def create_exclusive(path: AnyPath, *, mode: int = 0o600) -> OpenFile:
    """Create a file that must not exist yet, open for reading and writing."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with held(path) as (folder, name):
        fd = mutation(
            lambda: Mutation(kind=MutationKind.CREATE, path=str(path)),
            lambda: os.open(name, flags, mode, dir_fd=folder),
        )
    return OpenFile(path, fd)


def read_at(file: OpenFile, offset_bytes: int, length_bytes: int) -> bytes:
    """The bytes of a range; fewer only where the file ends."""
    parts: list[bytes] = []
    while length_bytes:
        parts.append(os.pread(file.fd, length_bytes, offset_bytes))
        if not parts[-1]:
            break
        length_bytes -= len(parts[-1])
        offset_bytes += len(parts[-1])
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_into(file: OpenFile, offset_bytes: int, into: memoryview) -> int:
    """Read a range into memory that is there; returns the bytes read, fewer where the file ends."""
    filled = 0
    while filled < len(into):
        count = os.preadv(file.fd, [into[filled:]], offset_bytes + filled)
        if not count:
            break
        filled += count
    return filled


def _write_once(file: OpenFile, offset_bytes: int, data: memoryview) -> int:
    return mutation(
        lambda: Mutation(
            kind=MutationKind.WRITE,
            path=str(file.path),
            offset_bytes=offset_bytes,
            data=bytes(data),
        ),
        lambda: naming(file.path, lambda: os.pwrite(file.fd, data, offset_bytes)),
    )


def write_at(file: OpenFile, offset_bytes: int, data: bytes | memoryview) -> None:
    """Write all of ``data`` at an offset."""
    rest = memoryview(data)
    while rest:
        written = _write_once(file, offset_bytes, rest)
        rest = rest[written:]
        offset_bytes += written


def truncate(file: OpenFile, size_bytes: int) -> None:
    """Give a file exactly this size; what is added reads as zeroes and occupies nothing."""
    mutation(
        lambda: Mutation(kind=MutationKind.TRUNCATE, path=str(file.path), length_bytes=size_bytes),
        lambda: naming(file.path, lambda: os.ftruncate(file.fd, size_bytes)),
    )


def punch_hole(file: OpenFile, offset_bytes: int, length_bytes: int) -> None:
    """Make a range read as zeroes and give its space back; ``OSError`` where not supported."""

    def act() -> None:
        offset, length = ctypes.c_int64(offset_bytes), ctypes.c_int64(length_bytes)
        if _libc.fallocate(file.fd, _PUNCH_HOLE, offset, length) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(file.path))

    mutation(
        lambda: Mutation(
            kind=MutationKind.PUNCH,
            path=str(file.path),
            offset_bytes=offset_bytes,
            length_bytes=length_bytes,
        ),
        act,
    )


def fsync_file(file: OpenFile) -> None:
    """Make a file's bytes and size durable."""
    mutation(
        lambda: Mutation(kind=MutationKind.FSYNC_FILE, path=str(file.path)),
        lambda: naming(file.path, lambda: os.fdatasync(file.fd)),
    )


def fsync_directory(path: AnyPath) -> None:
    """Make the names in a folder durable."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    fd = path.open(flags) if isinstance(path, TreePath) else os.open(path, flags)
    try:
        mutation(
            lambda: Mutation(kind=MutationKind.FSYNC_DIRECTORY, path=str(path)),
            lambda: naming(path, lambda: os.fsync(fd)),
        )
    finally:
        os.close(fd)


def rename(path: AnyPath, target: AnyPath) -> None:
    """Give a file or folder another name, replacing a file (or an empty folder) of that name."""
    with held(path) as (folder, name), held(target) as (other, new):
        mutation(
            lambda: Mutation(kind=MutationKind.RENAME, path=str(path), target=str(target)),
            lambda: naming(path, lambda: os.rename(name, new, src_dir_fd=folder, dst_dir_fd=other)),
        )


def exchange(path: AnyPath, target: AnyPath) -> None:
    """Let two names change places, at once and without space; ``EINVAL``, ``ENOSYS``: cannot be."""
    with held(path) as (folder, name), held(target) as (other, new):
        mutation(
            lambda: Mutation(kind=MutationKind.EXCHANGE, path=str(path), target=str(target)),
            lambda: naming(path, lambda: exchange_names(folder, name, other, new)),
        )


def link(path: AnyPath, target: AnyPath) -> None:
    """Give a file a second name; a link is not followed."""
    with held(path) as (folder, name), held(target) as (other, new):
        mutation(
            lambda: Mutation(kind=MutationKind.LINK, path=str(path), target=str(target)),
            lambda: naming(
                target,
                lambda: os.link(
                    name, new, src_dir_fd=folder, dst_dir_fd=other, follow_symlinks=False
                ),
            ),
        )


def unlink(path: AnyPath) -> None:
    """Remove one name of a file."""
    with held(path) as (folder, name):
        _unlink(path, name, folder)


def _unlink(path: AnyPath, name: str, folder: int | None) -> None:
    mutation(
        lambda: Mutation(kind=MutationKind.UNLINK, path=str(path)),
        lambda: os.unlink(name, dir_fd=folder),
    )


def mkdir(path: AnyPath, *, mode: int = 0o700) -> None:
    """Create a folder in an existing folder."""
    with held(path) as (folder, name):
        mutation(
            lambda: Mutation(kind=MutationKind.MKDIR, path=str(path)),
            lambda: os.mkdir(name, mode, dir_fd=folder),
        )


def rmdir(path: AnyPath) -> None:
    """Remove an empty folder."""
    with held(path) as (folder, name):
        _rmdir(path, name, folder)


def _rmdir(path: AnyPath, name: str, folder: int | None) -> None:
    mutation(
        lambda: Mutation(kind=MutationKind.RMDIR, path=str(path)),
        lambda: os.rmdir(name, dir_fd=folder),
    )


def remove_tree(path: AnyPath) -> None:
    """Remove a file, or a folder with all that is in it; an absent path is fine.

    Symbolic links are removed, never followed, also where one takes a folder's place meanwhile.
    """
    with contextlib.suppress(FileNotFoundError), held(path) as (folder, name):
        _remove(path, name, folder)


def _remove(path: AnyPath, name: str, folder: int | None) -> None:
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        _unlink(path, name, folder)
        return
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        for entry in sorted(os.listdir(fd)):  # noqa: PTH208 - a folder that is open has no path
            _remove(path / entry, entry, fd)
    finally:
        os.close(fd)
    _rmdir(path, name, folder)


def write_new(path: AnyPath, data: bytes) -> None:
    """Write a file that must not exist yet, and make its bytes durable; its name is not yet."""
    with create_exclusive(path) as file:
        write_at(file, 0, data)
        fsync_file(file)


def publish(staged: AnyPath, final: AnyPath) -> None:
    """Move what is complete and durable under a staging name to its final name, durably.

    Both are on one file system. Whoever reads ``final`` finds what was there before or all of the
    new, at every moment and after a power cut.
    """
    rename(staged, final)
    fsync_directory(final.parent)
