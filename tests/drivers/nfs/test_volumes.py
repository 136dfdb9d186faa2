"""Volumes that nfs-ganesha serves: who is let in, who is kept out, and what a restart keeps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from engines import require_simulated_hosts
from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import Denied, DriverError, Invalid
from holdfast.contract.handles import BlockNodeHandle
from holdfast.contract.ports import PrimaryDriver
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast.data.open_handle import open_block_io
from holdfast_drivers.nfs import NfsProvider
from holdfast_drivers.nfs.primary_config import NfsConfig
from holdfast_drivers.nfs.testbed import NfsTestbed, nfs_testbed
from hosted_volumes import context, used_by_hosts

pytestmark = pytest.mark.slow
SIZE_BYTES = 1 << 20


@pytest.fixture(autouse=True)
def _hosts() -> None:
    require_simulated_hosts()


@asynccontextmanager
async def store() -> AsyncIterator[tuple[NfsTestbed, NfsConfig, PrimaryDriver]]:
    """A store with hosts attached, on a storage host of its own, and the hosts' data plane."""
    async with nfs_testbed(runtime().new_id("test")) as testbed:
        config = testbed.config(Role.PRIMARY, "Volumes of Tests")
        async with used_by_hosts(NfsProvider(), testbed, config) as (driver, _):
            yield testbed, config, driver


async def granted(
    driver: PrimaryDriver, volume: str, host: str, mode: AccessMode = AccessMode.EXCLUSIVE
) -> BlockNodeHandle:
    """A volume, made if it is not there, granted to a host and opened for it."""
    await driver.create_volume(context(), requests.CreateVolume(key=volume, size_bytes=SIZE_BYTES))
    await driver.grant(context(), requests.Grant(volume=volume, host=host, mode=mode))
    handle = await driver.open(context(), requests.Open(volume=volume, host=host))
    assert isinstance(handle, BlockNodeHandle)
    return handle


async def write(handle: BlockNodeHandle, data: bytes) -> None:
    """Write bytes durably at the volume's beginning, as the host of the handle."""
    async with open_block_io(handle) as volume:
        await volume.write_at(0, data)
        await volume.flush()


async def read(handle: BlockNodeHandle, length_bytes: int) -> bytes:
    """Read the volume's beginning, as the host of the handle."""
    async with open_block_io(handle) as volume:
        return await volume.read_at(0, length_bytes)


def test_the_server_refuses_a_host_of_another_address() -> None:
    """A host that has another's handle is refused by the server, not by Holdfast."""

    async def story() -> None:
        async with store() as (_, _, driver):
            handle = await granted(driver, "volume", "host-a")
            await write(handle, b"secret")
            stolen = msgspec.structs.replace(handle, host="host-b")
            with pytest.raises(Denied, match="MNT3ERR_ACCES"):
                await read(stolen, 6)
            assert await read(handle, 6) == b"secret"

    asyncio.run(story())


def test_a_grant_for_reading_refuses_writes_at_the_server() -> None:
    """A host with a grant for reading cannot write, even with a handle that says that it may."""

    async def story() -> None:
        async with store() as (_, _, driver):
            handle = await granted(driver, "volume", "host-a", AccessMode.READ_ONLY)
            assert await read(handle, 4) == bytes(4)
            forged = msgspec.structs.replace(handle, read_only=False, host="host-a")
            with pytest.raises(DriverError):
                await write(forged, b"no")
            assert await read(handle, 4) == bytes(4)

    asyncio.run(story())


def test_bytes_follow_the_grant_and_the_former_host_is_kept_out() -> None:
    """Host B reads what host A wrote; A, which has the volume open, fails once revoke returned."""

    async def story() -> None:
        async with store() as (_, _, driver):
            handle = await granted(driver, "volume", "host-a")
            async with open_block_io(handle) as of_a:
                await of_a.write_at(0, b"written by A")
                await of_a.flush()
                await driver.revoke(context(), requests.Revoke(volume="volume", host="host-a"))
                with pytest.raises(DriverError):
                    await of_a.write_at(0, b"too late")
                of_b = await granted(driver, "volume", "host-b")
                assert await read(of_b, 12) == b"written by A"
                with pytest.raises(DriverError):
                    await of_a.read_at(0, 12)

    asyncio.run(story())


def test_a_volume_of_the_same_key_never_shows_the_bytes_of_its_predecessor() -> None:
    """A volume that takes another's key reads zeroes, also through the handle of the old one."""

    async def story() -> None:
        async with store() as (_, _, driver):
            old = await granted(driver, "volume", "host-a")
            await write(old, b"of the first")
            await driver.revoke(context(), requests.Revoke(volume="volume", host="host-a"))
            await driver.delete_volume(context(), requests.DeleteVolume(key="volume"))
            new = await granted(driver, "volume", "host-a")
            assert await read(new, 12) == bytes(12)
            with pytest.raises(Denied):
                await read(old, 12)

    asyncio.run(story())


def test_grants_outlive_the_server() -> None:
    """After the server was killed and started each host has what it was granted, and no more."""

    async def story() -> None:
        async with store() as (testbed, config, driver):
            kept = await granted(driver, "kept", "host-a")
            await write(kept, b"kept")
            gone = await granted(driver, "gone", "host-b")
            await driver.revoke(context(), requests.Revoke(volume="gone", host="host-b"))
            before = await testbed.inspector(Role.PRIMARY, config.namespace).inventory()
            async with testbed.inject(Fault.KILLED):
                pass
            assert await read(kept, 4) == b"kept"
            with pytest.raises(Denied):
                await read(gone, 4)
            handle = await driver.open(context(), requests.Open(volume="kept", host="host-a"))
            assert handle == kept
            assert await testbed.inspector(Role.PRIMARY, config.namespace).inventory() == before

    asyncio.run(story())


def test_grants_are_replayed_where_the_server_did_not_read_them() -> None:
    """A server that started without its exports is told of them by the first verb that comes."""

    async def story() -> None:
        async with store() as (testbed, _, driver):
            handle = await granted(driver, "volume", "host-a")
            await write(handle, b"kept")
            hidden = "mkdir -p /state/hidden && mv /state/exports/* /state/hidden"
            assert (await testbed.server.exec(("sh", "-c", hidden))).status == 0
            async with testbed.inject(Fault.KILLED):
                pass
            with pytest.raises(Denied):
                await read(handle, 4)
            await driver.get_volume(context(), requests.GetVolume(key="volume"))
            assert await read(handle, 4) == b"kept"

    asyncio.run(story())


def test_a_host_without_an_address_is_refused() -> None:
    """A host whose address nobody knows cannot be attached; one that is an address can."""

    async def story() -> None:
        async with nfs_testbed(runtime().new_id("test")) as testbed:
            config = testbed.config(Role.PRIMARY, "namespace")
            async with NfsProvider().life_cycle(config, Role.PRIMARY) as life_cycle:
                await life_cycle.initialize(context(), requests.InitializeStore(name="volumes"))
                with pytest.raises(Invalid, match="`hosts`"):
                    await life_cycle.attach(context(), requests.AttachHost(host="stranger"))
                info = await life_cycle.attach(context(), requests.AttachHost(host="192.0.2.17"))
                assert info.hosts == ("192.0.2.17",)

    asyncio.run(story())
