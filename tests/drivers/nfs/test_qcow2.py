"""Volumes that are qcow2 images on an NFS server, and hosts that write what they should not."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from engines import require_simulated_hosts
from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.errors import Corrupt, Invalid
from holdfast.contract.handles import BlockNodeHandle
from holdfast.contract.ports import PrimaryDriver
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import Inventory
from holdfast.data.disk_images import ImageFormat
from holdfast.data.open_handle import open_block_io
from holdfast.storage_daemon import DataPlane, use_data_plane
from holdfast_drivers.nfs import NfsProvider
from holdfast_drivers.nfs.agent_entry import entry
from holdfast_drivers.nfs.primary_config import NfsConfig, host_config
from holdfast_drivers.nfs.testbed import NfsTestbed, nfs_testbed

pytestmark = pytest.mark.slow
SIZE_BYTES = 1 << 20
NAMESPACE = "Images of Tests"
SECRET_FILE = b"/etc/ssh/ssh_host_ed25519_key"
NAME_AT = 1024
HEAD_BYTES = 4096


@pytest.fixture
def _hosts() -> None:
    require_simulated_hosts()


def context() -> CallContext:
    """A call with some time."""
    return CallContext(operation="operation", deadline=runtime().now() + 60)


class Store:
    """A store whose hosts are attached, and what tests do with it."""

    def __init__(self, testbed: NfsTestbed, driver: PrimaryDriver) -> None:
        self.testbed = testbed
        self.driver = driver

    async def create(self, key: str, source: requests.Source | None = None) -> None:
        """Make a volume."""
        request = requests.CreateVolume(key=key, size_bytes=SIZE_BYTES, source=source)
        await self.driver.create_volume(context(), request)

    async def snapshot(self, key: str, volume: str) -> None:
        """Keep a volume's bytes."""
        request = requests.CreateSnapshot(key=key, volume=volume)
        await self.driver.create_snapshot(context(), request)

    async def resize(self, key: str, size_bytes: int) -> int:
        """Let a volume grow, and say what it has then."""
        request = requests.ResizeVolume(key=key, size_bytes=size_bytes)
        return (await self.driver.resize_volume(context(), request)).size_bytes

    async def grant(self, volume: str) -> BlockNodeHandle:
        """Let the first host use a volume."""
        await self.driver.grant(context(), requests.Grant(volume=volume, host="host-a"))
        handle = await self.driver.open(context(), requests.Open(volume=volume, host="host-a"))
        assert isinstance(handle, BlockNodeHandle)
        return handle

    async def revoke(self, volume: str) -> None:
        """Take it back."""
        await self.driver.revoke(context(), requests.Revoke(volume=volume, host="host-a"))

    async def written(self, volume: str, data: bytes) -> None:
        """Write at a volume's beginning as the first host."""
        async with open_block_io(await self.grant(volume)) as disk:
            await disk.write_at(0, data)
            await disk.flush()
        await self.revoke(volume)

    async def read(self, volume: str, length_bytes: int) -> bytes:
        """Read a volume's beginning as the first host."""
        async with open_block_io(await self.grant(volume)) as disk:
            found = await disk.read_at(0, length_bytes)
        await self.revoke(volume)
        return found

    async def inventory(self) -> Inventory:
        """What the inspector sees."""
        return await self.testbed.inspector(Role.PRIMARY, NAMESPACE).inventory()


@asynccontextmanager
async def opened(testbed: NfsTestbed, config: NfsConfig) -> AsyncIterator[Store]:
    """A store under one configuration, and the hosts' data plane."""
    async with NfsProvider().primary(config) as driver, DataPlane(testbed.place_of) as plane:
        with use_data_plane(plane):
            yield Store(testbed, driver)


@asynccontextmanager
async def prepared(form: ImageFormat) -> AsyncIterator[tuple[NfsTestbed, NfsConfig]]:
    """A storage host with a store whose hosts are attached."""
    async with nfs_testbed(runtime().new_id("test"), form) as testbed:
        config = testbed.config(Role.PRIMARY, NAMESPACE)
        async with NfsProvider().life_cycle(config, Role.PRIMARY) as life_cycle:
            await life_cycle.initialize(context(), requests.InitializeStore(name="volumes"))
            await life_cycle.attach(context(), requests.AttachHost(host="host-a"))
        yield testbed, config


@asynccontextmanager
async def store(form: ImageFormat) -> AsyncIterator[Store]:
    """A store with volumes of one format."""
    async with prepared(form) as (testbed, config), opened(testbed, config) as made:
        yield made


async def overwritten(handle: BlockNodeHandle, change: Callable[[bytearray], None]) -> None:
    """As a host that was let in, change the beginning of the image file itself."""
    node = msgspec.json.decode(handle.blockdev)
    raw = msgspec.json.encode({"driver": "raw", "file": node["file"]}).decode()
    async with open_block_io(
        msgspec.structs.replace(handle, blockdev=raw, size_bytes=HEAD_BYTES)
    ) as file:
        head = bytearray(await file.read_at(0, HEAD_BYTES))
        change(head)
        await file.write_at(0, bytes(head))
        await file.flush()


def name_a_backing_file(head: bytearray) -> None:
    """Have QEMU read what the image lacks from a file of whoever opens it."""
    head[NAME_AT : NAME_AT + len(SECRET_FILE)] = SECRET_FILE
    head[8:20] = struct.pack(">QI", NAME_AT, len(SECRET_FILE))


