"""The container's first process: starts memcached and Swift's proxy, and copies their log out.

Ends as soon as one of them does, so that the container never looks alive without serving.
"""

# ruff: noqa: INP001 - a program of the image, and no module

import contextlib
import os
import pwd
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import FrameType

LOG = Path("/dev/log")
CONFIG = "/etc/swift/proxy-server.conf"
PROGRAMS = (
    ("memcached", "-u", "swift", "-l", "127.0.0.1", "-p", "11211", "-m", "32"),
    ("swift-proxy-server", CONFIG),
)


def log_socket() -> socket.socket:
    """Where Swift's loggers write."""
    LOG.unlink(missing_ok=True)
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind(str(LOG))
    LOG.chmod(0o666)
    return log


def copy_until_one_ends(log: socket.socket, ended: int) -> None:
    """Copy log lines to standard error until a child ends or a signal asks to."""
    while True:
        ready, _, _ = select.select([log.fileno(), ended], [], [])
        if log.fileno() in ready:
            sys.stderr.buffer.write(log.recv(65536).rstrip(b"\x00") + b"\n")
            sys.stderr.buffer.flush()
        if ended in ready:
            return


def noted(number: int, frame: FrameType | None) -> None:
    """Python writes the signal's number to the wake-up descriptor; that is all that is needed."""


def main() -> int:
    """Run until one of the programs ends; its exit status."""
    owner = pwd.getpwnam("swift")
    for name in (CONFIG, "/etc/swift/s3-secret"):
        os.chown(name, owner.pw_uid, owner.pw_gid)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, noted)
    log = log_socket()
    children = [subprocess.Popen(command) for command in PROGRAMS]  # noqa: S603 - fixed commands
    copy_until_one_ends(log, woken)
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    return max(abs(child.wait()) for child in children)


if __name__ == "__main__":
    sys.exit(main())
