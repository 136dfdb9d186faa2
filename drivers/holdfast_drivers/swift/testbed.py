"""The testbed: OpenStack Swift in a container, its disk a folder in memory of this machine."""

import asyncio
import hashlib
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec

from holdfast.errors import EnvironmentUnavailable, ErrorKind, Unsupported
from holdfast.requests import Role
from holdfast.runtime import runtime
from holdfast.testbed import BackendIdentity, BadConfig, Fault, Inspector, Testbed, TestbedKind
from holdfast_drivers.servers.bounded_disk import BoundedDisk, bounded_disk
from holdfast_drivers.servers.fault_proxy import PROXY_FAULTS, FaultProxy
from holdfast_drivers.servers.servers import Server, ServerSpec, run_server
from holdfast_drivers.servers.specs import Mount
from holdfast_drivers.swift.config import SwiftConfig
from holdfast_drivers.swift.images import SWIFT_IMAGE
from holdfast_drivers.swift.inspector import Disk, SwiftInspector
from holdfast_drivers.swift.removals import refused_removals

PORT: Final = 8080
ACCOUNT: Final = "AUTH_test"
_USERS: Final = "/etc/swift/proxy-server.conf.d/20-users.conf"
_DISK_BYTES: Final = 1 << 30
_PROBE_S: Final = 5.0
_DECOYS: Final = ("neighbour", "neighbour-segments")
SEGMENT_BYTES: Final = 1 << 20


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of the account's owner, of a user without rights, and of the operator."""

    tester: str
    guest: str
    admin: str

    def configuration(self) -> bytes:
        """As the proxy's configuration."""
        return (
            "[filter:tempauth]\nuse = egg:swift#tempauth\n"
            f"user_test_tester = {self.tester} .admin\n"
            f"user_test_guest = {self.guest}\n"
            f"user_admin_admin = {self.admin} .admin .reseller_admin\n"
        ).encode()


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server's users and its disk are on this machine."""

    users: Path
    disk: Path


