"""One owner per catalogue: a lock on its name and a lock on the file itself, free when it is dead.

The name's lock file keeps a second owner out when the file is replaced; the lock on the database's
own inode does when the file has another name (a hard link, a bind mount). ``flock`` takes no notice
of the locks of SQLite, which are of another kind; but closing *any* descriptor of the database
drops those, so that ours is held longer than SQLite holds the file, and a process does not open
what it has open already.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from holdfast.catalogue.damage import free_page_damage
from holdfast.catalogue.port import CatalogueHeld, CatalogueReplaced, Damage
from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable
from holdfast.files.private import (
    OddFile,
    close_to_others,
    create,
    look_at,
    open_existing,
    refuse_shared,
)

MAGIC = b"SQLite format 3\0"
SIDECARS = ("-wal", "-shm", "-journal")
_LOCK_TEXT_MAX = 32

_File = tuple[int, int]
_held: dict[_File, "Ownership"] = {}
"""The databases that this process has open, by device and inode."""


class Ownership:
    """The right to use a catalogue file, from construction to ``release``.

    A link and the file it leads to are one catalogue. The lock file goes with its owner; one that
    a killed owner left is taken over.

    Raises:
        CatalogueHeld: somebody else has it.
        ConfigurationError: what is there is no catalogue; it was not touched.
        OSError: the system says no.
    """

    def __init__(self, path: Path) -> None:
        self.path = _resolved(path)
        self._name = path
        self._lock = self.path.with_name(self.path.name + ".lock")
        self._lock_fd = self._lock_name()
        self._file: _File | None = None
        self._wal: _File | None = None
        self._fd = -1
        self.is_new = False
        self._made: tuple[str, ...] = ()
        try:
            self._fd = self._open_database()
        except BaseException:
            self.release()
            raise

    def watch_wal(self) -> None:
        """From now on the WAL, which SQLite has opened, must bear its name too."""
        self._wal = _file_at(f"{self.path}-wal")

    def still_there(self) -> None:
        """See that the files that were opened still bear their names.

        Raises:
            CatalogueReplaced: one does not.
        """
        if _file_at(self.path) != self._file or _file_at(f"{self.path}-wal") != self._wal:
            raise self._replaced()

    def _replaced(self) -> CatalogueReplaced:
        return CatalogueReplaced(
            f"{self._name}: it or its -wal was moved, removed or replaced while it was in use; "
            "nothing more is written. Put back what was opened, and open it again"
        )

    def release(self) -> None:
        """Let the next one have it; SQLite has closed its file before."""
        if self._file is not None and _held.get(self._file) is self:
            del _held[self._file]
        if self._bears_the_name(self._lock_fd):
            self._lock.unlink(missing_ok=True)
        if self._fd >= 0:
            os.close(self._fd)
        os.close(self._lock_fd)

    def close_to_others(self) -> None:
        """Have the catalogue, which it has turned out to be, be for its owner alone."""
        close_to_others(self.path, self._fd)
        for ending in SIDECARS:
            path = self._beside(ending)
            if look_at(path) is not None:
                fd = open_existing(path)
                try:
                    close_to_others(path, fd)
                finally:
                    os.close(fd)

    def free_page_damage(self) -> Iterator[Damage]:
        """As ``holdfast.catalogue.damage`` says; a descriptor of its own must not be closed."""
        return free_page_damage(self.path, self._fd)

    def remove_new(self) -> None:
        """Take away what was made in vain; what was there before is somebody's."""
        for ending in self._made:
            self._beside(ending).unlink(missing_ok=True)

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)

    def _open_database(self) -> int:
        for ending in SIDECARS:
            refuse_shared(self._beside(ending))
        found = look_at(self.path)
        if found is None:
            absent = [one for one in SIDECARS if look_at(self._beside(one)) is None]
            fd = create(self.path)
            self.is_new = True
            self._made = ("", *absent)
            found = os.fstat(fd)
            self._file = (found.st_dev, found.st_ino)
            _held[self._file] = self
        else:
            file = (found.st_dev, found.st_ino)
            if _held.setdefault(file, self) is not self:
                raise self._held_by(str(os.getpid()))
            self._file = file
            fd = open_existing(self.path)
        try:
            self._lock_database(fd, found)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _lock_database(self, fd: int, found: os.stat_result) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._held_by(_holder_of(found)) from error
        opened = os.fstat(fd)
        if (opened.st_dev, opened.st_ino) != self._file:
            raise self._replaced()
        head = os.pread(fd, len(MAGIC), 0)
        if head and head != MAGIC:
            raise ConfigurationError(f"{self._name}: is not a catalogue (not a SQLite database)")

    def _lock_name(self) -> int:
        """Lock the lock file; whoever releases removes it, so look again what bears the name."""
        while True:
            fd = self._open_lock()
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._bears_the_name(fd):
                    close_to_others(self._lock, fd)
                    os.ftruncate(fd, 0)
                    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
                    return fd
            except BlockingIOError as error:
                holder = os.pread(fd, _LOCK_TEXT_MAX, 0).decode(errors="replace").strip()
                os.close(fd)
                raise self._held_by(holder) from error
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def _open_lock(self) -> int:
        try:
            return create(self._lock)
        except FileExistsError:
            refuse_shared(self._lock)
        try:
            fd = open_existing(self._lock, os.O_RDWR)
        except FileNotFoundError:  # its owner left this very moment
            return self._open_lock()
        text = os.pread(fd, _LOCK_TEXT_MAX + 1, 0)
        if text.strip().isdigit() or not text:
            return fd
        os.close(fd)
        raise OddFile(
            f"{self._lock}: is not the lock of a catalogue and was not touched; move it away"
        )

    def _held_by(self, holder: str) -> CatalogueHeld:
        who = f"process {holder}" if holder else "another process"
        return CatalogueHeld(
            f"{self._name}: the catalogue is in use by {who}; wait for it to end, or end it"
        )

    def _bears_the_name(self, fd: int) -> bool:
        try:
            return os.path.samestat(self._lock.lstat(), os.fstat(fd))
        except FileNotFoundError:
            return False


def _file_at(path: str | Path) -> _File | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError as error:  # a link that leads to itself
        raise ConfigurationError(f"{path}: is a symbolic link that leads to itself") from error


def _holder_of(file: os.stat_result) -> str:
    """The process that has the ``flock`` of a file, where the system tells."""
    wanted = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        words = line.split()
        if "FLOCK" in words and wanted in words and "->" not in words:
            return words[4]
    return ""


def check_place(path: Path) -> None:
    """Refuse what cannot be a catalogue, by looking only."""
    try:
        real = _resolved(path)
        if not real.parent.is_dir():
            raise EnvironmentUnavailable(f"{path}: there is no folder {path.parent}; create it")
        look_at(real)
    except OSError as error:
        raise EnvironmentUnavailable(f"{path}: {error.strerror}") from error
