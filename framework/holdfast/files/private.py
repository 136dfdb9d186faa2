"""Files for their owner alone: 0600 whatever the umask, regular, and never reached through a link.

Whoever opens a file by a name that others may have prepared would read, truncate or lock what is
somewhere else.
"""

import errno
import logging
import os
import stat
from pathlib import Path

from holdfast.contract.errors import ConfigurationError

MODE = 0o600
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_log = logging.getLogger("holdfast")


class OddFile(ConfigurationError):
    """What bears a name is no file that may be opened under it."""


def look_at(path: Path) -> os.stat_result | None:
    """What is at a path, without opening it or following a link; ``None`` for nothing.

    Raises:
        OddFile: it is no regular file.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    _refuse_odd(path, status)
    return status


def open_existing(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open the regular file at a path, following no link; the descriptor.

    Raises:
        OddFile: it is no regular file, or has become another meanwhile.
        OSError: the system says no.
    """
    look_at(path)
    try:
        # A FIFO that appears between look and open must not block for ever.
        fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OddFile(f"{path}: is a symbolic link, which is never followed") from error
        raise
    try:
        _refuse_odd(path, os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def close_to_others(path: Path, fd: int) -> None:
    """Have an open file be for its owner alone; where it was not, that is said."""
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    if not mode & 0o077:
        return
    os.fchmod(fd, MODE)
    _log.warning(
        "%s: others could open it (mode %04o); it is for its owner alone now (0600)", path, mode
    )


def create(path: Path) -> int:
    """Make a file that must not be there yet; the descriptor, for reading and writing.

    Raises:
        FileExistsError: something has the name.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, MODE)
    os.fchmod(fd, MODE)  # the umask may have taken the owner's own rights away
    return fd


def refuse_shared(path: Path) -> None:
    """Refuse to have a file written that is odd, or has a second name; there may be none.

    Raises:
        OddFile: and why.
    """
    status = look_at(path)
    if status is not None and status.st_nlink > 1:
        raise OddFile(
            f"{path}: has {status.st_nlink} names (hard links), so that writing to it would change "
            "another file too; remove the one that does not belong there"
        )


def _refuse_odd(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    what = next((name for test, name in _KINDS if test(status.st_mode)), "no regular file")
    raise OddFile(f"{path}: is {what}, and a regular file is needed; it was not touched")
