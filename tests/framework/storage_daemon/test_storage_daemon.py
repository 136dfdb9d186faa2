"""The hosts' daemons as processes: private, without secrets in sight, gone with their owner."""

import asyncio
import logging
import os
import select
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from daemons import make_image, require_plane
from engines import require_engine
from holdfast.concurrency.runtime import RealRuntime
from holdfast.contract.errors import Denied, EnvironmentUnavailable
from holdfast.contract.handles import BlockNodeHandle
from holdfast.contract.testbed import HostPlace
from holdfast.data import open_block_io
from holdfast.storage_daemon import DataPlane, use_data_plane
from holdfast_drivers.servers.network import host_obstacle, host_places

MIB = 1 << 20
SECRET = "canary-of-a-granted-host"
OWNER = """
import asyncio, sys
from holdfast.storage_daemon import DataPlane

async def main():
    async with DataPlane() as plane:
        print((await plane.daemon("host-a")).pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def _plane_can_work() -> None:
    require_plane()


def folders_of(process: int) -> list[Path]:
    """The private folders that planes of a process have."""
    return list(Path(tempfile.gettempdir()).glob(f"holdfast-plane-{process}-*"))


def test_a_daemon_ends_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon whose owner is killed is killed by the kernel, and its folder is cleared up by the
    next plane.
    """
    base = tempfile.mkdtemp(prefix="holdfast-t")  # other planes would clear up, too
    monkeypatch.setenv("TMPDIR", base)
    monkeypatch.setattr(tempfile, "tempdir", base)
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        daemon = os.pidfd_open(int(owner.stdout.readline()))
        owner.send_signal(signal.SIGKILL)
    ended, _, _ = select.select([daemon], [], [], 30)
    os.close(daemon)
    assert ended
    folders = folders_of(owner.pid)
    assert len(folders) == 1
    assert folders[0].is_dir()

    async def another() -> None:
        async with DataPlane() as plane:
            await plane.start(["host-a"])

    asyncio.run(another())
    assert not folders[0].exists()
    Path(base).rmdir()


def test_a_plane_leaves_no_process_and_no_folder() -> None:
    """When a plane ends its daemons have ended, and its private folder is gone."""

    async def run() -> list[int]:
        async with DataPlane() as plane:
            await plane.start(["host-a", "host-b"])
            (made,) = folders_of(os.getpid())
            assert stat.S_IMODE(made.stat().st_mode) == 0o700
            return [(await plane.daemon(host)).pid for host in ("host-a", "host-b")]

    pids = asyncio.run(run())
    assert len(set(pids)) == 2
    assert not [pid for pid in pids if Path("/proc", str(pid)).exists()]
    assert folders_of(os.getpid()) == []


def test_a_daemon_that_died_is_replaced(tmp_path: Path) -> None:
    """A volume is attached anew after its host's daemon was killed, without the user's doing."""
    image = make_image(tmp_path / "disk.raw", MIB)
    described = f'{{"driver": "raw", "file": {{"driver": "file", "filename": "{image}"}}}}'
    handle = BlockNodeHandle(blockdev=described, size_bytes=MIB, host="host-a", volume="disk")

    async def run() -> None:
        async with DataPlane() as plane:
            with use_data_plane(plane):
                async with open_block_io(handle) as content:
                    await content.write_at(0, b"durable")
                    await content.flush()
                    first = (await plane.daemon("host-a")).pid
                    assert plane.processes == {first}
                    os.kill(first, signal.SIGKILL)
                    assert await content.read_at(0, 7) == b"durable"
                    second = (await plane.daemon("host-a")).pid
                    assert second != first
                    assert plane.processes == {second}

    asyncio.run(run())


def encrypted(path: Path) -> BlockNodeHandle:
    """A disk that can be opened with a secret only.

    qemu-img counts rounds of the hash against its own processor time, and gives up where they took
    none: those of a quick hash are sometimes over before the clock has moved.
    """
    secret = f"secret,id=key,data={SECRET}"
    create = ["qemu-img", "create", "-q", "-f", "luks", "--object", secret]
    create += ["-o", "key-secret=key,iter-time=10,hash-alg=sha512", str(path), str(MIB)]
    subprocess.run(create, check=True, timeout=60)
    described = (
        '{"driver": "luks", "key-secret": "granted", '
        f'"file": {{"driver": "file", "filename": "{path}"}}}}'
    )
    return BlockNodeHandle(blockdev=described, size_bytes=MIB, host="host-a", volume="disk")


@pytest.mark.slow
def test_secrets_are_told_to_the_daemon_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A host's secret opens its volume, is forgotten with the grant, and is in no log, no command
    line and no environment.
    """
    handle = encrypted(tmp_path / "disk.luks")
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        async with DataPlane() as plane:
            with use_data_plane(plane):
                with pytest.raises(Denied, match="has no secret"):
                    async with open_block_io(handle):
                        pass
                await plane.granted("host-a", "disk", SECRET)
                async with open_block_io(handle) as content:
                    assert len(await content.read_at(0, 512)) == 512
                process = Path("/proc", str((await plane.daemon("host-a")).pid))
                for name in ("cmdline", "environ"):
                    assert SECRET.encode() not in (process / name).read_bytes()
                await plane.revoke("host-a", "disk")
                with pytest.raises(Denied, match="has no secret"):
                    async with open_block_io(handle):
                        pass

    asyncio.run(run())
    assert SECRET not in caplog.text


def test_a_daemon_runs_where_its_host_is() -> None:
    """A host with a network of its own has its storage daemon in that network, and only there."""
    require_engine()
    if obstacle := host_obstacle():
        pytest.skip(obstacle)

    async def run() -> None:
        async with (
            host_places(["host-a"], RealRuntime().new_id("plane")) as places,
            DataPlane(lambda host: places.get(host, HostPlace())) as plane,
        ):
            found = {
                host: inode_of(f"/proc/{(await plane.daemon(host)).pid}/ns/net")
                for host in ("host-a", "host-b")
            }
            named = inode_of(f"/run/netns/{places['host-a'].network_namespace}")
        assert found == {"host-a": named, "host-b": inode_of("/proc/self/ns/net")}

    asyncio.run(run())


def inode_of(path: str) -> int:
    """What tells two network namespaces apart."""
    return Path(path).stat().st_ino


def test_a_daemon_that_does_not_start_says_why() -> None:
    """A host whose place does not exist is an error that repeats what the system said."""
    place = HostPlace(network_namespace="holdfast-no-such-place")

    async def run() -> None:
        async with DataPlane(lambda _: place) as plane:
            with pytest.raises(EnvironmentUnavailable, match="holdfast-no-such-place"):
                await plane.start(["host-a"])

    asyncio.run(run())
