"""A storage that refuses, dies or says nothing: the right error, in time, and the plane goes on."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from daemons import NbdServer, make_image, nbd_server, require_plane
from holdfast.contract.errors import Denied, DriverError, Unavailable, Unknown
from holdfast.contract.handles import BlockNodeHandle
from holdfast.data import open_block_io
from holdfast.storage_daemon import DataPlane, use_data_plane
from holdfast.storage_daemon.attach_refusals import refusal

MIB = 1 << 20
SIZE = 4 * MIB


@pytest.fixture(autouse=True)
def _plane_can_work() -> None:
    require_plane()


def served(server: NbdServer, host: str = "host-a", volume: str = "far") -> BlockNodeHandle:
    """The handle of the disk that a server on the network has."""
    described = {
        "driver": "raw",
        "file": {"driver": "nbd", "server": {"type": "unix", "path": str(server.socket)}},
    }
    return BlockNodeHandle(
        blockdev=json.dumps(described), size_bytes=SIZE, host=host, volume=volume
    )


def beside(path: Path) -> BlockNodeHandle:
    """The handle of a disk that has nothing to do with the server."""
    described = {"driver": "raw", "file": {"driver": "file", "filename": str(path)}}
    return BlockNodeHandle(
        blockdev=json.dumps(described), size_bytes=SIZE, host="host-a", volume="near"
    )


def on_plane(
    body: Callable[[DataPlane, NbdServer], Awaitable[None]],
    folder: Path,
    *,
    deadline_s: float = 8.0,
) -> None:
    """Run a test with a data plane and a server."""

    async def run(server: NbdServer) -> None:
        async with DataPlane(deadline_s=deadline_s) as plane:
            with use_data_plane(plane):
                await body(plane, server)

    with nbd_server(folder, SIZE) as server:
        asyncio.run(run(server))


def test_a_silent_storage_ends_in_unknown_in_time(tmp_path: Path) -> None:
    """While a server is frozen a read ends in ``Unknown`` at its deadline, attaching in
    ``Unavailable``; other volumes of the host work, and so does this one afterwards.
    """
    near = make_image(tmp_path / "near.raw", SIZE)

    async def body(plane: DataPlane, server: NbdServer) -> None:
        patience_s = plane.deadline_s
        async with open_block_io(served(server)) as far, open_block_io(beside(near)) as other:
            await far.write_at(0, b"before")
            await far.flush()
            server.send(signal.SIGSTOP)
            plane.deadline_s = 0.3
            with pytest.raises(Unknown, match=r"no answer within 0.3 s"):
                await far.read_at(0, 6)
            with pytest.raises(Unknown, match="does not answer"):
                await far.read_at(0, 6)
            plane.deadline_s = patience_s
            await other.write_at(0, b"near")
            await other.flush()
            assert await other.read_at(0, 4) == b"near"
        plane.deadline_s = 0.3
        with pytest.raises(Unavailable, match="does not answer"):
            async with open_block_io(served(server)):
                pass
        plane.deadline_s = patience_s
        server.send(signal.SIGCONT)
        async with open_block_io(served(server)) as far:
            assert await far.read_at(0, 6) == b"before"

    on_plane(body, tmp_path)


def test_a_storage_that_dies_under_way_ends_in_unknown(tmp_path: Path) -> None:
    """When a server is killed I/O ends in ``Unknown`` and attaching in ``Unavailable``; when it is
    back, what is open goes on.
    """

    async def body(_: DataPlane, server: NbdServer) -> None:
        async with open_block_io(served(server)) as content:
            await content.write_at(0, b"before")
            await content.flush()
            server.end()
            with pytest.raises(Unknown, match="reading failed"):
                await content.read_at(0, 6)
            with pytest.raises(Unavailable):
                async with open_block_io(served(server)):
                    pass
            server.start()
            assert await content.read_at(0, 6) == b"before"

    on_plane(body, tmp_path)


def test_a_flush_does_not_vouch_for_bytes_of_a_lost_attachment(tmp_path: Path) -> None:
    """Bytes written before a server was lost are not called durable by a flush after it."""

    async def body(_: DataPlane, server: NbdServer) -> None:
        async with open_block_io(served(server)) as content:
            await content.write_at(0, b"perhaps")
            server.end()
            server.start()
            assert len(await content.read_at(0, 7)) == 7
            with pytest.raises(Unknown, match="may be lost"):
                await content.flush()
            await content.write_at(0, b"surely")
            await content.flush()
            assert await content.read_at(0, 6) == b"surely"

    on_plane(body, tmp_path)


def test_after_its_grant_ended_a_host_is_served_only_by_the_storage_itself(tmp_path: Path) -> None:
    """A host whose grant has ended reads on where the storage lets it, and nowhere else."""

    async def body(plane: DataPlane, server: NbdServer) -> None:
        async with open_block_io(served(server)) as content:
            plane.grant_ended("host-a", "far")
            assert await content.read_at(0, 6) == bytes(6)
            server.end()
            with pytest.raises(Unavailable):
                await content.read_at(0, 6)

    on_plane(body, tmp_path)


def test_a_host_that_does_not_answer_after_its_grant_ended_is_looked_at_anew(
    tmp_path: Path,
) -> None:
    """A session that the storage answers no more does not hold a read up until its deadline."""

    async def body(plane: DataPlane, server: NbdServer) -> None:
        async with open_block_io(served(server)) as content:
            await content.read_at(0, 6)
            plane.grant_ended("host-a", "far")
            server.send(signal.SIGSTOP)
            server.end()
            server.start()
            assert await content.read_at(0, 6) == bytes(6)

    on_plane(body, tmp_path)


def test_a_format_does_not_answer_for_its_storage(tmp_path: Path) -> None:
    """After a grant has ended, blocks that a format knows to be zeroes are not read without it."""
    image = make_image(tmp_path / "disk.qcow2", SIZE, "qcow2")
    described = {"driver": "qcow2", "file": {"driver": "file", "filename": str(image)}}
    handle = BlockNodeHandle(
        blockdev=json.dumps(described), size_bytes=SIZE, host="host-a", volume="near"
    )

    async def body(plane: DataPlane, _: NbdServer) -> None:
        async with open_block_io(handle) as content:
            assert await content.read_at(0, 512) == bytes(512)
            plane.grant_ended("host-a", "near")
            image.unlink()
            with pytest.raises(Denied):
                await content.read_at(0, 512)

    on_plane(body, tmp_path)


_LUN = "iSCSI: Failed to connect to LUN : "
_LOGIN = "Failed to log in to target. Status: "


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (f"{_LUN}{_LOGIN}Target not found(515)", Denied),
        (f"{_LUN}{_LOGIN}Authentication failure(513)", Denied),
        (f"{_LUN}SENSE KEY:ILLEGAL_REQUEST(5) ASCQ:LOGICAL_UNIT_NOT_SUPPORTED(0x2500)", Denied),
        (f"{_LUN}iscsi_service failed with : Can not reconnect right now.\n", Unavailable),
        ("Failed to mount nfs share: mount/mnt call failed with MNT3ERR_ACCES(13)", Denied),
        ("Could not open '/a': No such file or directory", Denied),
        ("Failed to connect to 'nas:3260': Connection refused", Unavailable),
        ("Failed to connect to 'nas:3260': Connection timed out", Unavailable),
    ],
)
def test_what_qemu_says_becomes_the_right_error(said: str, expected: type[DriverError]) -> None:
    """A refusal by the storage is ``Denied``, a storage that is away ``Unavailable``."""
    found = refusal(said, host="host-a", volume="disk")
    assert type(found) is expected
    assert "\n" not in str(found)
