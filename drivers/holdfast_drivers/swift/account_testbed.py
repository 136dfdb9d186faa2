"""What the testbeds of Swift share: one account, its users, and a proxy before the server."""

import hashlib
import re
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import msgspec

from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BadConfig, Fault, TestbedKind
from holdfast_drivers.servers.container_faults import begin_fault, end_fault
from holdfast_drivers.servers.fault_proxy import PROXY_FAULTS, FaultProxy
from holdfast_drivers.servers.proxied_testbed import ProxiedTestbed
from holdfast_drivers.servers.running_servers import Server, until_ready
from holdfast_drivers.servers.wrong_settings import WrongSetting, bad_configs, wrong_addresses
from holdfast_drivers.swift.config import SwiftConfig
from holdfast_drivers.swift.logins import login, plain_client
from holdfast_drivers.swift.removals import refused_removals
from holdfast_drivers.swift.server_recipe import PORT
from holdfast_drivers.swift.users import Users, fresh_key

ACCOUNT: Final = "AUTH_test"
_OWNER: Final = "test:tester"
_OPERATOR: Final = "admin:admin"
_DECOYS: Final = ("neighbour", "neighbour-segments")
_SEGMENT_BYTES: Final = 1 << 20


class AccountTestbed(ProxiedTestbed):
    """One account of one server.

    Args:
        server: what answers Swift's requests.
        proxy: before it.
        users: whom it knows.
    """

    kind = TestbedKind.CONTAINER
    faults = PROXY_FAULTS | {
        Fault.KILLED,
        Fault.PAUSED,
        Fault.FULL,
        Fault.REVOKED,
        Fault.REMOVED,
    }

    def __init__(self, server: Server, proxy: FaultProxy, users: Users) -> None:
        super().__init__(proxy)
        self.server = server
        self.users = users

    @property
    def address(self) -> str:
        """Where the server is, without the proxy."""
        return address_of(self.server)

    def config(self, role: Role, namespace: str) -> SwiftConfig:
        """The account's owner, and a container of its own."""
        host, port = self.proxy.address
        return SwiftConfig(
            auth_url=f"http://{host}:{port}/auth/v1.0",
            user=_OWNER,
            key=self.users.tester,
            namespace=container_name(namespace),
            segment_bytes=_SEGMENT_BYTES,
        )

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Wrong addresses, users, keys, containers and certificates."""
        good = self.config(role, namespace)
        unknown, invalid = (ErrorKind.UNAUTHENTICATED,), (ErrorKind.INVALID,)
        another = good.auth_url.replace("/auth/v1.0", "/healthcheck")
        guest = {"user": "test:guest", "key": self.users.guest}
        wrong: tuple[WrongSetting, ...] = (
            *wrong_addresses("auth_url", good.auth_url),
            ("another path", {"auth_url": another}, invalid),
            ("an unknown user", {"user": "test:nobody"}, unknown),
            ("a wrong key", {"key": f"{good.key}x"}, unknown),
            ("a user without rights", guest, (ErrorKind.DENIED,)),
            ("no container's name", {"namespace": "No_Container"}, invalid),
        )
        return bad_configs(good, wrong)

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        """Keep a fault in force; afterwards the server answers as before."""
        if fault is Fault.REMOVED:
            spoilt = refused_removals(self.address, _OWNER, self.users.tester)
        else:
            spoilt = super().inject(fault)
        async with spoilt:
            yield

    async def begin(self, fault: Fault) -> None:
        """Kill or freeze the server, or give the account's owner another key."""
        if fault is Fault.REVOKED:
            await self.become(msgspec.structs.replace(self.users, tester=fresh_key()))
        else:
            await begin_fault(self.server, fault)

    async def end(self, fault: Fault) -> None:
        if fault is Fault.REVOKED:
            await self.become(self.users)
        else:
            await end_fault(self.server, fault)
            await self.until_works()

    @abstractmethod
    async def become(self, users: Users) -> None:
        """Let the server know other users, and forget all tokens; it has done so at the end."""

    async def until_works(self) -> None:
        """Wait until the server answers as before."""
        await until_works(self.server, self.users)


def address_of(server: Server) -> str:
    """Where a server answers Swift's requests."""
    return f"http://{server.address}:{PORT}"


def container_name(namespace: str) -> str:
    """A container's name for any namespace."""
    digest = hashlib.blake2b(namespace.encode(), digest_size=10).hexdigest()
    readable = re.sub(r"[^a-z0-9]+", "-", namespace.lower()).strip("-")[:24]
    return f"h{readable}-{digest}"


async def works(server: Server, users: Users) -> bool:
    """Whether the operator has an account in which objects are kept."""
    return await has_account(address_of(server), _OPERATOR, users.admin)


async def until_works(server: Server, users: Users) -> None:
    """Wait for ``works``.

    Raises:
        EnvironmentUnavailable: the server does not come back.
    """

    async def ready(server: Server) -> bool:
        return await works(server, users)

    await until_ready(server, ready)


async def has_account(address: str, user: str, key: str) -> bool:
    """Whether a token, and one object in all its life, can be had."""
    try:
        async with plain_client() as client:
            known = await login(client, address, user, key)
            container = f"{known.account}/ready"
            statuses = [
                (await client.request(method, url, headers=known.token, content=data)).status_code
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


async def introduce(server: Server, users: Users) -> str:
    """Put objects that nobody may touch beside all stores; the server's version."""
    async with plain_client() as client:
        known = await login(client, address_of(server), _OWNER, users.tester)
        for decoy in _DECOYS:
            container = f"{known.account}/{decoy}"
            for url, data in ((container, None), (f"{container}/decoy", decoy.encode())):
                answer = await client.put(url, headers=known.token, content=data)
                answer.raise_for_status()
    return await swift_version(server)


async def swift_version(server: Server) -> str:
    """The version of Swift, as its proxy says."""
    async with plain_client() as client:
        told = (await client.get(f"{address_of(server)}/info")).json()
    return str(told["swift"]["version"])
