# ruff: noqa: INP001 - it runs in an image, where nothing imports it
"""The first process of the container: imports Swift once, and forks its servers.

Five interpreters that import the same packages cost seconds; one that forks costs them once. It is
also the receiver of ``/dev/log``, which it copies to standard error, so that the engine keeps the
servers' log. SIGUSR1 begins the proxy and memcached anew: with other users, and without old tokens.
"""

import importlib
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

SERVERS = {
    "account-server": "/etc/swift/account-server.conf",
    "container-server": "/etc/swift/container-server.conf",
    "object-server": "/etc/swift/object-server.conf",
    "proxy-server": "/etc/swift/proxy-server.conf.d",
}
DAEMON = "object-updater"
"""Carries what happened to objects into the lists of their containers, where a server could not."""
RENEWED = ("memcached", "proxy-server")
PRELOADED = (
    "swift.common.wsgi",
    "swift.account.server",
    "swift.container.server",
    "swift.obj.server",
    "swift.obj.updater",
    "swift.proxy.server",
    "swift.common.middleware.s3api.s3api",
    "swift.common.middleware.slo",
    "swift.common.middleware.dlo",
    "swift.common.middleware.bulk",
    "swift.common.middleware.tempauth",
    "swift.common.middleware.tempurl",
    "swift.common.middleware.versioned_writes",
)
LOG = "/dev/log"
LOG_BYTES = 1 << 16
MEMCACHED = ["memcached", "-u", "nobody", "-m", "32", "-l", "127.0.0.1", "-p", "11211"]

children: dict[int, str] = {}


def serve(name: str) -> None:
    """Be one of Swift's servers, in a process of its own, as who owns the disk's folder."""
    become_owner()
    # It was imported before the first fork; only the image has it.
    run_wsgi = importlib.import_module("swift.common.wsgi").run_wsgi
    os._exit(int(run_wsgi(SERVERS[name], name)))


def update() -> None:
    """Be the daemon, in a process of its own, as who owns the disk's folder."""
    become_owner()
    # Both were imported before the first fork; only the image has them.
    updater = importlib.import_module("swift.obj.updater").ObjectUpdater
    settings = importlib.import_module("swift.common.utils").readconf
    updater(settings(SERVERS["object-server"], DAEMON)).run_forever()


def become_owner() -> None:
    """Give up the rights of root for those of the disk's folder."""
    owner = Path("/srv/node").stat()
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def cache() -> None:
    """Be memcached, where the proxy keeps its tokens."""
    os.execvp(MEMCACHED[0], MEMCACHED)  # noqa: S606 - there is no shell to start it with


def start(name: str) -> None:
    """Fork one server."""
    pid = os.fork()
    if pid:
        children[pid] = name
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    roles: dict[str, Callable[[], None]] = {"memcached": cache, DAEMON: update}
    roles.get(name, lambda: serve(name))()


def end(names: tuple[str, ...]) -> None:
    """Kill servers and wait until they are gone."""
    for pid, name in tuple(children.items()):
        if name in names:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            del children[pid]


def reap() -> None:
    """End with a server that ended by itself: without it nothing works."""
    for pid, name in tuple(children.items()):
        child, status = os.waitpid(pid, os.WNOHANG)
        if child:
            sys.exit(f"{name} ended with status {os.waitstatus_to_exitcode(status)}")


def make_places() -> None:
    """Make the folder of the only disk."""
    disk = Path("/srv/node/d1")
    disk.mkdir(parents=True, exist_ok=True)
    owner = disk.parent.stat()
    for folder in (disk, Path("/var/cache/swift")):
        os.chown(folder, owner.st_uid, owner.st_gid)
    Path(LOG).unlink(missing_ok=True)


def main() -> None:
    """Start everything, then copy the log until a signal comes."""
    make_places()
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind(LOG)
    Path(LOG).chmod(0o666)
    log.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD):
        signal.signal(number, _noticed)
    start("memcached")
    for module in PRELOADED:
        importlib.import_module(module)
    for name in (*SERVERS, DAEMON):
        start(name)
    with selectors.DefaultSelector() as selector:
        selector.register(log, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is log:
                    os.write(2, log.recv(LOG_BYTES).rstrip(b"\0\n") + b"\n")
                else:
                    obey(os.read(woken, 64))


def obey(signals: bytes) -> None:
    """Do what the signals ask for."""
    if signal.SIGTERM in signals or signal.SIGINT in signals:
        end(tuple(set(children.values())))
        sys.exit(0)
    if signal.SIGUSR1 in signals:
        end(RENEWED)
        for name in RENEWED:
            start(name)
    reap()


def _noticed(_number: int, _frame: FrameType | None) -> None:
    """Let the signal's number be written to the pipe that ``main`` reads."""


if __name__ == "__main__":
    main()
