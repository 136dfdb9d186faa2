"""QEMU's programs for tests of the data plane: skipped in one line where they are missing."""

import importlib.util
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def require_plane() -> None:
    """Skip the test where a data plane cannot work; under CI that is a failure."""
    programs = ("qemu-storage-daemon", "qemu-img", "qemu-nbd", "setpriv")
    missing = [program for program in programs if shutil.which(program) is None]
    missing += [name for name in ("nbd", "qemu") if importlib.util.find_spec(name) is None]
    if not missing:
        return
    message = f"no data plane here: {', '.join(missing)} missing"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def make_image(path: Path, size_bytes: int, form: str = "raw") -> Path:
    """An empty disk image; a raw one without a single block in it."""
    if form == "raw":
        path.touch()
        os.truncate(path, size_bytes)
        return path
    command = ["qemu-img", "create", "-q", "-f", form, str(path), str(size_bytes)]
    subprocess.run(command, check=True, timeout=60)
    return path


class NbdServer:
    """A running qemu-nbd, which stands for a storage on the network."""

    def __init__(self, image: Path, socket: Path) -> None:
        self.socket = socket
        self._image = image
        self._pid_file = socket.with_suffix(".pid")
        self._pid = 0
        self.start()

    def start(self) -> None:
        """Start it; returns when it listens."""
        self.socket.unlink(missing_ok=True)
        command = ["qemu-nbd", "--fork", "--persistent", "--shared=0", "--format=raw"]
        command += [f"--socket={self.socket}", f"--pid-file={self._pid_file}", str(self._image)]
        subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
        self._pid = int(self._pid_file.read_text())

    def send(self, number: signal.Signals) -> None:
        """Send it a signal: stop, continue, kill."""
        os.kill(self._pid, number)

    def end(self) -> None:
        """Kill it, if it still runs; afterwards it is gone, and its pid file locked no more."""
        if self._pid:
            process = os.pidfd_open(self._pid)
            self.send(signal.SIGKILL)
            select.select([process], [], [])
            os.close(process)
            self._pid = 0


@contextmanager
def nbd_server(folder: Path, size_bytes: int) -> Iterator[NbdServer]:
    """A server of one raw disk."""
    server = NbdServer(make_image(folder / "served.raw", size_bytes), folder / "served.sock")
    try:
        yield server
    finally:
        server.end()