class SwiftTestbed(Testbed):
    """One Swift server; the driver comes through a proxy that can fail it."""

    kind = TestbedKind.CONTAINER
    second_path = "the files on the server's disk, read without the driver's code and without Swift"
    faults = PROXY_FAULTS | {
        Fault.KILLED,
        Fault.PAUSED,
        Fault.FULL,
        Fault.REVOKED,
        Fault.REMOVED,
    }

    def __init__(
        self, server: Server, proxy: FaultProxy, space: BoundedDisk, files: Files, version: str
    ) -> None:
        self._server = server
        self._proxy = proxy
        self._space = space
        self._users_file = files.users
        self._users = read_users(files.users)
        self._disk = Disk(files.disk)
        self.identity = BackendIdentity(
            vendor="OpenStack",
            product="Swift",
            version=version,
            detail="all in one, tempauth, on a file system in memory",
        )

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """Those of the proxy."""
        return self._proxy.tasks

    def request_seen(self, count: int = 1) -> Awaitable[None] | None:
        """The proxy sees every request."""
        return self._proxy.next_request(count)

    def config(self, role: Role, namespace: str) -> SwiftConfig:
        """The account's owner, and a container of its own."""
        host, port = self._proxy.address
        return SwiftConfig(
            auth_url=f"http://{host}:{port}/auth/v1.0",
            user="test:tester",
            key=self._users.tester,
            namespace=container_name(namespace),
            segment_bytes=SEGMENT_BYTES,
        )

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Wrong addresses, users, keys, containers and certificates."""
        good = self.config(role, namespace)
        return bad_configs(good, self._users.guest)

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Reads the disk."""
        return SwiftInspector(self._disk, ACCOUNT, container_name(namespace))

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        """Keep a fault in force; afterwards the server answers as before."""
        if fault in PROXY_FAULTS:
            async with self._proxy.inject(fault):
                yield
            return
        if fault is Fault.REMOVED:
            async with refused_removals(self._address, "test:tester", self._users.tester):
                yield
            return
        await self._begin(fault)
        try:
            yield
        finally:
            await self._end(fault)

    async def _begin(self, fault: Fault) -> None:
        match fault:
            case Fault.KILLED:
                await self._server.kill()
            case Fault.PAUSED:
                await self._server.pause()
            case Fault.FULL:
                await self._space.fill()
            case Fault.REVOKED:
                other = msgspec.structs.replace(self._users, tester=_fresh_key())
                await self._become(other)
            case _:
                raise Unsupported(f"this testbed cannot put the fault {fault} in force")

    async def _end(self, fault: Fault) -> None:
        match fault:
            case Fault.KILLED:
                await self._server.start()
            case Fault.PAUSED:
                await self._server.unpause()
            case Fault.FULL:
                await self._space.free()
            case _:
                await self._become(self._users)
                return
        await self._until_ready()

    async def _become(self, users: Users) -> None:
        """Let the server know other users, and forget all tokens; it has done so at the end."""
        async with httpx.AsyncClient(timeout=_PROBE_S, trust_env=False) as client:
            asked = {"x-auth-user": "admin:admin", "x-auth-key": self._users.admin}
            given = await client.get(f"{self._address}/auth/v1.0", headers=asked)
            token = {"x-auth-token": given.headers["x-auth-token"]}
            self._users_file.write_bytes(users.configuration())
            await self._server.exec(["sh", "-c", "kill -USR1 1"])
            account = f"{self._address}/v1/{ACCOUNT}"
            while await _is_accepted(client, account, token):
                pass  # each question waits for its answer
        await self._until_ready()

    async def limit(self, quota_bytes: int | None) -> None:
        """Give the account a quota as the operator; ``None`` takes it back."""
        async with httpx.AsyncClient(timeout=_PROBE_S, trust_env=False) as client:
            asked = {"x-auth-user": "admin:admin", "x-auth-key": self._users.admin}
            given = await client.get(f"{self._address}/auth/v1.0", headers=asked)
            headers = {
                "x-auth-token": given.headers["x-auth-token"],
                "x-account-meta-quota-bytes": "" if quota_bytes is None else str(quota_bytes),
            }
            answer = await client.post(f"{self._address}/v1/{ACCOUNT}", headers=headers)
            answer.raise_for_status()

    async def _until_ready(self) -> None:
        until = runtime().now() + 60
        async with httpx.AsyncClient(timeout=_PROBE_S, trust_env=False) as client:
            while not await works(client, self._address, self._users.admin, "admin:admin"):
                if runtime().now() > until:
                    raise EnvironmentUnavailable(f"{self._server.name} does not come back")

    @property
    def _address(self) -> str:
        return f"http://{self._server.address}:{PORT}"

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove the namespace's container from the disk."""
        own = frozenset({container_name(namespace)})
        await runtime().run_blocking(self._disk.remove, ACCOUNT, own)


def container_name(namespace: str) -> str:
    """A container's name for any namespace."""
    digest = hashlib.blake2b(namespace.encode(), digest_size=10).hexdigest()
    readable = re.sub(r"[^a-z0-9]+", "-", namespace.lower()).strip("-")[:24]
    return f"h{readable}-{digest}"


def bad_configs(good: SwiftConfig, guest_key: str) -> tuple[BadConfig, ...]:
    """Configurations that ``initialize`` must refuse, made from a good one."""

    def wrong(name: str, *expected: ErrorKind, **changes: str) -> BadConfig:
        config = msgspec.structs.replace(good, **changes)
        return BadConfig(name=name, config=config, expected=expected)

    server = good.auth_url.removesuffix("/auth/v1.0")
    return (
        wrong("no address", ErrorKind.INVALID, auth_url="swift.example"),
        wrong("a port where nobody is", ErrorKind.UNAVAILABLE, auth_url="http://127.0.0.1:9/auth"),
        wrong("another path", ErrorKind.INVALID, auth_url=f"{server}/healthcheck"),
        wrong(
            "encryption where there is none",
            ErrorKind.INVALID,
            auth_url=good.auth_url.replace("http:", "https:"),
        ),
        wrong("an unknown user", ErrorKind.UNAUTHENTICATED, user="test:nobody"),
        wrong("a wrong key", ErrorKind.UNAUTHENTICATED, key=f"{good.key}x"),
        wrong("a user without rights", ErrorKind.DENIED, user="test:guest", key=guest_key),
        wrong("no container's name", ErrorKind.INVALID, namespace="No_Container"),
        wrong("missing certificates", ErrorKind.INVALID, ca_file="/nonexistent/ca.pem"),
    )


