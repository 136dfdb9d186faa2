"""One owner per catalogue file: an ``flock`` on a file beside it, free when its owner is dead."""

import fcntl
import os
from pathlib import Path

from holdfast.catalogue.port import CatalogueHeld

_HOLDER_BYTES = 16


class Ownership:
    """The right to use a catalogue file, from construction to ``release``.

    The lock file stays when the lock is released: to remove it could take it from the next owner.
    A link and the file it leads to are one catalogue.
    """

    def __init__(self, path: Path) -> None:
        real = path.resolve()
        self.lock_path = real.with_name(real.name + ".lock")
        self._fd = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sign(str(os.getpid()))
        except BlockingIOError as error:
            holder = os.pread(self._fd, _HOLDER_BYTES, 0).decode(errors="replace").strip()
            os.close(self._fd)
            who = f"process {holder}" if holder else "another process"
            raise CatalogueHeld(
                f"{path}: the catalogue is in use by {who}; wait for it to end, or end it"
            ) from error
        except OSError:
            os.close(self._fd)
            raise

    def release(self) -> None:
        """Let the next one have it."""
        self._sign("")
        os.close(self._fd)

    def _sign(self, holder: str) -> None:
        """Write in place, always as much: this cannot need more disk than there is."""
        os.pwrite(self._fd, f"{holder:>{_HOLDER_BYTES - 1}}\n".encode(), 0)
