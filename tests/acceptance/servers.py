"""The servers that are put through the suites, each started for one run and removed after it."""

import asyncio
import json
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import httpx
from tests.acceptance.iscsi_suite import IscsiTarget
from tests.acceptance.outcomes import Product
from tests.acceptance.swift_suite import Login, Target

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.iscsi.testbed import ISCSI_PORT, iscsi_testbed
from holdfast_drivers.servers.minio_source import find_minio
from holdfast_drivers.servers.running_servers import Server, ServerFile, ServerSpec, run_server
from holdfast_drivers.swift.account_testbed import address_of, has_account, swift_version
from holdfast_drivers.swift.gateway.server import gateway_server
from holdfast_drivers.swift.gateway.storage import (
    S3Storage,
    minio,
    run_folder,
    s3_storage,
    seaweedfs,
)
from holdfast_drivers.swift.logins import login, plain_client
from holdfast_drivers.swift.server_recipe import PORT, SWIFT_IMAGE
from holdfast_drivers.swift.users import User

_IQN = "iqn.2026-01.org.holdfast:acceptance"
_INITIATORS = ("iqn.2026-01.org.holdfast:one", "iqn.2026-01.org.holdfast:two")
_UNIT = "/srv/volumes/acceptance"


def _users() -> tuple[User, ...]:
    def user(account: str, name: str, *groups: str) -> User:
        return User(account=account, name=name, key=secrets.token_hex(16), groups=groups)

    return (
        user("test", "tester", ".admin"),
        user("test2", "tester2", ".admin"),
        user("test", "tester3"),
        user("test", "tester2", ".admin"),
        user("test", "tester6", ".reseller_admin"),
    )


def _logins(users: tuple[User, ...]) -> tuple[Login, ...]:
    return tuple(Login(account=one.account, user=one.name, key=one.key) for one in users)


@asynccontextmanager
async def swift_target(run: str) -> AsyncIterator[Target]:
    """OpenStack Swift, all in one, on a file system in memory that takes long metadata."""
    users = _users()
    lines = "".join(user.line for user in users)
    spec = ServerSpec(
        backend="acceptance-swift",
        image=SWIFT_IMAGE,
        tmpfs={"/srv/node": "size=4g,mode=755"},
        files=(
            ServerFile(
                path="/etc/swift/proxy-server.conf.d/20-users.conf",
                data=f"[filter:tempauth]\nuse = egg:swift#tempauth\n{lines}".encode(),
            ),
        ),
    )

    async def ready(server: Server) -> bool:
        return await _has_account(server, users[0])

    async with run_server(spec, run, ready) as server:
        yield Target(
            product=Product.SWIFT,
            identity=f"Swift {await swift_version(server)}",
            host=server.address,
            port=PORT,
            logins=_logins(users),
        )


async def _has_account(server: Server, owner: User) -> bool:
    """Whether a user can keep an object; the tests count on an account that is there and empty."""
    user = f"{owner.account}:{owner.name}"
    address = address_of(server)
    if not await has_account(address, user, owner.key):
        return False
    try:
        async with plain_client() as client:
            known = await login(client, address, user, owner.key)
            # What was tried out goes again; Swift may not know yet that its only object is gone.
            done = await client.delete(f"{known.account}/ready", headers=known.token)
    except httpx.HTTPError:
        return False
    return done.status_code in {204, 404}


@asynccontextmanager
async def gateway_target(run: str) -> AsyncIterator[Target]:
    """Swift's pipeline over MinIO where there is one, else over SeaweedFS."""
    users = _users()
    async with s3_storage(run) as storage, gateway_server(run, storage, users) as server:
        if not await _has_account(server, users[0]):
            raise EnvironmentUnavailable("the gateway keeps no object; its log says why")
        version = await swift_version(server)
        yield Target(
            product=Product.GATEWAY,
            identity=f"Swift {version} on {storage.product} {storage.version}",
            host=server.address,
            port=PORT,
            logins=_logins(users),
        )


@asynccontextmanager
async def s3_target(product: Product, run: str) -> AsyncIterator[Target]:
    """MinIO or SeaweedFS, all of whose users are one: neither is told of others here.

    Raises:
        EnvironmentUnavailable: it is not on this machine.
    """
    async with AsyncExitStack() as stack:
        folder = run_folder(run)
        stack.push_async_callback(asyncio.to_thread, shutil.rmtree, folder, ignore_errors=True)
        storage = await stack.enter_async_context(await _s3(product, run))
        host, _, port = storage.endpoint.removeprefix("http://").partition(":")
        name = storage.access_key
        login = Login(account="", user=name, key=storage.secret_key, access=name)
        yield Target(
            product=product,
            identity=f"{storage.product} {storage.version}",
            host=host,
            port=int(port),
            logins=(login,) * 5,
            plain_s3=True,
        )


async def _s3(product: Product, run: str) -> AbstractAsyncContextManager[S3Storage]:
    if product is Product.SEAWEEDFS:
        return seaweedfs(run)
    found = await find_minio()
    if found.image is None:
        raise EnvironmentUnavailable(found.detail)
    return minio(run, found)


@asynccontextmanager
async def tgt_target(run: str) -> AsyncIterator[IscsiTarget]:
    """The iSCSI testbed's storage host with one thin unit of 256 MiB for everybody."""
    async with iscsi_testbed(run) as testbed:
        server = testbed.server
        administer = ("tgtadm", "--lld", "iscsi", "--op")
        unit = ("--mode", "logicalunit", "--tid", "999", "--lun", "1")
        for command in (
            ("truncate", "-s", "256M", _UNIT),
            (*administer, "new", "--mode", "target", "--tid", "999", "-T", _IQN),
            (*administer, "new", *unit, "-b", _UNIT),
            (*administer, "update", *unit, "--params", "thin_provisioning=1"),
            (*administer, "bind", "--mode", "target", "--tid", "999", "-I", "ALL"),
        ):
            done = await server.exec(command)
            if done.status:
                raise EnvironmentUnavailable(f"{command[0]} failed: {done.stderr.decode()}")
        yield IscsiTarget(
            identity=json.dumps(testbed.identity.version).strip('"'),
            url=f"iscsi://{server.address}:{ISCSI_PORT}/{_IQN}/1",
            initiators=_INITIATORS,
        )
