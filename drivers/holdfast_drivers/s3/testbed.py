"""What the driver's testbeds share: a bucket behind a fault proxy, bad settings, an inspector."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable, ErrorKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BadConfig, Fault, Inspector
from holdfast_drivers.s3 import library
from holdfast_drivers.s3.administrator_lists import (
    is_versioned,
    list_bucket,
    list_past_versions,
)
from holdfast_drivers.s3.config import S3Config, prefix_of
from holdfast_drivers.s3.inspector import Known, S3Inspector
from holdfast_drivers.servers.fault_proxy import PROXY_FAULTS, FaultProxy
from holdfast_drivers.servers.proxied_testbed import ProxiedTestbed
from holdfast_drivers.servers.wrong_settings import WrongSetting, bad_configs, wrong_addresses

T = TypeVar("T")
_READY_S: Final = 60.0
_POLL_S: Final = 0.05
BUCKET: Final = "holdfast-testbed"
REGION: Final = "us-east-1"
_DECOYS: Final = ("store.json", "objects/decoy", "neighbour/store.json", "neighbour/objects/decoy")
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - each testbed has a closed folder in it
_ROOM_BYTES: Final = 2 << 30
_WITHOUT_SERVER: Final = "127.53.5.255"
"""An address of this machine on which nothing listens."""


_UNKNOWN: Final = (ErrorKind.UNAUTHENTICATED, ErrorKind.DENIED)
_WRONG: Final[tuple[WrongSetting, ...]] = (
    (
        "an address without a server",
        {"endpoint": f"http://{_WITHOUT_SERVER}:9000"},
        (ErrorKind.UNAVAILABLE,),
    ),
    ("an access key that nobody has", {"access_key": "holdfast0nobody"}, _UNKNOWN),
    ("a secret of somebody else", {"secret_key": "0" * 40}, _UNKNOWN),
    (
        "a bucket that does not exist",
        {"bucket": "holdfast-no-such-bucket"},
        (ErrorKind.NOT_FOUND, ErrorKind.INVALID),
    ),
    ("a bucket that cannot be", {"bucket": "Not a bucket"}, (ErrorKind.INVALID,)),
)


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A user of the server; ``__repr__`` and messages never show the secret."""

    access_key: str
    secret_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key})"

    @property
    def pair(self) -> tuple[str, str]:
        """The access key and its secret."""
        return self.access_key, self.secret_key


def data_folder() -> Path:
    """Where a testbed's server keeps its data: in memory where there is room, else on disk."""
    try:
        if shutil.disk_usage(_MEMORY).free > _ROOM_BYTES and os.access(_MEMORY, os.W_OK):
            return _MEMORY
    except OSError:
        pass
    return Path(tempfile.gettempdir())


def new_credentials(name: str) -> Credentials:
    """A user that nobody had before."""
    numbers = runtime().random
    return Credentials(
        access_key=f"{name}{numbers.getrandbits(32):08x}",
        secret_key=f"{numbers.getrandbits(160):040x}",
    )


