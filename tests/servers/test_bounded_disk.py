"""Disks of a size of their own, on a real engine."""

import asyncio
import os
import signal
import subprocess
import sys

import msgspec
import pytest

from holdfast_drivers.servers.bounded_disk import bounded_disk
from holdfast_drivers.servers.container_client import engine_client
from holdfast_drivers.servers.leftovers import sweep_dead
from holdfast_drivers.servers.running_servers import Server, run_server
from tiny_server import greets, tiny

pytestmark = pytest.mark.slow
SIZE_BYTES = 1 << 20

KILLED = """
import asyncio, os, signal, sys
from holdfast_drivers.servers.bounded_disk import bounded_disk

async def story():
    async with bounded_disk("left", sys.argv[1], 1 << 20):
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(story())
"""


def volumes(run: str) -> list[str]:
    """The engine's volumes of a run."""
    with engine_client() as client:
        return [one.name for one in client.volumes.list(filters={"label": f"holdfast.run={run}"})]


async def writes(server: Server, data: bytes) -> bool:
    """Whether there is room for some data."""
    return (await server.exec(("sh", "-c", "cat > /data/file"), data)).status == 0


def test_a_full_disk_takes_nothing_until_it_is_freed(run: str) -> None:
    """A server on a filled disk cannot write, and can again afterwards."""

    async def story() -> list[bool]:
        async with bounded_disk("tiny", run, SIZE_BYTES) as disk:
            spec = msgspec.structs.replace(tiny(), volumes=(disk.at("/data"),))
            async with run_server(spec, run, greets) as server:
                found = [await writes(server, b"a" * 65536)]
                await disk.fill()
                found.append(await writes(server, b"b" * 131072))
                await disk.free()
                return [*found, await writes(server, b"c" * 131072)]

    assert asyncio.run(story()) == [True, False, True]


def test_what_a_server_wrote_outlives_its_kill_and_ends_with_the_disk(run: str) -> None:
    """The disk keeps its files when the server is killed, shows them here, and is removed."""

    async def story() -> tuple[bytes, bytes, list[str]]:
        async with bounded_disk("tiny", run, SIZE_BYTES) as disk:
            spec = msgspec.structs.replace(tiny(), volumes=(disk.at("/data"),))
            async with run_server(spec, run, greets) as server:
                await writes(server, b"kept")
                await server.kill()
                await server.start()
                read = (await server.exec(("cat", "/data/file"))).stdout
                return read, (await disk.folder() / "file").read_bytes(), volumes(run)

    inside, here, made = asyncio.run(story())

    assert (inside, here, len(made)) == (b"kept", b"kept", 1)
    assert volumes(run) == []


def test_the_disk_of_a_killed_process_is_removed(run: str) -> None:
    """A volume whose owner was killed is swept with the container that kept it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("HOLDFAST_RUN", None)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, run], check=False, capture_output=True, env=environment
    )
    left = volumes(run)

    sweep_dead()

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (len(left), volumes(run)) == (1, [])