def name_a_data_file(head: bytearray) -> None:
    """Have QEMU read and write a file of whoever opens the image."""
    head[79] |= 1 << 2


def grow_in_secret(head: bytearray) -> None:
    """Claim more than the volume has."""
    head[24:32] = struct.pack(">Q", 1 << 40)


def destroy(head: bytearray) -> None:
    """Leave no header."""
    head[:4] = bytes(4)


ATTACKS = (name_a_backing_file, name_a_data_file, grow_in_secret, destroy)


@pytest.mark.usefixtures("_hosts")
def test_an_image_that_a_host_changed_is_corrupt_and_opened_by_nobody() -> None:
    """No program touches an image whose header was changed; a revert or a deletion ends it."""

    async def story() -> None:
        async with store(ImageFormat.QCOW2) as made:
            for attack in ATTACKS:
                await _attacked(made, attack.__name__, attack)

    asyncio.run(story())


async def _attacked(made: Store, volume: str, attack: Callable[[bytearray], None]) -> None:
    await made.create(volume)
    await made.written(volume, b"good")
    await made.snapshot(f"good-{volume}", volume)
    await overwritten(await made.grant(volume), attack)
    with pytest.raises(Corrupt, match="restore it"):
        await made.driver.open(context(), requests.Open(volume=volume, host="host-a"))
    await made.revoke(volume)
    before = await made.inventory()
    with pytest.raises(Corrupt):
        await made.grant(volume)
    with pytest.raises(Corrupt):
        await made.snapshot("bad", volume)
    with pytest.raises(Corrupt):
        await made.create("clone", requests.VolumeSource(volume))
    with pytest.raises(Corrupt):
        await made.resize(volume, 2 * SIZE_BYTES)
    assert await made.inventory() == before
    revert = requests.RevertVolume(key=volume, snapshot=f"good-{volume}")
    await made.driver.revert_volume(context(), revert)
    assert await made.read(volume, 4) == b"good"
    await overwritten(await made.grant(volume), attack)
    await made.revoke(volume)
    await made.driver.delete_volume(context(), requests.DeleteVolume(key=volume))


@pytest.mark.usefixtures("_hosts")
def test_a_raw_volume_stays_raw_whatever_is_written_to_it() -> None:
    """A guest that writes a qcow2 image with a backing file reads back what it wrote."""
    head = bytearray(HEAD_BYTES)
    head[:72] = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 0, 0, 16, 1 << 30, *[0] * 7)
    name_a_backing_file(head)

    async def story() -> None:
        async with store(ImageFormat.RAW) as made:
            await made.create("volume")
            await made.written("volume", bytes(head))
            await made.snapshot("snapshot", "volume")
            await made.create("clone", requests.SnapshotSource("snapshot"))
            assert await made.resize("clone", 2 * SIZE_BYTES) == 2 * SIZE_BYTES
            for volume in ("volume", "clone"):
                assert await made.read(volume, len(head)) == bytes(head)
            sizes = {(one.key, one.size_bytes) for one in (await made.inventory()).things}
            assert {("volume", SIZE_BYTES), ("clone", 2 * SIZE_BYTES)} <= sizes

    asyncio.run(story())


@pytest.mark.usefixtures("_hosts")
def test_an_image_keeps_its_bytes_when_it_grows_and_is_cloned_and_reverted() -> None:
    """What was written is there after growth, in a clone, and again after a revert."""

    async def story() -> None:
        async with store(ImageFormat.QCOW2) as made:
            await made.create("volume")
            await made.written("volume", b"first")
            await made.snapshot("snapshot", "volume")
            assert await made.resize("volume", 3 * SIZE_BYTES) == 3 * SIZE_BYTES
            assert await made.read("volume", 5) == b"first"
            await made.written("volume", b"later")
            await made.create("clone", requests.SnapshotSource("snapshot"))
            assert await made.read("clone", 5) == b"first"
            revert = requests.RevertVolume(key="volume", snapshot="snapshot")
            info = await made.driver.revert_volume(context(), revert)
            assert (info.size_bytes, await made.read("volume", 5)) == (SIZE_BYTES, b"first")

    asyncio.run(story())


@pytest.mark.usefixtures("_hosts")
def test_a_volume_keeps_its_format_when_the_setting_changes() -> None:
    """The setting is that of new volumes: what is there, and what is made of it, stays as it is."""

    async def story() -> None:
        async with prepared(ImageFormat.QCOW2) as (testbed, config):
            async with opened(testbed, config) as made:
                await made.create("image")
                await made.written("image", b"image")
            changed = msgspec.structs.replace(config, format=ImageFormat.RAW)
            async with opened(testbed, changed) as made:
                await made.create("clone", requests.VolumeSource("image"))
                await made.create("raw")
                assert await made.read("image", 5) == b"image"
                assert await made.read("clone", 5) == b"image"
                drivers = {
                    volume: msgspec.json.decode((await made.grant(volume)).blockdev)["driver"]
                    for volume in ("image", "clone", "raw")
                }
        assert drivers == {"image": "qcow2", "clone": "qcow2", "raw": "raw"}

    asyncio.run(story())


def test_a_storage_host_without_qemu_img_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the setting, the program and the package."""
    config = NfsConfig(
        server="127.0.0.1",
        root=str(tmp_path),
        namespace="namespace",
        exports_folder=str(tmp_path),
        format=ImageFormat.QCOW2,
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Invalid, match=r"setting `format`.*qemu-img.*qemu-utils"):
        entry(msgspec.msgpack.encode(host_config(config)))
