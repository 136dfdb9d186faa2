"""The server without a container: what a killed run leaves of it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast_drivers.s3.embedded import embedded_testbed
from holdfast_drivers.s3.testbed import data_folder

pytestmark = pytest.mark.slow

KILLED = """
import asyncio, os, signal, sys
from holdfast_drivers.s3.embedded import embedded_testbed

async def story():
    async with embedded_testbed(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(story())
"""


def folders(pid: int) -> list[Path]:
    """Those of the servers that a process answers for."""
    found: list[Path] = []
    for owner in data_folder().glob("holdfast-weed-*/.owner"):
        with contextlib.suppress(FileNotFoundError):  # other tests' servers come and go
            if f"/{pid}/" in owner.read_text():
                found.append(owner.parent)
    return found


def test_the_next_server_removes_what_a_killed_run_left() -> None:
    """A killed run's server dies with it, and its data go when the next one starts."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("HOLDFAST_RUN", None)
    command = [sys.executable, "-c", KILLED, f"killed-{os.getpid()}"]
    with subprocess.Popen(command, env=environment) as process:
        assert process.wait() == -signal.SIGKILL
    left = folders(process.pid)

    async def story() -> list[Path]:
        async with embedded_testbed(f"next-{os.getpid()}"):
            return folders(process.pid)

    assert len(left) == 1
    assert asyncio.run(story()) == []
