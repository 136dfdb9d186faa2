"""The container testbed: MinIO where this machine has it, else SeaweedFS, in a container."""

import contextlib
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from holdfast.concurrency.runtime import runtime
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BackendIdentity, Fault, Inspector, TestbedKind
from holdfast_drivers.s3.config import prefix_of
from holdfast_drivers.s3.inspector import S3Inspector
from holdfast_drivers.s3.testbed import (
    BUCKET,
    Administrator,
    Credentials,
    S3Testbed,
    answering,
    prepare,
    session_of,
)
from holdfast_drivers.servers.bounded_disk import BoundedDisk, bounded_disk
from holdfast_drivers.servers.container_faults import begin_fault, end_fault
from holdfast_drivers.servers.fault_proxy import FaultProxy
from holdfast_drivers.servers.minio_source import FoundMinio, find_minio
from holdfast_drivers.servers.owner_process import state_folder
from holdfast_drivers.servers.running_servers import Server, run_server
from holdfast_drivers.servers.seaweedfs import (
    restart_after_full,
    weed_container,
    weed_mount,
    weed_version,
)
from holdfast_drivers.servers.server_specs import ServerSpec, Volume

PORT: Final = 9000
_DATA: Final = "/data"
_DISK_BYTES: Final = 1 << 30
_WEED: Final = "SeaweedFS"
_JOINS: Final = ".minio.sys/multipart"


class ContainerTestbed(S3Testbed):
    """An S3 server in a container.

    Args:
        server: the container.
        disk: where it keeps everything.
    """

    kind = TestbedKind.CONTAINER
    faults = S3Testbed.faults | {Fault.FULL}

    def __init__(
        self,
        server: Server,
        disk: BoundedDisk,
        proxy: FaultProxy,
        client: Any,
        user: Credentials,
        *,
        identity: BackendIdentity,
    ) -> None:
        super().__init__(proxy, client, user)
        self._server = server
        self._disk = disk
        self.joins: Path | None = None
        """Where MinIO keeps unfinished multipart uploads, of which its API tells only to who knows
        their names; nothing for other servers.
        """
        self.identity = identity

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Reads the prefix at the server, and MinIO's unfinished uploads on its disk."""
        prefix = prefix_of(self.config(role, namespace))
        return S3Inspector(self._client, BUCKET, prefix, self._known, unlisted=self._unlisted)

    def _unlisted(self) -> list[str]:
        if self.joins is None or not self.joins.is_dir():
            return []
        return [
            f"multipart/{found.name[:16]}/{upload.name}"
            for found in self.joins.iterdir()
            for upload in found.iterdir()
        ]

    async def begin(self, fault: Fault) -> None:
        """Freeze or kill the container, or fill its disk."""
        if fault is Fault.FULL:
            await self._disk.fill()
        else:
            await begin_fault(self._server, fault)

    async def end(self, fault: Fault) -> None:
        if fault is not Fault.FULL:
            await end_fault(self._server, fault)
        elif self.identity.vendor == _WEED:
            await restart_after_full(self._server, self._disk)
        else:
            await self._disk.free()
        await answering(self._client)  # MinIO asks its disk only now and then


@asynccontextmanager
async def container_testbed(run: str) -> AsyncIterator[ContainerTestbed]:
    """A server of its own for this run; one that the run has already is used on.

    Raises:
        EnvironmentUnavailable: there is no engine, or no server can be started.
    """
    admin, user = _credentials(run, "admin"), _credentials(run, "driver")
    found = await find_minio()
    tools = () if found.image else (weed_mount(),)
    async with bounded_disk("s3", run, _DISK_BYTES, tools) as disk:
        volume = disk.at(_DATA)
        spec = _minio(found, volume, admin) if found.image else _weed(volume, admin, user)
        async with (
            run_server(spec, run, _ready) as server,
            _behind_proxy(server, disk, found, (admin, user)) as testbed,
        ):
            testbed.joins = await disk.folder() / _JOINS if found.image else None
            yield testbed


@asynccontextmanager
async def _behind_proxy(
    server: Server,
    disk: BoundedDisk,
    found: FoundMinio,
    credentials: tuple[Credentials, Credentials],
) -> AsyncIterator[ContainerTestbed]:
    admin, user = credentials
    endpoint = f"http://{server.address}:{PORT}"
    known = admin
    if found.image:
        # MinIO gives users only through an encrypted interface of its own; so the driver has the
        # server's own credentials, and the inspector those of a session.
        user = admin
        known = await session_of(endpoint, admin)
    async with (
        Administrator(endpoint, known).open() as client,
        FaultProxy(upstream=(server.address, PORT)) as proxy,
    ):
        await answering(client)
        await prepare(client)
        identity = await _identity(server, found)
        yield ContainerTestbed(server, disk, proxy, client, user, identity=identity)


def _minio(found: FoundMinio, volume: Volume, admin: Credentials) -> ServerSpec:
    return ServerSpec(
        backend="s3-minio",
        image=str(found.image),
        entrypoint=("minio",),
        command=("server", _DATA, "--address", f":{PORT}", "--console-address", ":9001"),
        environment={
            "MINIO_ROOT_USER": admin.access_key,
            "MINIO_ROOT_PASSWORD": admin.secret_key,
            "MINIO_UPDATE": "off",
            "MINIO_BROWSER": "off",
        },
        volumes=(volume,),
    )


def _weed(volume: Volume, admin: Credentials, user: Credentials) -> ServerSpec:
    return weed_container("s3-weed", volume, PORT, admin.pair, user.pair)


async def _ready(server: Server) -> bool:
    """Whether the port is open; that it stores things is asked once there are credentials."""
    return await runtime().run_blocking(_is_open, server.address)


def _is_open(address: str) -> bool:
    with socket.create_connection((address, PORT), timeout=2):
        return True


async def _identity(server: Server, found: FoundMinio) -> BackendIdentity:
    if not found.image:
        return BackendIdentity(
            vendor=_WEED,
            product="SeaweedFS S3",
            version=await weed_version(server),
            detail=f"in a container, since MinIO was not there: {found.detail}",
        )
    told = (await server.exec(("minio", "--version"))).stdout.decode(errors="replace")
    first = told.strip().partition("\n")[0] or "of an unknown version"
    return BackendIdentity(
        vendor="MinIO",
        product="MinIO",
        version=first.removeprefix("minio version "),
        detail=f"SHA-256 of the binary: {found.sha256}" if found.sha256 else found.detail,
    )


def _credentials(run: str, name: str) -> Credentials:
    """The same for every worker of a run, so that a server can be used on; else unpredictable."""
    digest = _digest(run, name)
    return Credentials(access_key=f"{name}{digest[:8]}", secret_key=digest[8:48])


def _digest(run: str, name: str) -> str:
    seed = state_folder("s3") / "seed"
    if not seed.exists():
        fresh = seed.with_name(f"seed.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(f"{runtime().random.getrandbits(256):064x}")
        with contextlib.suppress(FileExistsError):
            os.link(fresh, seed)
        fresh.unlink()
    key = bytes.fromhex(seed.read_text())
    return hashlib.blake2b(f"{run}\0{name}".encode(), key=key).hexdigest()
