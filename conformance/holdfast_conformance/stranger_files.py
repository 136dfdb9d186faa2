"""Files that a stranger wrote: only regular ones, opened once, never by a link, bounded.

A name may stand for a FIFO that nobody writes into, a link to somewhere else, or a file of holes
that fills this machine's memory.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from holdfast.contract.errors import UsageError

CHUNK_BYTES: Final = 1 << 20
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_OVER: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Unfit(UsageError):
    """What stands there is no plain file of an expected size; the message names it."""


def kind_of(mode: int) -> str:
    """What people call a thing of this mode; empty for a regular file."""
    return _KINDS.get(stat.S_IFMT(mode), "") if not stat.S_ISREG(mode) else ""


@contextmanager
def opened(
    name: str, bytes_max: int, *, folder: int | None = None, shown: str = ""
) -> Iterator[BinaryIO]:
    """A regular file, opened for reading; below the folder of a descriptor where one is given.

    Raises:
        Unfit: it is no regular file, or larger than ``bytes_max``.
        OSError: it cannot be opened.
    """
    shown = shown or name
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=folder)
    except OSError as problem:
        mode = _mode_of(name, folder)
        if mode is not None and (kind := kind_of(mode)):
            raise Unfit(f"{shown} is {kind}, and no plain file") from problem
        raise
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if kind := kind_of(found.st_mode):
            raise Unfit(f"{shown} is {kind}, and no plain file")
        if found.st_size > bytes_max:
            raise Unfit(f"{shown} has {found.st_size} bytes, and none has more than {bytes_max}")
        yield file


def read(name: str, bytes_max: int, *, folder: int | None = None, shown: str = "") -> bytes:
    """The bytes of a regular file; errors as those of ``opened``, also where it grows meanwhile."""
    with opened(name, bytes_max, folder=folder, shown=shown) as file:
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise Unfit(f"{shown or name} has more than {bytes_max} bytes")
    return data


def read_given(path: Path, bytes_max: int) -> bytes:
    """A file that the command line names, which may be a stranger's.

    Raises:
        UsageError: it cannot be read, or is no plain file of such a size.
    """
    try:
        return read(str(path), bytes_max)
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror}") from problem


def refuse_to_write(path: Path) -> None:
    """Refuse a name in a folder that may be a stranger's, behind which something else would change.

    Raises:
        Unfit: there is something under it that is no plain file of this one name.
    """
    with suppress(FileNotFoundError):
        _refuse_shared(path, path.lstat())


def _refuse_shared(path: Path, found: os.stat_result) -> None:
    if kind := kind_of(found.st_mode):
        raise Unfit(f"{path} is {kind}, and no plain file; name another with --out")
    if found.st_nlink > 1:
        raise Unfit(f"{path} is a file that has other names, too; name another with --out")


def write_over(path: Path, data: bytes) -> None:
    """Write a file in a folder that may be a stranger's: a new one, or over a plain one.

    Raises:
        Unfit: there is something else under its name.
        OSError: it cannot be written.
    """
    refuse_to_write(path)
    with os.fdopen(os.open(path, _OVER, 0o666), "wb") as file:
        _refuse_shared(path, os.fstat(file.fileno()))
        file.truncate(0)
        file.write(data)


def _mode_of(name: str, folder: int | None) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except OSError:
        return None
