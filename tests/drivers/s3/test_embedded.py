"""The server without a container: what a killed run leaves of it."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast_drivers.s3.embedded_testbed import embedded_testbed

pytestmark = pytest.mark.slow

KILLED = """
import asyncio, contextlib, os, signal, sys
from holdfast_drivers.s3.embedded_testbed import embedded_testbed
from holdfast_drivers.s3.testbed import data_folder

async def story():
    async with embedded_testbed(sys.argv[1]):
        for owner in data_folder().glob("holdfast-weed-*/.owner"):
            with contextlib.suppress(FileNotFoundError):  # other tests' servers come and go
                if f"/{os.getpid()}/" in owner.read_text():
                    print(owner.parent, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(story())
"""


def test_the_next_server_removes_what_a_killed_run_left() -> None:
    """A killed run's server dies with it, and its data go when the next one starts."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("HOLDFAST_RUN", None)
    command = [sys.executable, "-c", KILLED, f"killed-{os.getpid()}"]
    ended = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL
    folders = [Path(line) for line in ended.stdout.splitlines()]

    async def story() -> list[bool]:
        async with embedded_testbed(f"next-{os.getpid()}"):
            return [folder.exists() for folder in folders]

    assert asyncio.run(story()) == [False]
