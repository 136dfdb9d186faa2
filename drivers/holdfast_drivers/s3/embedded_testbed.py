"""The embedded testbed: SeaweedFS as a process of its own, for a machine without containers."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.contract.testbed import BackendIdentity, Fault, TestbedKind
from holdfast_drivers.s3.testbed import (
    Administrator,
    Credentials,
    S3Testbed,
    answering,
    data_folder,
    new_credentials,
    prepare,
)
from holdfast_drivers.servers.fault_proxy import FaultProxy
from holdfast_drivers.servers.run_folders import claim_folder, sweep_run_folders
from holdfast_drivers.servers.seaweedfs import weed_program, weed_users

_SOCKETS: Final = {"master": 1, "volume": 3, "filer": 5, "s3": 7}
"""Where no setting can put them elsewhere: by service, which of the ports they are named after."""
_READY_S: Final = 60.0
_POLL_S: Final = 0.05
_PLACES: Final = 250
_PORTS_FROM: Final = 23000
_PORTS_EACH: Final = 16
_SPACE_MIN: Final = "1"
"""Per cent of the disk that must be free; the server's own default."""
_SPACE_NEVER: Final = "1EiB"


class Place(msgspec.Struct, frozen=True):
    """Where one server listens: an address and ports that no other server of this machine has.

    Two servers with equal ports find each other by sockets that are named after them, whatever
    their addresses are.
    """

    number: int

    @property
    def address(self) -> str:
        """The server's address."""
        return f"127.53.5.{self.number}"

    def port(self, offset: int) -> int:
        """One of the server's ports."""
        return _PORTS_FROM + _PORTS_EACH * self.number + offset

    @property
    def endpoint(self) -> str:
        """Where its S3 API is."""
        return f"http://{self.address}:{self.port(6)}"


