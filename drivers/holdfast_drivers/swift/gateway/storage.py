"""The S3 server under the gateway: a genuine MinIO where there is one, else SeaweedFS."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers import run_folders
from holdfast_drivers.servers.bounded_disk import BoundedDisk, bounded_disk
from holdfast_drivers.servers.minio_source import FoundMinio, MinioSource, find_minio
from holdfast_drivers.servers.run_folders import make_run_folder
from holdfast_drivers.servers.running_servers import (
    ReadyProbe,
    Server,
    ServerFile,
    ServerSpec,
    Volume,
    run_server,
    until_ready,
)
from holdfast_drivers.servers.seaweedfs import (
    restart_after_full,
    weed_container,
    weed_mount,
    weed_version,
)
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.s3 import Bucket, S3Error
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.signing import Credentials

_FOLDER: Final = "swift-gateway"
BACKEND = "swift-gateway-s3"
DISK_BYTES = 1 << 30
MINIO_PORT = 9000
_DATA = "/data"
_USER = "holdfast"
_WEED = "SeaweedFS"
_WEED_PORT = 8333
_SECRET = "/etc/holdfast-s3-secret"  # noqa: S105 - where it is, not what it is
_TIMEOUT_S = 2.0
_PROBE: Final = "ready"


class S3Storage(msgspec.Struct, frozen=True, kw_only=True):
    """A running S3 server and who may do everything there."""

    server: Server
    disk: BoundedDisk
    product: str
    version: str
    endpoint: str
    access_key: str
    secret_key: str
    answers: ReadyProbe

    async def start(self) -> None:
        """Start it again, and return once it answers: the gateway ends where it finds no S3.

        Raises:
            EnvironmentUnavailable: it does not become ready in time.
        """
        await self.server.start()
        await until_ready(self.server, self.answers)

    async def free(self) -> None:
        """Give the full disk its space back, and have the server write to it again.

        Raises:
            EnvironmentUnavailable: it does not become ready in time.
        """
        if self.product != _WEED:
            await self.disk.free()
            return
        await restart_after_full(self.server, self.disk)
        await until_ready(self.server, self.answers)


@asynccontextmanager
async def s3_storage(run: str) -> AsyncIterator[S3Storage]:
    """MinIO, or SeaweedFS where no MinIO is on this machine.

    Raises:
        EnvironmentUnavailable: neither is here.
    """
    try:
        found = await find_minio()
        starting = minio(run, found) if found.image is not None else seaweedfs(run)
        async with starting as storage:
            yield storage
    finally:
        await runtime().run_blocking(shutil.rmtree, run_folder(run), ignore_errors=True)


@asynccontextmanager
async def minio(run: str, found: FoundMinio) -> AsyncIterator[S3Storage]:
    """MinIO, from where it was found."""
    secret = kept_secret(run, "s3")
    ready = _serving(MINIO_PORT, secret)
    async with (
        bounded_disk(BACKEND, run, DISK_BYTES) as disk,
        run_server(_minio_spec(found, secret, disk.at(_DATA)), run, ready) as server,
    ):
        # Its log may say so too late: it serves before it has told what it is.
        told = (await server.exec(("minio", "--version"))).stdout.decode(errors="replace")
        first = told.partition("\n")[0].removeprefix("minio version ").strip()
        attested = first or "of an unknown version"
        if found.source is MinioSource.BINARY:
            attested = f"{attested}, SHA-256 of the binary {found.sha256}"
        yield S3Storage(
            server=server,
            disk=disk,
            product="MinIO",
            version=attested,
            endpoint=f"http://{server.address}:{MINIO_PORT}",
            access_key=_USER,
            secret_key=secret,
            answers=ready,
        )


def _minio_spec(found: FoundMinio, secret: str, volume: Volume) -> ServerSpec:
    return ServerSpec(
        backend=BACKEND,
        image=found.image or "",
        entrypoint=("minio",),
        command=("server", _DATA, "--address", f":{MINIO_PORT}"),
        environment={
            "MINIO_ROOT_USER_FILE": "/etc/holdfast-s3-user",
            "MINIO_ROOT_PASSWORD_FILE": _SECRET,
            "MINIO_UPDATE": "off",
        },
        volumes=(volume,),
        files=(
            ServerFile(path="/etc/holdfast-s3-user", data=_USER.encode()),
            ServerFile(path=_SECRET, data=secret.encode(), mode=0o600),
        ),
    )


@asynccontextmanager
async def seaweedfs(run: str) -> AsyncIterator[S3Storage]:
    """SeaweedFS, from the package that brings its program.

    Raises:
        EnvironmentUnavailable: the package is not installed.
    """
    secret = kept_secret(run, "s3")
    ready = _serving(_WEED_PORT, secret)
    async with bounded_disk(BACKEND, run, DISK_BYTES, (weed_mount(),)) as disk:
        spec = weed_container(BACKEND, disk.at(_DATA), _WEED_PORT, (_USER, secret))
        async with run_server(spec, run, ready) as server:
            yield S3Storage(
                server=server,
                disk=disk,
                product=_WEED,
                version=await weed_version(server),
                endpoint=f"http://{server.address}:{_WEED_PORT}",
                access_key=_USER,
                secret_key=secret,
                answers=ready,
            )


def kept_secret(run: str, name: str) -> str:
    """A throw-away secret of a run; a process that adopts the run's containers finds it again."""
    path = make_run_folder(_FOLDER, run) / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(runtime().random.randbytes(20).hex(), encoding="ascii")
    return path.read_text(encoding="ascii")


def run_folder(run: str) -> Path:
    """Where the secrets of a run are; whoever ends the run removes it."""
    return run_folders.run_folder(_FOLDER, run)


def _serving(port: int, secret: str) -> ReadyProbe:
    """Ready is who answers what the gateway will ask, and not only questions about health."""

    async def serves(server: Server) -> bool:
        return await runtime().run_blocking(_stores, f"http://{server.address}:{port}", secret)

    return serves


def _stores(endpoint: str, secret: str) -> bool:
    """Whether the server makes a bucket and keeps an object in it."""
    bucket = Bucket(endpoint, _PROBE, Credentials(_USER, secret), _TIMEOUT_S)
    with contextlib.closing(bucket):
        try:
            bucket.make()
            bucket.put_data("ready", b"ready")
            return bucket.get("ready")[0] == b"ready"
        except S3Error as why:
            if why.unready or why.uncertain:
                return False
            raise EnvironmentUnavailable(f"the S3 server at {endpoint}: {why}") from why


async def http_status(address: str, port: int, path: str) -> int:
    """The status of a GET; ``OSError`` where no server answers."""

    def ask() -> int:
        line = HTTPConnection(address, port, timeout=_TIMEOUT_S)
        try:
            line.request("GET", path)
            return line.getresponse().status
        except HTTPException as why:
            raise ConnectionError(str(why)) from why
        finally:
            line.close()

    return await runtime().run_blocking(ask)
