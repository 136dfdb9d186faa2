"""A gateway over an S3 server with a proxy between the two, and a client of Swift in front."""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import httpx

from holdfast_drivers.servers.fault_proxy import FaultProxy
from holdfast_drivers.servers.fault_requests import RequestFaults
from holdfast_drivers.servers.minio_source import find_minio
from holdfast_drivers.servers.running_servers import Server, until_ready
from holdfast_drivers.swift.config import SwiftConfig
from holdfast_drivers.swift.gateway.pipeline import Sweeping
from holdfast_drivers.swift.gateway.server import BUCKET, answers, gateway_server
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.s3 import Bucket
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.signing import Credentials
from holdfast_drivers.swift.gateway.storage import S3Storage, minio, seaweedfs
from holdfast_drivers.swift.gateway.testbed import behind, between
from holdfast_drivers.swift.server_recipe import PORT
from holdfast_drivers.swift.users import User

T = TypeVar("T")
NEVER = Sweeping(interval_s=0.0)
_numbers = itertools.count()


class Container:
    """A container of the account, as a client asks for it."""

    def __init__(self, client: httpx.AsyncClient, url: str, token: str) -> None:
        self._client = client
        self.url = url
        self._token = {"x-auth-token": token}

    async def ask(
        self, method: str, name: str = "", data: bytes | None = None, /, **headers: str
    ) -> httpx.Response:
        """One request about the container or an object in it; nothing is repeated."""
        url = f"{self.url}/{name}" if name else self.url
        said = {key.replace("_", "-"): value for key, value in headers.items()}
        return await self._client.request(
            method, url, content=data, headers={**said, **self._token}
        )

    async def account(self, method: str) -> httpx.Response:
        """One request about the account."""
        url = self.url.rpartition("/")[0]
        return await self._client.request(method, url, headers=self._token)

    def renew(self, token: str) -> None:
        """Ask with another token from now on."""
        self._token = {"x-auth-token": token}

    async def put(self, name: str, data: bytes) -> int:
        """Store an object; the status."""
        return (await self.ask("PUT", name, data)).status_code

    async def get(self, name: str) -> bytes:
        """An object's bytes, which must be there."""
        got = await self.ask("GET", name)
        assert got.status_code == 200, (got.status_code, got.text)
        return got.content

    async def neighbours(self) -> list[str]:
        """All containers that the account lists."""
        account = self.url.rpartition("/")[0]
        return (await self._client.get(account, headers=self._token)).text.split()

    async def names(self) -> list[str]:
        """What the container lists."""
        return (await self.ask("GET")).text.split()


class Gateway:
    """What a test has at hand."""

    def __init__(self, server: Server, storage: S3Storage, between: FaultProxy, user: User) -> None:
        self.server = server
        self.storage = storage
        self.between = between
        """The proxy between the gateway and the S3 server."""
        self._user = user
        credentials = Credentials(storage.access_key, storage.secret_key)
        self.bucket = Bucket(storage.endpoint, BUCKET, credentials)
        """The S3 server itself."""

    @property
    def requests(self) -> RequestFaults:
        """What is to become of the gateway's requests to S3."""
        return self.between.requests

    async def again(self) -> None:
        """Start the gateway after it was killed."""
        await self.server.start()
        await until_ready(self.server, answers)

    @asynccontextmanager
    async def container(self) -> AsyncIterator[Container]:
        """A new container of a client; nothing is spoilt any more afterwards."""
        async with httpx.AsyncClient(trust_env=False, timeout=60.0) as client:
            root, token = await self._signed_in(client)
            made = Container(client, f"{root}/box-{next(_numbers)}", token)
            assert (await made.ask("PUT")).status_code == 201
            try:
                yield made
            finally:
                self.between.requests.clear()

    def config(self, namespace: str) -> SwiftConfig:
        """A store of the driver in the client's account."""
        user = self._user
        return SwiftConfig(
            auth_url=f"http://{self.server.address}:{PORT}/auth/v1.0",
            user=f"{user.account}:{user.name}",
            key=user.key,
            namespace=namespace,
        )

    async def sign_in_again(self, container: Container) -> None:
        """Give a client another token: the gateway's are gone with it."""
        async with httpx.AsyncClient(trust_env=False, timeout=60.0) as client:
            container.renew((await self._signed_in(client))[1])

    async def _signed_in(self, client: httpx.AsyncClient) -> tuple[str, str]:
        user = self._user
        who = {"x-auth-user": f"{user.account}:{user.name}", "x-auth-key": user.key}
        asked = f"http://{self.server.address}:{PORT}/auth/v1.0"
        given = (await client.get(asked, headers=who)).headers
        return given["x-storage-url"], given["x-auth-token"]

    def keys(self, prefix: str) -> list[str]:
        """What is in the bucket."""
        return [row.key for row in self.bucket.page(prefix).entries]

    async def data(self) -> list[str]:
        """The keys of all bytes there are."""
        return await asyncio.to_thread(self.keys, "d/")


class Running:
    """A gateway that runs in a loop of its own, for the tests of a module."""

    def __init__(self, runner: asyncio.Runner, product: str, run: str, sweeping: Sweeping) -> None:
        self._runner = runner
        self._context = _gateway(product, run, sweeping)
        self.gateway: Gateway

    def __enter__(self) -> Self:
        self.gateway = self._runner.run(self._context.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._context.__aexit__(None, None, None))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a story to its end."""
        return self._runner.run(work)


@asynccontextmanager
async def _storage(product: str, run: str) -> AsyncIterator[S3Storage]:
    if product == "minio":
        async with minio(run, await find_minio()) as storage:
            yield storage
    else:
        async with seaweedfs(run) as storage:
            yield storage


@asynccontextmanager
async def _gateway(product: str, run: str, sweeping: Sweeping) -> AsyncIterator[Gateway]:
    user = User(account="test", name="tester", key=secrets.token_hex(16))
    async with _storage(product, run) as storage, between(run, storage) as proxy:
        told = behind(proxy, storage)
        async with gateway_server(run, told, (user,), sweeping) as server:
            found = Gateway(server, storage, proxy, user)
            with contextlib.closing(found.bucket):
                yield found
