"""The testbed: Swift's pipeline over MinIO, each in a container; the driver is the same one."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import httpx
import msgspec

from holdfast.errors import EnvironmentUnavailable, Unsupported
from holdfast.requests import Role
from holdfast.runtime import runtime
from holdfast.testbed import BackendIdentity, BadConfig, Fault, Inspector, Testbed, TestbedKind
from holdfast_drivers.servers.fault_proxy import PROXY_FAULTS, FaultProxy
from holdfast_drivers.servers.fault_requests import ALWAYS, Match
from holdfast_drivers.servers.network import bridge_address
from holdfast_drivers.servers.servers import Server
from holdfast_drivers.swift.config import SwiftConfig
from holdfast_drivers.swift.gateway.container.swift_on_s3.s3 import Bucket, S3Error
from holdfast_drivers.swift.gateway.container.swift_on_s3.signing import Credentials
from holdfast_drivers.swift.gateway.inspector import ACCOUNT, GatewayInspector, S3Disk
from holdfast_drivers.swift.gateway.pipeline import CONFIG_FILE, PORT, User
from holdfast_drivers.swift.gateway.server import (
    BUCKET,
    configuration,
    gateway_server,
    swift_version,
)
from holdfast_drivers.swift.gateway.storage import (
    S3Storage,
    kept_secret,
    run_folder,
    s3_storage,
)
from holdfast_drivers.swift.removals import refused_removals
from holdfast_drivers.swift.testbed import (
    SEGMENT_BYTES,
    bad_configs,
    container_name,
    works,
)

_DECOYS: Final = ("neighbour", "neighbour-segments")
_BACK_S: Final = 60.0
"""How long an S3 server that was killed may take until all of it answers."""
_PAUSE_S: Final = 0.2
_RECORDS: Final = re.compile(rb"(PUT|DELETE) /[^/]+/[aco]/")
_PROBE_S: Final = 5.0
_READY_S: Final = 60.0


def first_of_each_record() -> Match:
    """The requests that write or remove records, each the first time that it is made.

    So S3 has done what the gateway asked for, and whoever asks again unseen is refused.
    """
    seen: set[bytes] = set()

    def meant(chunk: bytes) -> bool:
        line, _, _ = chunk.partition(b"\r\n")
        fresh = line not in seen and _RECORDS.match(line) is not None
        seen.add(line)
        return fresh

    return meant


class Proxies(msgspec.Struct, frozen=True, kw_only=True):
    """What can spoil the requests of the driver, and those of the gateway."""

    before: FaultProxy
    between: FaultProxy


class GatewayTestbed(Testbed):
    """One gateway over one S3 server, with a proxy before it and one between the two."""

    kind = TestbedKind.CONTAINER
    second_path = "the S3 server under the gateway, read with the operator's credentials"
    faults = PROXY_FAULTS | {
        Fault.KILLED,
        Fault.PAUSED,
        Fault.FULL,
        Fault.REVOKED,
        Fault.STORAGE_LOST,
        Fault.FRONT_KILLED,
        Fault.STORAGE_KILLED,
        Fault.REMOVED,
    }

    def __init__(
        self,
        server: Server,
        storage: S3Storage,
        proxies: Proxies,
        users: tuple[User, ...],
        version: str,
    ) -> None:
        self._server = server
        self._storage = storage
        self._proxy = proxies.before
        self._between = proxies.between
        self._users = users
        self._keys = {user.name: user.key for user in users}
        credentials = Credentials(storage.access_key, storage.secret_key)
        self._disk = S3Disk(Bucket(storage.endpoint, BUCKET, credentials))
        self.identity = BackendIdentity(
            vendor="OpenStack",
            product=f"Swift on {storage.product}",
            version=version,
            detail=f"Swift's own proxy over {storage.product} {storage.version}",
        )

    def close(self) -> None:
        """Close the inspector's connections."""
        self._disk.close()

    def config(self, role: Role, namespace: str) -> SwiftConfig:
        """The account's owner, and a container of its own."""
        host, port = self._proxy.address
        return SwiftConfig(
            auth_url=f"http://{host}:{port}/auth/v1.0",
            user="test:tester",
            key=self._keys["tester"],
            namespace=container_name(namespace),
            segment_bytes=SEGMENT_BYTES,
        )

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Wrong addresses, users, keys, containers and certificates."""
        return bad_configs(self.config(role, namespace), self._keys["guest"])

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Reads the bucket."""
        return GatewayInspector(self._disk, ACCOUNT, container_name(namespace))

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """Those of the proxies."""
        return self._proxy.tasks | self._between.tasks

    def request_seen(self, count: int = 1) -> Awaitable[None] | None:
        """The proxy sees every request."""
        return self._proxy.next_request(count)

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        """Keep a fault in force; afterwards the gateway answers as before."""
        if fault in PROXY_FAULTS:
            async with self._proxy.inject(fault):
                yield
            return
        if fault is Fault.STORAGE_LOST:
            lost = self._between.requests.lose_answer(first_of_each_record(), ALWAYS)
            try:
                yield
            finally:
                lost.left = 0
            return
        if fault is Fault.REMOVED:
            async with refused_removals(self._address, "test:tester", self._keys["tester"]):
                yield
            return
        await self._begin(fault)
        try:
            yield
        finally:
            await self._end(fault)

    @asynccontextmanager
    async def without_storage(self) -> AsyncIterator[None]:
        """Have the gateway answer while the S3 server under it is away."""
        await self._storage.server.kill()
        try:
            yield
        finally:
            await self._storage.start()
            await until_works(self._server, self._keys["admin"])

    async def _begin(self, fault: Fault) -> None:
        """The gateway and the S3 server under it fail together, or one of them alone."""
        match fault:
            case Fault.KILLED:
                await self._storage.server.kill()
                await self._server.kill()
            case Fault.FRONT_KILLED:
                await self._server.kill()
            case Fault.STORAGE_KILLED:
                await self._storage.server.kill()
            case Fault.PAUSED:
                await self._storage.server.pause()
                await self._server.pause()
            case Fault.FULL:
                await self._storage.disk.fill()
            case Fault.REVOKED:
                await self._become(tuple(_other_key(user) for user in self._users))
            case _:
                raise Unsupported(f"this testbed cannot put the fault {fault} in force")

    async def _end(self, fault: Fault) -> None:
        match fault:
            case Fault.KILLED:
                await self._storage.start()
                await self._server.start()
            case Fault.FRONT_KILLED:
                await self._server.start()
            case Fault.STORAGE_KILLED:
                await self._storage.start()
            case Fault.PAUSED:
                await self._storage.server.unpause()
                await self._server.unpause()
            case Fault.FULL:
                await self._storage.free()
            case _:
                await self._become(self._users)
        await until_works(self._server, self._keys["admin"])

    async def _become(self, users: tuple[User, ...]) -> None:
        """Start the gateway with other users; its tokens are gone with its memory."""
        await self._server.put_file(CONFIG_FILE, configuration(self._told, users), 0o600)
        await self._server.kill()
        await self._server.start()
        await until_works(self._server, next(one.key for one in users if one.name == "admin"))

    @property
    def _told(self) -> S3Storage:
        """The S3 server as the gateway knows it: behind the proxy between the two."""
        return behind(self._between, self._storage)

    @property
    def _address(self) -> str:
        return f"http://{self._server.address}:{PORT}"

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove the namespace's container from the bucket."""
        own = frozenset({container_name(namespace)})
        until = runtime().now() + _BACK_S
        while True:
            try:
                return await runtime().run_blocking(self._disk.remove, ACCOUNT, own)
            except S3Error as error:
                # An S3 server that a fault has killed answers before all of its parts are back.
                failing = error.status is None or error.status >= 500
                if not failing or runtime().now() >= until:
                    raise
            await asyncio.sleep(_PAUSE_S)