class Administrator:
    """The administrator's client, opened when first used, since a killed server breaks it."""

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        self._endpoint = endpoint
        self._credentials = credentials

    def open(self) -> AbstractAsyncContextManager[Any]:
        """A client, directly at the server."""
        return library.open_client(
            "s3",
            endpoint_url=self._endpoint,
            region_name=REGION,
            aws_access_key_id=self._credentials.access_key,
            aws_secret_access_key=self._credentials.secret_key,
            aws_session_token=self._credentials.session_token or None,
            verify=False,  # nothing is encrypted
            config=library.config(
                s3={"addressing_style": "path"},
                signature_version="s3v4",
                connect_timeout=5,
                read_timeout=60,
                retries={"total_max_attempts": 5, "mode": "standard"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )


async def once_ready(ask: Callable[[], Awaitable[T]]) -> T:
    """What a server answers that is starting, asked until it does.

    Its port opens long before: MinIO says "Server not initialized" to some calls and serves others.

    Raises:
        EnvironmentUnavailable: it does not become ready in time; says what it answered last.
    """
    deadline = runtime().now() + _READY_S
    while True:
        try:
            return await ask()
        except Exception as problem:
            if runtime().now() > deadline:
                raise EnvironmentUnavailable(
                    f"the S3 server is not ready after {_READY_S:.0f} s; last: {problem}"
                ) from problem
        await asyncio.sleep(_POLL_S)


async def answering(client: Any) -> None:
    """Return once the server stores and gives back an object; its ports open much earlier."""
    probe = "holdfast-ready"

    async def store() -> None:
        buckets = await client.list_buckets()
        if probe not in {bucket["Name"] for bucket in buckets["Buckets"]}:
            await client.create_bucket(Bucket=probe)
        await client.put_object(Bucket=probe, Key="ready", Body=b"ready")
        await client.get_object(Bucket=probe, Key="ready")

    await once_ready(store)


async def session_of(endpoint: str, credentials: Credentials) -> Credentials:
    """Credentials of a session of this user, for seven days; of a server that may be starting."""
    return await once_ready(lambda: _session_of(endpoint, credentials))


async def _session_of(endpoint: str, credentials: Credentials) -> Credentials:
    context = library.open_client(
        "sts",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        verify=False,  # nothing is encrypted
        config=library.config(retries={"total_max_attempts": 1}),  # it is repeated above
    )
    async with context as client:
        answer = await client.assume_role(
            RoleArn="arn:aws:iam::000000000000:role/holdfast",
            RoleSessionName="holdfast-inspector",
            DurationSeconds=7 * 24 * 3600,
        )
    given = answer["Credentials"]
    return Credentials(
        access_key=str(given["AccessKeyId"]),
        secret_key=str(given["SecretAccessKey"]),
        session_token=str(given["SessionToken"]),
    )


class S3Testbed(ProxiedTestbed):
    """One bucket of one server; the driver goes through a proxy, the inspector does not.

    Args:
        proxy: what stands between driver and server.
        client: the administrator's client.
        user: the driver's credentials.
    """

    second_path = "the S3 API with the administrator's credentials, directly at the server"
    faults = frozenset({*PROXY_FAULTS, Fault.KILLED, Fault.PAUSED})

    def __init__(self, proxy: FaultProxy, client: Any, user: Credentials) -> None:
        super().__init__(proxy)
        self._client = client
        self._user = user
        self._known = Known()

    @property
    def client(self) -> Any:
        """The administrator's client, directly at the server."""
        return self._client

    def config(self, role: Role, namespace: str) -> S3Config:
        """A configuration that reaches the server through the proxy."""
        host, port = self.proxy.address
        return S3Config(
            endpoint=f"http://{host}:{port}",
            region=REGION,
            access_key=self._user.access_key,
            secret_key=self._user.secret_key,
            bucket=BUCKET,
            namespace=namespace,
        )

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Settings of which one is wrong."""
        good = self.config(role, namespace)
        return bad_configs(good, (*wrong_addresses("endpoint", good.endpoint), *_WRONG))

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Reads the namespace's prefix at the server."""
        prefix = prefix_of(self.config(role, namespace))
        return S3Inspector(self._client, BUCKET, prefix, self._known)

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove everything under the namespace's prefix."""
        await remove_all(self._client, prefix_of(self.config(role, namespace)))


async def remove_all(client: Any, prefix: str, bucket: str = BUCKET) -> None:
    """Remove all objects, versions and multipart uploads under a prefix."""
    keys = [{"Key": listed.key} for listed in await list_bucket(client, bucket, prefix)]
    for start in range(0, len(keys), 1000):
        await client.delete_objects(Bucket=bucket, Delete={"Objects": keys[start : start + 1000]})
    if await is_versioned(client, bucket):
        for key, version in await list_past_versions(client, bucket, prefix):
            await client.delete_object(Bucket=bucket, Key=key, VersionId=version)
    uploads = await client.list_multipart_uploads(Bucket=bucket, Prefix=prefix)
    for upload in uploads.get("Uploads", ()):
        await client.abort_multipart_upload(
            Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
        )


async def prepare(client: Any) -> None:
    """Make the bucket, with things in it that nobody may touch."""
    with contextlib.suppress(
        client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists
    ):
        await client.create_bucket(Bucket=BUCKET)
    for decoy in _DECOYS:
        await client.put_object(Bucket=BUCKET, Key=decoy, Body=decoy.encode())