class WeedServer:
    """A SeaweedFS process, which dies with this one."""

    def __init__(self, program: str, folder: Path, place: Place) -> None:
        self._program = program
        self._folder = folder
        self.place = place
        self._space_min = _SPACE_MIN
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and return once its S3 API answers.

        Raises:
            EnvironmentUnavailable: it ended, or did not become ready.
        """
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_dying_with_parent(),
                self._program,
                *self._arguments(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={
                    "PATH": os.environ.get("PATH", ""),
                    "HOME": str(self._folder),
                    "TMPDIR": str(self._folder),
                },
            )
        await self._ready()

    def _arguments(self) -> tuple[str, ...]:
        place, folder = self.place, self._folder
        ports = {
            "master.port": 0,
            "master.port.grpc": 1,
            "volume.port": 2,
            "volume.port.grpc": 3,
            "filer.port": 4,
            "filer.port.grpc": 5,
            "s3.port": 6,
            "s3.port.grpc": 7,
        }
        return (
            "-logtostderr=true",
            f"-config_dir={folder}",
            "server",
            f"-dir={folder / 'data'}",
            f"-ip={place.address}",
            f"-ip.bind={place.address}",
            "-master.electionTimeout=1s",  # there is nobody else to elect
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=256",
            "-volume.max=0",
            f"-volume.minFreeSpace={self._space_min}",
            "-volume.preStopSeconds=1",
            "-filer",
            f"-filer.localSocket={folder / 'filer.sock'}",
            "-s3",
            f"-s3.localSocket={folder / 's3.sock'}",
            f"-s3.config={folder / 'identities.json'}",
            "-s3.allowDeleteBucketNotEmpty=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            *(f"-{name}={place.port(offset)}" for name, offset in ports.items()),
        )

    async def _ready(self) -> None:
        deadline = runtime().now() + _READY_S
        while runtime().now() < deadline:
            if self._process is None or self._process.returncode is not None:
                break
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(self.place.address, self.place.port(6))
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(_POLL_S)
        tail = (self._folder / "log").read_text(errors="replace").splitlines()[-5:]
        raise EnvironmentUnavailable(f"weed does not become ready: {' | '.join(tail)}")

    async def kill(self) -> None:
        """Kill it at once."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            for service, offset in _SOCKETS.items():
                socket = Path(f"/tmp/seaweedfs-{service}-grpc-{self.place.port(offset)}.sock")  # noqa: S108 - its own choice
                await runtime().run_blocking(socket.unlink, missing_ok=True)

    async def restart(self, *users: Credentials) -> None:
        """Kill it, and start it again for these users, the administrator first."""
        await self.kill()
        write_identities(self._folder, *users)
        await self.start()

    def pause(self) -> None:
        """Freeze it."""
        self._signal(signal.SIGSTOP)

    def unpause(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    async def take_for_full(self, *, full: bool) -> None:
        """Have it take the disk for full, or not any more, since the disk is not ours to fill."""
        await self.kill()
        self._space_min = _SPACE_NEVER if full else _SPACE_MIN
        await self.start()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


class EmbeddedTestbed(S3Testbed):
    """SeaweedFS on an address of this machine."""

    kind = TestbedKind.EMBEDDED
    faults = frozenset({*S3Testbed.faults, Fault.FULL, Fault.REVOKED})

    def __init__(
        self,
        server: WeedServer,
        proxy: FaultProxy,
        client: Any,
        users: tuple[Credentials, Credentials],
        version: str,
    ) -> None:
        self._administrator, user = users
        super().__init__(proxy, client, user)
        self._server = server
        self.identity = BackendIdentity(
            vendor="SeaweedFS",
            product="SeaweedFS S3",
            version=version,
            detail="a process of the testbed, one volume server, leveldb filer",
        )

    async def begin(self, fault: Fault) -> None:
        """Freeze or kill the process, let it find no space, or forget the driver's user."""
        match fault:
            case Fault.PAUSED:
                self._server.pause()
            case Fault.KILLED:
                await self._server.kill()
            case Fault.FULL:
                await self._server.take_for_full(full=True)
            case Fault.REVOKED:
                # The driver's user is no more; the server reads its users when it starts.
                await self._server.restart(self._administrator)
                await answering(self._client)
            case _:
                await super().begin(fault)

    async def end(self, fault: Fault) -> None:
        match fault:
            case Fault.PAUSED:
                self._server.unpause()
            case Fault.KILLED:
                await self._server.start()
            case Fault.FULL:
                await self._server.take_for_full(full=False)
            case _:
                await self._server.restart(self._administrator, self._user)
        await answering(self._client)


@asynccontextmanager
async def embedded_testbed(run: str) -> AsyncIterator[EmbeddedTestbed]:
    """A server of its own for this run, in a temporary folder that is named after it.

    Raises:
        EnvironmentUnavailable: there is no ``weed`` program, or it does not start.
    """
    program = str(weed_program())
    version = await _version(program)
    folder = data_folder() / f"holdfast-weed-{_name(run)}"
    admin, user = new_credentials("admin"), new_credentials("driver")
    with _place() as place:
        await runtime().run_blocking(sweep_run_folders, every=False)
        await runtime().run_blocking(_prepare_folder, folder, admin, user)
        server = WeedServer(program, folder, place)
        try:
            await server.start()
            async with (
                Administrator(place.endpoint, admin).open() as client,
                FaultProxy(upstream=(place.address, place.port(6))) as proxy,
            ):
                await answering(client)
                await prepare(client)
                yield EmbeddedTestbed(server, proxy, client, (admin, user), version)
        finally:
            await server.kill()
            await runtime().run_blocking(shutil.rmtree, folder, ignore_errors=True)


async def _version(program: str) -> str:
    process = await asyncio.create_subprocess_exec(
        program, "version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await process.communicate()
    words = output.decode(errors="replace").split()
    return next((word for word in words if word.replace(".", "").isdigit()), "unknown")


def _dying_with_parent() -> tuple[str, ...]:
    return (shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL", "--")


def _prepare_folder(folder: Path, admin: Credentials, user: Credentials) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(mode=0o700, parents=True)
    folder.chmod(0o700)
    claim_folder(folder)
    write_identities(folder, admin, user)


def write_identities(folder: Path, *users: Credentials) -> None:
    """Say who may use the server: the first as administrator, the others as writers."""
    path = folder / "identities.json"
    path.touch(mode=0o600)
    path.write_bytes(weed_users(*(user.pair for user in users)))


@contextlib.contextmanager
def _place() -> Iterator[Place]:
    """A place that no other testbed of this machine has, for as long as this process lives."""
    folder = Path(tempfile.gettempdir()) / f"holdfast-weed-places-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in range(1, _PLACES):
        fd = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            continue
        try:
            yield Place(number)
        finally:
            os.close(fd)
        return
    raise EnvironmentUnavailable("too many embedded S3 servers run on this machine")


def _name(run: str) -> str:
    return hashlib.blake2b(run.encode(), digest_size=8).hexdigest()