def _other_key(user: User) -> User:
    """Another key for the driver's user, whom the fault is for."""
    return msgspec.structs.replace(user, key=_fresh_key()) if user.name == "tester" else user


def _fresh_key() -> str:
    return f"{runtime().random.getrandbits(128):032x}"


def _users_of(run: str) -> tuple[User, ...]:
    return (
        User(account="test", name="tester", key=kept_secret(run, "tester")),
        User(account="test", name="guest", key=kept_secret(run, "guest"), groups=()),
        User(
            account="admin",
            name="admin",
            key=kept_secret(run, "admin"),
            groups=(".admin", ".reseller_admin"),
        ),
    )


async def until_works(server: Server, admin_key: str) -> None:
    """Wait until a token and an object can be had.

    Raises:
        EnvironmentUnavailable: it does not come back.
    """
    until = runtime().now() + _READY_S
    async with httpx.AsyncClient(timeout=_PROBE_S, trust_env=False) as client:
        while not await works(client, f"http://{server.address}:{PORT}", admin_key, "admin:admin"):
            if runtime().now() > until:
                raise EnvironmentUnavailable(f"{server.name} does not come back")


async def _introduce(address: str, key: str) -> None:
    """Put objects that nobody may touch beside all stores."""
    async with httpx.AsyncClient(timeout=_PROBE_S, trust_env=False) as client:
        asked = {"x-auth-user": "test:tester", "x-auth-key": key}
        given = await client.get(f"{address}/auth/v1.0", headers=asked)
        token = {"x-auth-token": given.headers["x-auth-token"]}
        for decoy in _DECOYS:
            container = f"{given.headers['x-storage-url']}/{decoy}"
            for url, data in ((container, None), (f"{container}/decoy", decoy.encode())):
                (await client.put(url, headers=token, content=data)).raise_for_status()