async def works(client: httpx.AsyncClient, address: str, key: str, user: str) -> bool:
    """Whether a token, and one object in all its life, can be had."""
    try:
        asked = {"x-auth-user": user, "x-auth-key": key}
        given = await client.get(f"{address}/auth/v1.0", headers=asked)
        if given.status_code != 200:
            return False
        token = {"x-auth-token": given.headers["x-auth-token"]}
        container = f"{given.headers['x-storage-url']}/ready"
        statuses = [
            (await client.request(method, url, headers=token, content=data)).status_code
            for method, url, data in (
                ("PUT", container, None),
                ("PUT", f"{container}/ready", b"ready"),
                ("GET", f"{container}/ready", None),
                ("DELETE", f"{container}/ready", None),
            )
        ]
    except httpx.HTTPError:
        return False
    return all(status < 300 for status in statuses)


async def _is_accepted(client: httpx.AsyncClient, url: str, token: dict[str, str]) -> bool:
    """Whether a token is still good, or nobody can say so now."""
    try:
        return (await client.head(url, headers=token)).status_code != 401
    except httpx.HTTPError:
        return True


def read_users(path: Path) -> Users:
    """The users in a configuration that ``Users`` wrote."""
    found = dict(re.findall(r"^user_\w+_(\w+) = (\S+)", path.read_text(), re.MULTILINE))
    return Users(tester=found["tester"], guest=found["guest"], admin=found["admin"])


def _fresh_key() -> str:
    return f"{runtime().random.getrandbits(128):032x}"


def _prepare(folder: Path) -> None:
    """Make the folder of a run with its users, or leave the one that is there as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    users = folder / "users.conf"
    if not users.exists():
        fresh = Users(tester=_fresh_key(), guest=_fresh_key(), admin=_fresh_key())
        users.write_bytes(fresh.configuration())


async def _introduce(address: str, users: Users) -> str:
    """Put objects that nobody may touch beside all stores; the server's version."""
    async with httpx.AsyncClient(timeout=_PROBE_S, trust_env=False) as client:
        asked = {"x-auth-user": "test:tester", "x-auth-key": users.tester}
        given = await client.get(f"{address}/auth/v1.0", headers=asked)
        token = {"x-auth-token": given.headers["x-auth-token"]}
        for decoy in _DECOYS:
            container = f"{given.headers['x-storage-url']}/{decoy}"
            for url, data in ((container, None), (f"{container}/decoy", decoy.encode())):
                answer = await client.put(url, headers=token, content=data)
                answer.raise_for_status()
        told = (await client.get(f"{address}/info")).json()
    return str(told["swift"]["version"])


@asynccontextmanager
async def swift_testbed(run: str) -> AsyncIterator[SwiftTestbed]:
    """A server of this run's own, or the one that it has already; all it keeps goes with it."""
    folder = Path(tempfile.gettempdir(), f"holdfast-swift-{re.sub(r'[^A-Za-z0-9_.-]', '-', run)}")
    await runtime().run_blocking(_prepare, folder)
    users_file = folder / "users.conf"
    users = read_users(users_file)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(
            runtime().run_blocking, lambda: shutil.rmtree(folder, ignore_errors=True)
        )
        space = await stack.enter_async_context(bounded_disk("swift", run, _DISK_BYTES))
        client = await stack.enter_async_context(
            httpx.AsyncClient(timeout=_PROBE_S, trust_env=False)
        )
        spec = ServerSpec(
            backend="swift",
            image=SWIFT_IMAGE,
            mounts=(Mount(source=users_file, target=_USERS),),
            volumes=(space.at("/srv/node"),),
        )

        async def ready(server: Server) -> bool:
            address = f"http://{server.address}:{PORT}"
            return await works(client, address, users.admin, "admin:admin")

        server = await stack.enter_async_context(run_server(spec, run, ready))
        version = await _introduce(f"http://{server.address}:{PORT}", users)
        proxy = await stack.enter_async_context(
            FaultProxy(listen=("127.0.0.1", 0), upstream=(server.address, PORT))
        )
        files = Files(users=users_file, disk=await space.folder() / "d1")
        yield SwiftTestbed(server, proxy, space, files, version)
