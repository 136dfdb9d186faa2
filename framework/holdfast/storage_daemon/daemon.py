"""One long-lived qemu-storage-daemon: what a host's own QEMU is in a data centre.

It runs in the host's network namespace, is told everything over QMP (so that no secret is in its
arguments), and is killed by the kernel when the process that started it ends.
"""

import asyncio
import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import Any, Final

from qemu.qmp import EventListener, ExecuteError, QMPClient, QMPError

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.contract.testbed import HostPlace
from holdfast.files import mutations
from holdfast.storage_daemon.command_errors import DaemonLost, DaemonRefused

PROGRAM: Final = "qemu-storage-daemon"
_START_S: Final = 10.0
_LEAVE_S: Final = 2.0
_TAIL_BYTES: Final = 600
_EXPORT_DELETED: Final = "BLOCK_EXPORT_DELETED"

# At its lower levels this logger shows every message, and secrets are among them.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


class StorageDaemon:
    """One running daemon; made by ``start_daemon``."""

    def __init__(
        self, process: asyncio.subprocess.Process, client: QMPClient, folder: Path
    ) -> None:
        self._process = process
        self._client = client
        self._folder = folder
        self._deleted = EventListener(_EXPORT_DELETED)
        client.register_listener(self._deleted)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def export_path(self) -> str:
        """The unix socket on which the exports are served."""
        return str(self._folder / "nbd")

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """The tasks that keep the connection, so that they can be told from somebody else's."""
        client = self._client
        tasks = (client._reader_task, client._writer_task)  # noqa: SLF001 - it has no list of them  # pyright: ignore[reportPrivateUsage]
        return frozenset(task for task in tasks if isinstance(task, asyncio.Task))

    async def execute(
        self, command: str, arguments: dict[str, Any], *, deadline_s: float
    ) -> object:
        """What a QMP command returns.

        Raises:
            DaemonRefused: it answered with an error.
            DaemonLost: it is gone, or silent for ``deadline_s`` and therefore killed.
        """
        try:
            async with asyncio.timeout(deadline_s):
                return await self._client.execute(command, arguments)
        except ExecuteError as problem:
            refused = str(problem)
        except TimeoutError:
            await self.kill()
            raise DaemonLost(f"no answer to {command} within {deadline_s:g} s") from None
        except (QMPError, OSError, EOFError):
            await self.kill()
            raise DaemonLost(f"{PROGRAM} ended: {self._tail()}") from None
        except asyncio.CancelledError:
            # What was begun is not known to be over, and its answer would be nobody's.
            await self.kill()
            raise
        # Out here, because that error carries the arguments, and a secret may be among them.
        raise DaemonRefused(refused)

    async def export_gone(self, export: str, *, deadline_s: float) -> None:
        """Return when an export that is being deleted is gone."""
        try:
            async with asyncio.timeout(deadline_s):
                async for event in self._deleted:
                    if event["data"]["id"] == export:  # type: ignore[index] # a QMP event is JSON  # pyright: ignore[reportIndexIssue, reportArgumentType, reportCallIssue]
                        return
        except TimeoutError:
            await self.kill()
            raise DaemonLost(f"an export did not end within {deadline_s:g} s") from None

    async def kill(self) -> None:
        """End the process at once, as a power cut ends a host, and clear up behind it."""
        await _end(self._process, self._client)

    async def quit(self) -> None:
        """Let the daemon close what is open, and end it; kill it when that takes too long."""
        with contextlib.suppress(QMPError, OSError, EOFError, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._client.execute("quit")
                await self._process.wait()
        await self.kill()

    def _tail(self) -> str:
        return _tail_of(self._folder / "log")


async def start_daemon(place: HostPlace, folder: Path, name: str) -> StorageDaemon:
    """Start a daemon where a host is, with sockets and log in a private folder of its own.

    It must be called in the thread that lives as long as the process: the kernel ties the
    daemon's life to that thread.

    Raises:
        EnvironmentUnavailable: QEMU is not installed, or the daemon does not start.
    """
    mutations.mkdir(folder)
    client = QMPClient(name)
    await client.start_server(str(folder / "qmp"))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *_arguments(place, folder), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        called = await _called(client, process)
    except BaseException:
        await _end(process, client)
        raise
    if not called:
        await _end(process, client)
        raise EnvironmentUnavailable(
            f"{PROGRAM} for host {name} does not start: {_tail_of(folder / 'log')}"
        )
    return StorageDaemon(process, client, folder)


async def _called(client: QMPClient, process: asyncio.subprocess.Process) -> bool:
    """Whether the daemon connects to us, as against ending or being silent."""
    accepting = asyncio.ensure_future(client.accept())
    ended = asyncio.ensure_future(process.wait())
    both: set[asyncio.Task[Any]] = {accepting, ended}
    try:
        await asyncio.wait(both, timeout=_START_S, return_when=asyncio.FIRST_COMPLETED)
        return accepting.done() and accepting.exception() is None
    finally:
        for one in both:
            one.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def _end(process: asyncio.subprocess.Process, client: QMPClient) -> None:
    """Kill the process and clear up behind it."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    with contextlib.suppress(QMPError, OSError, EOFError):
        await client.disconnect()


def _arguments(place: HostPlace, folder: Path) -> list[str]:
    inside = ("ip", "netns", "exec", place.network_namespace) if place.network_namespace else ()
    for program in ("setpriv", *inside[:1], PROGRAM):
        if shutil.which(program) is None:
            raise EnvironmentUnavailable(f"{program} is not installed; {_HINTS[program]}")
    return [
        *("setpriv", "--pdeathsig", "KILL", "--"),
        *inside,
        PROGRAM,
        *("--chardev", f"socket,id=monitor,path={folder / 'qmp'}"),
        *("--monitor", "chardev=monitor"),
        *("--nbd-server", f"addr.type=unix,addr.path={folder / 'nbd'},max-connections=0"),
    ]


_HINTS: Final = {
    "setpriv": "it is in the package util-linux",
    "ip": "it is in the package iproute2",
    PROGRAM: "install the package qemu-system-common (and qemu-block-extra), or qemu-img elsewhere",
}


def _tail_of(log: Path) -> str:
    """The end of what the daemon said, in one line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            text = " ".join(file.read().decode(errors="replace").split())
    except OSError:
        text = ""
    return text or "it said nothing"