def behind(proxy: FaultProxy, storage: S3Storage) -> S3Storage:
    """An S3 server, to be reached through a proxy."""
    host, port = proxy.address
    return msgspec.structs.replace(storage, endpoint=f"http://{host}:{port}")


@asynccontextmanager
async def between(run: str, storage: S3Storage) -> AsyncIterator[FaultProxy]:
    """A proxy in front of the S3 server, at an address that the run's gateway knows for good.

    Raises:
        EnvironmentUnavailable: somebody else has the port that this run had.
    """
    host, _, port = storage.endpoint.removeprefix("http://").partition(":")
    kept = run_folder(run) / "between"
    known = int(kept.read_text(encoding="ascii")) if kept.exists() else 0
    listen = (await bridge_address(), known)
    async with AsyncExitStack() as stack:
        try:
            proxy = await stack.enter_async_context(
                FaultProxy(listen=listen, upstream=(host, int(port)))
            )
        except OSError as why:
            raise EnvironmentUnavailable(f"no proxy can listen at {listen}: {why}") from why
        kept.write_text(str(proxy.address[1]), encoding="ascii")
        yield proxy


@asynccontextmanager
async def gateway_testbed(run: str) -> AsyncIterator[GatewayTestbed]:
    """A gateway and an S3 server of this run's own, or those that it has already."""
    async with AsyncExitStack() as stack:
        users = await runtime().run_blocking(_users_of, run)
        storage = await stack.enter_async_context(s3_storage(run))
        inner = await stack.enter_async_context(between(run, storage))
        server = await stack.enter_async_context(gateway_server(run, behind(inner, storage), users))
        keys = {user.name: user.key for user in users}
        await until_works(server, keys["admin"])
        await _introduce(f"http://{server.address}:{PORT}", keys["tester"])
        outer = await stack.enter_async_context(
            FaultProxy(listen=("127.0.0.1", 0), upstream=(server.address, PORT))
        )
        proxies = Proxies(before=outer, between=inner)
        testbed = GatewayTestbed(server, storage, proxies, users, await swift_version(server))
        stack.callback(testbed.close)
        yield testbed
