"""Volumes that tgt serves: who is let in, who is kept out, and what a restart keeps."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from engines import require_engine
from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.answers import Absent, Done, HealthState, OwnedKind, Partial
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import Conflict, Denied, DriverError, Invalid
from holdfast.contract.handles import BlockNodeHandle
from holdfast.contract.ports import PrimaryDriver
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast.data.open_handle import open_block_io
from holdfast.storage_daemon import DataPlane
from holdfast_drivers.iscsi import IscsiProvider
from holdfast_drivers.iscsi.names import initiator_name
from holdfast_drivers.iscsi.testbed import IscsiTestbed, iscsi_testbed
from hosted_volumes import context, used_by_hosts

pytestmark = pytest.mark.slow
SIZE_BYTES = 1 << 20
BLOCK = 4096
SECRETS = {"host-a": "a-secret-of-host-a", "host-b": "b-secret-of-host-b", "host-c": ""}
NAMESPACE = "tests"


@pytest.fixture(autouse=True)
def _engine() -> None:
    require_engine()


class World:
    """A store, the hosts that use it, and where its server runs."""

    def __init__(self, testbed: IscsiTestbed, driver: PrimaryDriver, plane: DataPlane) -> None:
        self.testbed = testbed
        self.driver = driver
        self.plane = plane

    async def volume(self, key: str) -> None:
        """Make a volume."""
        request = requests.CreateVolume(key=key, size_bytes=SIZE_BYTES)
        await self.driver.create_volume(context(), request)

    async def granted(
        self, key: str, host: str, mode: AccessMode = AccessMode.EXCLUSIVE
    ) -> BlockNodeHandle:
        """Grant a volume to a host, and its handle there."""
        secret = SECRETS[host]
        request = requests.Grant(volume=key, host=host, mode=mode, secret=secret)
        await self.driver.grant(context(), request)
        await self.plane.granted(host, key, secret)
        handle = await self.driver.open(context(), requests.Open(volume=key, host=host))
        assert isinstance(handle, BlockNodeHandle)
        return handle

    async def revoke(self, key: str, host: str) -> None:
        """Take a grant back; the host stays attached, to show what the server does."""
        await self.driver.revoke(context(), requests.Revoke(volume=key, host=host))
        self.plane.grant_ended(host, key)

    async def grants_seen(self) -> list[str]:
        """What the inspector sees of grants, and of anything unfinished."""
        found = await self.testbed.inspector(Role.PRIMARY, NAMESPACE).inventory()
        kinds = {OwnedKind.GRANT, OwnedKind.TEMPORARY}
        return [thing.detail or thing.key for thing in found.things if thing.kind in kinds]


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """A storage host of its own, with a store that serves all hosts."""
    async with iscsi_testbed(runtime().new_id("test")) as testbed:
        config = testbed.config(Role.PRIMARY, NAMESPACE)
        async with used_by_hosts(IscsiProvider(), testbed, config) as (driver, plane):
            yield World(testbed, driver, plane)


async def write(handle: BlockNodeHandle, letter: bytes) -> None:
    """Fill the first block, durably, as the host of the handle."""
    async with open_block_io(handle) as volume:
        await volume.write_at(0, letter * BLOCK)
        await volume.flush()


async def read(handle: BlockNodeHandle) -> bytes:
    """The first block, in short, as the host of the handle."""
    async with open_block_io(handle) as volume:
        data = await volume.read_at(0, BLOCK)
    assert data == data[:1] * BLOCK
    return data[:1]


def portal_of(handle: BlockNodeHandle) -> dict[str, str]:
    """What the handle says to QEMU."""
    found = msgspec.json.decode(handle.blockdev, type=dict[str, str | int])
    return {name: str(value) for name, value in found.items()}


def test_bytes_follow_a_grant_from_host_to_host() -> None:
    """What one host wrote another reads once it has the grant; the first is kept out before."""

    async def story() -> None:
        async with world() as seen:
            await seen.volume("v")
            first = await seen.granted("v", "host-a")
            await write(first, b"a")
            await seen.revoke("v", "host-a")
            with pytest.raises(Denied):
                await read(first)
            with pytest.raises(Denied):
                await write(first, b"x")
            second = await seen.granted("v", "host-b")
            assert await read(second) == b"a"
            assert await seen.grants_seen() == ["v|host-b|exclusive"]

    asyncio.run(story())


def test_revoke_ends_a_writer_that_never_rests() -> None:
    """A host that writes without pause fails as soon as its grant is taken back, not later."""

    async def story() -> None:
        async with world() as seen:
            await seen.volume("v")
            handle = await seen.granted("v", "host-a")
            written = asyncio.Semaphore(0)

            async def write_on() -> None:
                async with open_block_io(handle) as volume:
                    while True:
                        await volume.write_at(0, b"a" * BLOCK)
                        written.release()

            writers = [asyncio.ensure_future(write_on()) for _ in range(4)]
            for _ in range(50):
                await written.acquire()
            await seen.revoke("v", "host-a")
            second = await seen.granted("v", "host-b")
            await write(second, b"b")
            ends = await asyncio.gather(*writers, return_exceptions=True)
            assert [isinstance(end, DriverError) for end in ends] == [True] * 4
            assert await read(second) == b"b"

    asyncio.run(story())


def test_revoke_ends_a_writer_that_goes_on_after_errors() -> None:
    """Commands that keep coming once the volume is gone do not keep its target alive."""

    async def story() -> None:
        async with world() as seen:
            for key in (f"v{number}" for number in range(12)):
                await seen.volume(key)
                handle = await seen.granted(key, "host-a")
                written = asyncio.Semaphore(0)
                writers = [
                    asyncio.ensure_future(_write_through_errors(handle, written)) for _ in range(12)
                ]
                for _ in range(50):
                    await written.acquire()
                await seen.revoke(key, "host-a")
                for writer in writers:
                    writer.cancel()
                await asyncio.gather(*writers, return_exceptions=True)
            assert await seen.grants_seen() == []

    asyncio.run(story())


async def _write_through_errors(handle: BlockNodeHandle, written: asyncio.Semaphore) -> None:
    async with open_block_io(handle) as volume:
        while True:
            with contextlib.suppress(DriverError):
                await volume.write_at(0, b"a" * BLOCK)
                written.release()


def test_the_server_refuses_a_wrong_initiator() -> None:
    """Another host with the right secret and handle is refused by tgt."""

    async def story() -> None:
        async with world() as seen:
            await seen.volume("v")
            handle = await seen.granted("v", "host-a")
            stolen = msgspec.structs.replace(
                handle,
                host="host-b",
                blockdev=handle.blockdev.replace(
                    initiator_name("host-a"), initiator_name("host-b")
                ),
            )
            await seen.plane.granted("host-b", "v", SECRETS["host-a"])
            with pytest.raises(Denied):
                await read(stolen)
            assert await read(handle) == b"\0"

    asyncio.run(story())


def test_the_server_refuses_a_wrong_chap_secret() -> None:
    """The right initiator name with a wrong secret is refused by tgt."""

    async def story() -> None:
        async with world() as seen:
            await seen.volume("v")
            handle = await seen.granted("v", "host-a")
            await seen.plane.granted("host-a", "v", "another-secret-12")
            with pytest.raises(Denied):
                await read(handle)
            await seen.plane.granted("host-a", "v", SECRETS["host-a"])
            assert await read(handle) == b"\0"

    asyncio.run(story())


def test_a_reader_cannot_write_whatever_its_host_does() -> None:
    """A read-only grant is read-only at the server, and two hosts may have one at once."""

    async def story() -> None:
        async with world() as seen:
            await seen.volume("v")
            handle = await seen.granted("v", "host-a", AccessMode.READ_ONLY)
            other = await seen.granted("v", "host-c", AccessMode.READ_ONLY)
            assert (await read(handle), await read(other)) == (b"\0", b"\0")
            with pytest.raises(DriverError):
                await write(msgspec.structs.replace(handle, read_only=False), b"x")
            assert await read(other) == b"\0"

    asyncio.run(story())


def test_grants_outlive_the_server() -> None:
    """A tgt that was killed knows nothing; the first verb tells it of every grant again."""

    async def story() -> None:
        async with world() as seen:
            for key, host in (("v", "host-a"), ("w", "host-b"), ("x", "host-c")):
                await seen.volume(key)
                await write(await seen.granted(key, host), key.encode())
            async with seen.testbed.inject(Fault.KILLED):
                health = await seen.driver.health(context(2), requests.CheckHealth())
                assert health.state is HealthState.DOWN
            health = await seen.driver.health(context(), requests.CheckHealth())
            assert health.state is HealthState.UP
            assert sorted(await seen.grants_seen()) == [
                "v|host-a|exclusive",
                "w|host-b|exclusive",
                "x|host-c|exclusive",
            ]
            await seen.plane.detach_all()
            for key, host in (("v", "host-a"), ("w", "host-b"), ("x", "host-c")):
                assert await read(await seen.granted(key, host)) == key.encode()

    asyncio.run(story())


def test_an_old_handle_never_shows_another_volume() -> None:
    """After delete and create under one key, and a new grant, the old handle opens nothing."""

    async def story() -> None:
        async with world() as seen:
            await seen.volume("v")
            old = await seen.granted("v", "host-a")
            await write(old, b"a")
            await seen.revoke("v", "host-a")
            await seen.driver.delete_volume(context(), requests.DeleteVolume(key="v"))
            await seen.volume("v")
            new = await seen.granted("v", "host-a")
            assert await read(new) == b"\0"
            assert portal_of(new)["target"] != portal_of(old)["target"]
            with pytest.raises(Denied):
                await read(old)

    asyncio.run(story())


def test_a_snapshot_of_a_volume_in_use_is_one_moment() -> None:
    """A snapshot that is taken while a host writes has what was flushed, and nothing later."""

    async def story() -> None:
        async with world() as seen:
            await seen.volume("v")
            handle = await seen.granted("v", "host-a")
            await write(handle, b"a")
            await seen.driver.create_snapshot(
                context(), requests.CreateSnapshot(key="s", volume="v")
            )
            await write(handle, b"b")
            source = requests.SnapshotSource("s")
            request = requests.CreateVolume(key="w", size_bytes=SIZE_BYTES, source=source)
            await seen.driver.create_volume(context(), request)
            assert await read(await seen.granted("w", "host-b")) == b"a"
            assert await read(handle) == b"b"

    asyncio.run(story())


def test_a_half_made_grant_is_partial_and_repetition_completes_it() -> None:
    """Where tgt has lost a target, ``probe`` says so and granting again makes it whole."""

    async def story() -> None:
        async with world() as seen:
            await seen.volume("v")
            handle = await seen.granted("v", "host-a")
            request = requests.Grant(volume="v", host="host-a", secret=SECRETS["host-a"])
            probed = await seen.driver.probe(context(), "grant", request)
            assert isinstance(probed, Done)
            shown = await seen.testbed.server.exec(("tgtadm", "--op", "show", "--mode", "target"))
            name = portal_of(handle)["target"]
            line = next(line for line in shown.stdout.decode().splitlines() if line.endswith(name))
            number = line.split()[1].rstrip(":")
            await seen.testbed.server.exec(
                ("tgtadm", "--op", "delete", "--mode", "target", "--tid", number, "--force")
            )
            assert isinstance(await seen.driver.probe(context(), "grant", request), Partial)
            again = await seen.granted("v", "host-a")
            assert again == handle
            assert await read(again) == b"\0"
            with pytest.raises(Conflict):
                await seen.granted("v", "host-a", AccessMode.READ_ONLY)
            revoke = requests.Revoke(volume="v", host="host-a")
            assert isinstance(await seen.driver.probe(context(), "revoke", revoke), Absent)

    asyncio.run(story())


def test_a_secret_that_tgt_cannot_take_is_refused_without_naming_it() -> None:
    """A comma would end the secret early in tgt's protocol."""

    async def story() -> None:
        async with world() as seen:
            await seen.volume("v")
            request = requests.Grant(volume="v", host="host-a", secret="one,two=three")
            with pytest.raises(Invalid) as refused:
                await seen.driver.grant(context(), request)
            assert "two" not in str(refused.value)
            assert await seen.grants_seen() == []

    asyncio.run(story())


def test_the_target_proves_itself_to_a_host_that_asks() -> None:
    """Mutual CHAP: a host lists the target with the right secret of the server, else it leaves."""
    tool = shutil.which("iscsi-ls")
    if tool is None:
        pytest.skip("iscsi-ls is missing; run: holdfast backends build")

    async def listed(handle: BlockNodeHandle, secret: str) -> int:
        told = portal_of(handle)
        user = f"{told['user']}%{SECRETS['host-a']}"
        mutual = f"target_user=target&target_password={secret}"
        url = f"iscsi://{user}@{told['portal']}/{told['target']}/1?{mutual}"
        process = await asyncio.create_subprocess_exec(
            shutil.which("iscsi-inq") or "iscsi-inq",
            "-i",
            initiator_name("host-a"),
            url,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await process.wait()

    async def story() -> None:
        async with world() as seen:
            await seen.volume("v")
            handle = await seen.granted("v", "host-a")
            config = seen.testbed.config(Role.PRIMARY, NAMESPACE)
            assert await listed(handle, config.mutual_secret) == 0
            assert await listed(handle, "not-the-target-s") != 0

    asyncio.run(story())
