"""One owner per catalogue file: an ``flock`` on a file beside it, free when its owner is dead."""

import fcntl
import os
from pathlib import Path

from holdfast.catalogue.port import CatalogueHeld


class Ownership:
    """The right to use a catalogue file, from construction to ``release``.

    A link and the file it leads to are one catalogue. The lock file goes with its owner; one that
    a killed owner left is taken over.
    """

    def __init__(self, path: Path) -> None:
        real = path.resolve()
        self._lock = real.with_name(real.name + ".lock")
        self._fd = self._open(path)
        # Whoever releases removes the file: what was locked may not be what bears the name now.
        while not self._bears_the_name():
            os.close(self._fd)
            self._fd = self._open(path)
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Let the next one have it."""
        self._lock.unlink(missing_ok=True)
        os.close(self._fd)

    def _open(self, path: Path) -> int:
        fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
            os.close(fd)
            who = f"process {holder}" if holder else "another process"
            raise CatalogueHeld(
                f"{path}: the catalogue is in use by {who}; wait for it to end, or end it"
            ) from error
        return fd

    def _bears_the_name(self) -> bool:
        try:
            return os.path.samestat(self._lock.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            return False
