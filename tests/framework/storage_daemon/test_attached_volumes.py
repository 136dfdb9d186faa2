"""Volumes attached to hosts through real storage daemons: bytes, ranges, and what is kept open."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from daemons import make_image, require_plane
from holdfast.contract.errors import Corrupt, Denied, Invalid, OutOfRange, Unsupported
from holdfast.contract.handles import BlockNodeHandle, FileHandle
from holdfast.data import open_block_io
from holdfast.storage_daemon import DataPlane, Guest, use_data_plane

MIB = 1 << 20
Body = Callable[[DataPlane], Awaitable[None]]


@pytest.fixture(autouse=True)
def _plane_can_work() -> None:
    require_plane()


def on_plane(body: Body, *, attachments_max: int = 64) -> None:
    """Run a test with a data plane that is the current one."""

    async def run() -> None:
        async with DataPlane(attachments_max=attachments_max) as plane:
            with use_data_plane(plane):
                await body(plane)

    asyncio.run(run())


def node(
    path: Path,
    form: str = "raw",
    *,
    host: str = "host-a",
    volume: str = "disk",
    size_bytes: int = 8 * MIB,
    read_only: bool = False,
) -> BlockNodeHandle:
    """The handle of a disk image."""
    described = {"driver": form, "file": {"driver": "file", "filename": str(path)}}
    return BlockNodeHandle(
        blockdev=json.dumps(described),
        size_bytes=size_bytes,
        host=host,
        volume=volume,
        read_only=read_only,
    )


async def nodes_of(plane: DataPlane, host: str) -> int:
    """How many block nodes a host's daemon has."""
    daemon = await plane.daemon(host)
    found = await daemon.execute("query-named-block-nodes", {"flat": True}, deadline_s=8)
    return len(msgspec.convert(found, list[dict[str, object]]))


def test_what_a_host_wrote_and_flushed_is_in_the_storage(tmp_path: Path) -> None:
    """Bytes written through an attachment and flushed are in the file behind it."""
    image = make_image(tmp_path / "disk.raw", 8 * MIB)

    async def body(_: DataPlane) -> None:
        async with open_block_io(node(image)) as content:
            await content.write_at(MIB + 5, b"holdfast" * 1000)
            await content.flush()

    on_plane(body)
    assert image.read_bytes()[MIB + 5 :][:8000] == b"holdfast" * 1000


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_another_host_reads_what_the_first_one_wrote(tmp_path: Path, form: str) -> None:
    """After the grant has moved, host B reads the bytes that host A wrote, and A is refused."""
    image = make_image(tmp_path / "disk", 8 * MIB, form)

    async def body(plane: DataPlane) -> None:
        async with Guest(plane, "host-a").disk(node(image, form)) as disk:
            await disk.write("one", 3, 40)
            await plane.revoke("host-a", "disk")
            with pytest.raises(Denied):
                await disk.verify("one", 3, 40)
        async with Guest(plane, "host-b").disk(node(image, form, host="host-b")) as disk:
            await disk.verify("one", 3, 40)
            assert await disk.zeroes(43, 10)

    on_plane(body)


def test_a_guest_tells_a_block_that_is_not_its_own(tmp_path: Path) -> None:
    """A block with other content than what was written there is reported as damage."""
    image = make_image(tmp_path / "disk.raw", 8 * MIB)

    async def body(plane: DataPlane) -> None:
        async with Guest(plane, "host-a").disk(node(image)) as disk:
            await disk.write("one", 0, 2)
            with pytest.raises(Corrupt, match="disk one block 0"):
                await disk.verify("two", 0, 1)
            with pytest.raises(Corrupt, match="holds zeroes"):
                await disk.verify("one", 1, 2)

    on_plane(body)


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_extents_follow_writes_and_discards(tmp_path: Path, form: str) -> None:
    """What holds data is told, and what was discarded reads as zeroes and is not among it."""
    image = make_image(tmp_path / "disk", 8 * MIB, form)

    async def body(_: DataPlane) -> None:
        async with open_block_io(node(image, form)) as content:
            assert await content.extents() == ()
            await content.write_at(2 * MIB, b"x" * MIB)
            found = await content.extents()
            assert [(e.offset_bytes, e.length_bytes) for e in found] == [(2 * MIB, MIB)]
            await content.discard(2 * MIB, MIB)
            assert await content.extents() == ()
            assert await content.read_at(2 * MIB, MIB) == bytes(MIB)

    on_plane(body)


