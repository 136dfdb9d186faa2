"""The testbed: OpenStack Swift in a container, its disk a folder in memory of this machine."""

import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BackendIdentity, Fault, Inspector
from holdfast_drivers.servers.bounded_disk import BoundedDisk, bounded_disk
from holdfast_drivers.servers.fault_proxy import FaultProxy
from holdfast_drivers.servers.running_servers import Server, ServerSpec, run_server
from holdfast_drivers.servers.server_specs import Mount
from holdfast_drivers.swift.account_testbed import (
    ACCOUNT,
    AccountTestbed,
    container_name,
    introduce,
    works,
)
from holdfast_drivers.swift.inspector import Disk, SwiftInspector
from holdfast_drivers.swift.logins import Login, login, plain_client
from holdfast_drivers.swift.server_recipe import PORT, SWIFT_IMAGE
from holdfast_drivers.swift.users import Users, fresh_key

_USERS: Final = "/etc/swift/proxy-server.conf.d/20-users.conf"
_DISK_BYTES: Final = 1 << 30


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server's users and its disk are on this machine."""

    users: Path
    disk: Path


class SwiftTestbed(AccountTestbed):
    """One Swift server; the driver comes through a proxy that can fail it."""

    second_path = "the files on the server's disk, read without the driver's code and without Swift"

    def __init__(
        self, server: Server, proxy: FaultProxy, space: BoundedDisk, files: Files, version: str
    ) -> None:
        super().__init__(server, proxy, read_users(files.users))
        self._space = space
        self._users_file = files.users
        self._disk = Disk(files.disk)
        self.identity = BackendIdentity(
            vendor="OpenStack",
            product="Swift",
            version=version,
            detail="all in one, tempauth, on a file system in memory",
        )

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Reads the disk."""
        return SwiftInspector(self._disk, ACCOUNT, container_name(namespace))

    async def begin(self, fault: Fault) -> None:
        """As for any account, or fill the server's disk."""
        if fault is Fault.FULL:
            await self._space.fill()
        else:
            await super().begin(fault)

    async def end(self, fault: Fault) -> None:
        if fault is Fault.FULL:
            await self._space.free()
            await self.until_works()
        else:
            await super().end(fault)

    async def become(self, users: Users) -> None:
        async with plain_client() as client:
            operator = await self._operator(client)
            self._users_file.write_bytes(configuration(users))
            await self.server.exec(["sh", "-c", "kill -USR1 1"])
            account = f"{self.address}/v1/{ACCOUNT}"
            while await _is_accepted(client, account, operator.token):
                pass  # each question waits for its answer
        await self.until_works()

    async def limit(self, quota_bytes: int | None) -> None:
        """Give the account a quota as the operator; ``None`` takes it back."""
        async with plain_client() as client:
            operator = await self._operator(client)
            quota = "" if quota_bytes is None else str(quota_bytes)
            headers = {**operator.token, "x-account-meta-quota-bytes": quota}
            answer = await client.post(f"{self.address}/v1/{ACCOUNT}", headers=headers)
            answer.raise_for_status()

    async def _operator(self, client: httpx.AsyncClient) -> Login:
        return await login(client, self.address, "admin:admin", self.users.admin)

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove the namespace's container from the disk."""
        own = frozenset({container_name(namespace)})
        await runtime().run_blocking(self._disk.remove, ACCOUNT, own)


async def _is_accepted(client: httpx.AsyncClient, url: str, token: dict[str, str]) -> bool:
    """Whether a token is still good, or nobody can say so now."""
    try:
        return (await client.head(url, headers=token)).status_code != 401
    except httpx.HTTPError:
        return True


def configuration(users: Users) -> bytes:
    """What the proxy's configuration says of its users."""
    lines = "".join(user.line for user in users.all())
    return f"[filter:tempauth]\nuse = egg:swift#tempauth\n{lines}".encode()


def read_users(path: Path) -> Users:
    """The users in what ``configuration`` made."""
    found = dict(re.findall(r"^user_\w+_(\w+) = (\S+)", path.read_text(), re.MULTILINE))
    return Users(tester=found["tester"], guest=found["guest"], admin=found["admin"])


def _prepare(folder: Path) -> None:
    """Make the folder of a run with its users, or leave the one that is there as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    users = folder / "users.conf"
    if not users.exists():
        fresh = Users(tester=fresh_key(), guest=fresh_key(), admin=fresh_key())
        users.write_bytes(configuration(fresh))


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
        spec = ServerSpec(
            backend="swift",
            image=SWIFT_IMAGE,
            mounts=(Mount(source=users_file, target=_USERS),),
            volumes=(space.at("/srv/node"),),
        )

        async def ready(server: Server) -> bool:
            return await works(server, users)

        server = await stack.enter_async_context(run_server(spec, run, ready))
        version = await introduce(server, users)
        proxy = await stack.enter_async_context(
            FaultProxy(listen=("127.0.0.1", 0), upstream=(server.address, PORT))
        )
        files = Files(users=users_file, disk=await space.folder() / "d1")
        yield SwiftTestbed(server, proxy, space, files, version)
