"""The testbed: Swift's pipeline over MinIO, each in a container; the driver is the same one."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BackendIdentity, Fault, Inspector
from holdfast_drivers.servers.container_faults import begin_fault
from holdfast_drivers.servers.fault_proxy import FaultProxy
from holdfast_drivers.servers.fault_requests import ALWAYS, Match
from holdfast_drivers.servers.network import bridge_address
from holdfast_drivers.servers.running_servers import Server
from holdfast_drivers.swift.account_testbed import (
    ACCOUNT,
    AccountTestbed,
    container_name,
    introduce,
    until_works,
)
from holdfast_drivers.swift.gateway.inspector import GatewayInspector, S3Disk
from holdfast_drivers.swift.gateway.pipeline import CONFIG_FILE
from holdfast_drivers.swift.gateway.server import BUCKET, configuration, gateway_server
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.s3 import Bucket, S3Error
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.signing import Credentials
from holdfast_drivers.swift.gateway.storage import (
    S3Storage,
    kept_secret,
    run_folder,
    s3_storage,
)
from holdfast_drivers.swift.server_recipe import PORT
from holdfast_drivers.swift.users import Users

_BACK_S: Final = 60.0
"""How long an S3 server that was killed may take until all of it answers."""
_PAUSE_S: Final = 0.2
_RECORDS: Final = re.compile(rb"(PUT|DELETE) /[^/]+/[aco]/")


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


class GatewayTestbed(AccountTestbed):
    """One gateway over one S3 server, with a proxy before it and one between the two."""

    second_path = "the S3 server under the gateway, read with the operator's credentials"
    faults = AccountTestbed.faults | {
        Fault.STORAGE_LOST,
        Fault.FRONT_KILLED,
        Fault.STORAGE_KILLED,
    }

    def __init__(
        self, server: Server, storage: S3Storage, proxies: Proxies, users: Users, version: str
    ) -> None:
        super().__init__(server, proxies.before, users)
        self._storage = storage
        self._between = proxies.between
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

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Reads the bucket."""
        return GatewayInspector(self._disk, ACCOUNT, container_name(namespace))

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """Those of the proxies."""
        return super().tasks | self._between.tasks

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        """Keep a fault in force; afterwards the gateway answers as before."""
        if fault is not Fault.STORAGE_LOST:
            async with super().inject(fault):
                yield
            return
        lost = self._between.requests.lose_answer(first_of_each_record(), ALWAYS)
        try:
            yield
        finally:
            lost.left = 0

    @asynccontextmanager
    async def without_storage(self) -> AsyncIterator[None]:
        """Have the gateway answer while the S3 server under it is away."""
        await self._storage.server.kill()
        try:
            yield
        finally:
            await self._storage.start()
            await self.until_works()

    async def begin(self, fault: Fault) -> None:
        """The gateway and the S3 server under it fail together, or one of them alone."""
        match fault:
            case Fault.STORAGE_KILLED:
                await self._storage.server.kill()
            case Fault.FRONT_KILLED:
                await self.server.kill()
            case Fault.KILLED | Fault.PAUSED:
                await begin_fault(self._storage.server, fault)
                await begin_fault(self.server, fault)
            case Fault.FULL:
                await self._storage.disk.fill()
            case _:
                await super().begin(fault)

    async def end(self, fault: Fault) -> None:
        match fault:
            case Fault.STORAGE_KILLED:
                await self._storage.start()
            case Fault.FRONT_KILLED:
                await self.server.start()
            case Fault.KILLED:
                await self._storage.start()
                await self.server.start()
            case Fault.PAUSED:
                await self._storage.server.unpause()
                await self.server.unpause()
            case Fault.FULL:
                await self._storage.free()
            case _:
                await self.become(self.users)
        await self.until_works()

    async def become(self, users: Users) -> None:
        """Start the gateway with other users; its tokens are gone with its memory."""
        await self.server.put_file(CONFIG_FILE, configuration(self._told, users.all()), 0o600)
        await self.server.kill()
        await self.server.start()
        await self.until_works()

    @property
    def _told(self) -> S3Storage:
        """The S3 server as the gateway knows it: behind the proxy between the two."""
        return behind(self._between, self._storage)

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


def _users_of(run: str) -> Users:
    return Users(
        tester=kept_secret(run, "tester"),
        guest=kept_secret(run, "guest"),
        admin=kept_secret(run, "admin"),
    )


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
        told = behind(inner, storage)
        server = await stack.enter_async_context(gateway_server(run, told, users.all()))
        await until_works(server, users)
        version = await introduce(server, users)
        outer = await stack.enter_async_context(
            FaultProxy(listen=("127.0.0.1", 0), upstream=(server.address, PORT))
        )
        proxies = Proxies(before=outer, between=inner)
        testbed = GatewayTestbed(server, storage, proxies, users, version)
        stack.callback(testbed.close)
        yield testbed