def test_long_reads_and_writes_are_whole(tmp_path: Path) -> None:
    """A transfer larger than one request of the protocol arrives as it was sent."""
    image = make_image(tmp_path / "disk.raw", 40 * MIB)
    data = bytes(range(256)) * (36 * MIB // 256)

    async def body(_: DataPlane) -> None:
        async with open_block_io(node(image, size_bytes=40 * MIB)) as content:
            await content.write_at(7, data)
            assert await content.read_at(7, len(data)) == data

    on_plane(body)


def test_what_is_outside_or_forbidden_is_refused(tmp_path: Path) -> None:
    """Ranges past the end and writes through a read-only handle are refused, and touch nothing."""
    image = make_image(tmp_path / "disk.raw", 8 * MIB)

    async def body(_: DataPlane) -> None:
        async with open_block_io(node(image, read_only=True)) as content:
            assert await content.read_at(8 * MIB - 4, 4) == bytes(4)
            with pytest.raises(OutOfRange):
                await content.read_at(8 * MIB - 4, 5)
            with pytest.raises(Denied):
                await content.write_at(0, b"x")
            with pytest.raises(Denied):
                await content.discard(0, 512)

    on_plane(body)
    assert not any(image.read_bytes())


def test_a_volume_stays_attached_between_openings(tmp_path: Path) -> None:
    """Opening an equal handle again uses the attachment there is; another handle replaces it."""
    image = make_image(tmp_path / "disk.raw", 8 * MIB)

    async def body(plane: DataPlane) -> None:
        for _ in range(3):
            async with open_block_io(node(image)) as content:
                await content.read_at(0, 512)
            assert await nodes_of(plane, "host-a") == 2
        with image.open("r+b") as file:
            file.truncate(16 * MIB)
        async with open_block_io(node(image, size_bytes=16 * MIB)) as content:
            assert await content.read_at(12 * MIB, 512) == bytes(512)
        assert await nodes_of(plane, "host-a") == 2
        await plane.let_go()
        assert await nodes_of(plane, "host-a") == 0

    on_plane(body)


def test_only_so_many_volumes_stay_attached(tmp_path: Path) -> None:
    """The volumes used longest ago are detached when there are too many, those in use never."""
    images = [make_image(tmp_path / f"{number}.raw", MIB) for number in range(5)]

    async def body(plane: DataPlane) -> None:
        first = node(images[0], volume="0", size_bytes=MIB)
        async with open_block_io(first) as content:
            for number in range(1, 5):
                handle = node(images[number], volume=str(number), size_bytes=MIB)
                async with open_block_io(handle):
                    pass
            assert await nodes_of(plane, "host-a") == 2 * 3
            assert await content.read_at(0, 512) == bytes(512)

    on_plane(body, attachments_max=2)


def test_a_program_that_keeps_a_file_open_is_stopped_by_revoke(tmp_path: Path) -> None:
    """Where the consumer enforces grants, revoke stops I/O that is open, though the file is there.

    A handle that is opened anew after another grant works again.
    """
    image = make_image(tmp_path / "disk.raw", 8 * MIB)
    handle = FileHandle(path=str(image), size_bytes=8 * MIB)

    async def body(plane: DataPlane) -> None:
        guest = Guest(plane, "host-a")
        async with guest.disk(handle, "disk") as disk:
            await disk.write("one", 0, 1)
            await plane.revoke("host-a", "disk")
            with pytest.raises(Denied):
                await disk.content.read_at(0, 512)
            with pytest.raises(Denied):
                await disk.write("two", 0, 1)
        await plane.granted("host-a", "disk")
        async with guest.disk(handle, "disk") as disk:
            await disk.verify("one", 0, 1)

    on_plane(body)


def test_a_volume_that_is_gone_is_denied(tmp_path: Path) -> None:
    """A handle to a file that is not there is refused, and the daemon keeps nothing of it."""

    async def body(plane: DataPlane) -> None:
        with pytest.raises(Denied):
            async with open_block_io(node(tmp_path / "missing.raw")):
                pass
        assert await nodes_of(plane, "host-a") == 0

    on_plane(body)


def test_a_volume_that_is_too_small_is_corrupt(tmp_path: Path) -> None:
    """A volume smaller than its handle says is refused, and not left attached."""
    image = make_image(tmp_path / "disk.raw", MIB)

    async def body(plane: DataPlane) -> None:
        with pytest.raises(Corrupt, match="1048576 bytes, not 8388608"):
            async with open_block_io(node(image)):
                pass
        assert await nodes_of(plane, "host-a") == 0

    on_plane(body)


@pytest.mark.parametrize("described", ["{", "[]", "{}", '{"driver": "raw", "file": {}}'])
def test_a_description_that_is_none_is_invalid(described: str) -> None:
    """A handle whose block node is described wrongly is refused before any daemon is asked."""

    async def body(_: DataPlane) -> None:
        with pytest.raises(Invalid):
            async with open_block_io(BlockNodeHandle(blockdev=described, size_bytes=MIB)):
                pass

    on_plane(body)


def test_without_a_plane_a_block_node_is_unsupported(tmp_path: Path) -> None:
    """A block node is refused where no data plane is open, and the message says so."""

    async def opened() -> None:
        with pytest.raises(Unsupported, match="no data plane is open"):
            async with open_block_io(node(tmp_path / "disk.raw")):
                pass

    asyncio.run(opened())
