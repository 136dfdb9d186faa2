"""A client is killed, and its agent goes on: what it does then is refused, or waited for."""

import asyncio
import fcntl
import os
import sys
from pathlib import Path

import msgspec
import pytest

from holdfast.contract import requests
from holdfast.contract.answers import (
    Absent,
    Done,
    GrantInfo,
    SnapshotInfo,
    StoreInfo,
    Undetermined,
    VolumeInfo,
)
from holdfast.contract.errors import Busy
from holdfast_drivers.storage_host.agent import Agent
from stuck_agents import Told, agent, context

pytestmark = pytest.mark.slow
SUPPORT = str(Path(__file__).parents[2] / "support")
MIB = 1 << 20
KILLED, LATER, LATEST = 50, 90, 120
REVERT = requests.RevertVolume(key="v", snapshot="s")


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", SUPPORT)


async def filled(asked: Agent, volume: Path) -> None:
    """A store with a volume that reads NEW, and a snapshot of when it read OLD."""
    calls: list[tuple[object, object]] = [
        (requests.InitializeStore(name="store"), StoreInfo),
        (requests.AttachHost(host="host"), StoreInfo),
        (requests.CreateVolume(key="v", size_bytes=MIB), VolumeInfo),
    ]
    for fence, (request, answer) in enumerate(calls, 1):
        await asked.call(context(fence), request, answer)  # type: ignore[arg-type] # one of each kind
    write(volume, b"OLD")
    await asked.call(context(5), requests.CreateSnapshot(key="s", volume="v"), SnapshotInfo)
    write(volume, b"NEW")


def write(volume: Path, data: bytes) -> None:
    """Write at the beginning of a volume, durably."""
    with volume.open("r+b") as file:
        file.write(data)
        os.fsync(file.fileno())


def read(volumes: Path) -> bytes:
    """What the volume begins with, whatever its file is called now."""
    row = msgspec.json.decode((volumes / "row.json").read_bytes(), type=dict[str, object])
    return (volumes / str(row.get("data", "data"))).read_bytes()[:3]


async def until(path: Path) -> None:
    """Return when a file is there."""
    while not path.exists():  # noqa: ASYNC110, ASYNC240 - a file is all there is
        await asyncio.sleep(0.01)


async def left_alone(told: Told) -> None:
    """Kill a client in the middle of a revert; its agent is stuck, and lives on."""
    config = msgspec.json.encode(told).decode()
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stuck_agents", config, str(KILLED)
    )
    await until(Path(told.folder) / "begun")
    client.kill()
    await client.wait()


async def let_go(told: Told) -> None:
    """Let the agent that was left alone go on, and wait for its end."""
    folder = Path(told.folder)
    (folder / "go").touch()
    alive = os.open(folder / "alive", os.O_RDWR | os.O_CLOEXEC)
    await asyncio.to_thread(fcntl.flock, alive, fcntl.LOCK_EX)
    os.close(alive)


def test_what_an_agent_had_not_begun_is_refused_after_a_probe(tmp_path: Path) -> None:
    """The successor's probe says that nothing happened, and from then on nothing does."""
    volume = tmp_path / "n" / "primary" / "volumes" / "v"
    (tmp_path / "followed").mkdir()
    left = Told(str(tmp_path), str(tmp_path / "followed"))

    async def story() -> None:
        async with agent(Told(str(tmp_path))) as successor:
            await filled(successor, volume / "data")
            await left_alone(left)
            assert isinstance(await successor.probe(context(LATER), REVERT), Absent)
            grant = requests.Grant(volume="v", host="host")
            await successor.call(context(LATEST), grant, GrantInfo)
            revoke = requests.Revoke(volume="v", host="host")
            await successor.call(context(LATEST + 1), revoke, object)
            await let_go(left)
            assert read(volume) == b"NEW"
            probed = await successor.probe(context(LATEST + 2), REVERT)
            assert isinstance(probed, Done | Absent)
            assert read(volume) == b"NEW"

    asyncio.run(story())


def test_what_an_agent_is_in_the_middle_of_is_waited_for(tmp_path: Path) -> None:
    """While it holds the volume nobody says what became of its call, and no call begins."""
    volume = tmp_path / "n" / "primary" / "volumes" / "v"
    (tmp_path / "followed").mkdir()
    left = Told(str(tmp_path), str(tmp_path / "followed"), in_the_middle=True)

    async def story() -> None:
        async with agent(Told(str(tmp_path))) as successor:
            await filled(successor, volume / "data")
            await left_alone(left)
            assert isinstance(await successor.probe(context(LATER), REVERT), Undetermined)
            grow = requests.ResizeVolume(key="v", size_bytes=2 * MIB)
            with pytest.raises(Busy):
                await successor.call(context(LATER + 1), grow, VolumeInfo)
            await let_go(left)
            assert isinstance(await successor.probe(context(LATEST), REVERT), Done)
            assert read(volume) == b"OLD"
            await successor.call(context(LATEST + 1), grow, VolumeInfo)

    asyncio.run(story())
