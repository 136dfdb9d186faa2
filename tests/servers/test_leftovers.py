"""What is left behind by a process that was killed, on a real engine."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast_drivers.servers.leftovers import running_servers, sweep_dead
from holdfast_drivers.servers.network import host_records
from holdfast_drivers.servers.owner_process import FOREVER, is_dead, this_owner
from holdfast_drivers.servers.run_folders import make_run_folder, run_folder
from holdfast_drivers.servers.running_servers import run_server
from tiny_server import greets, tiny

pytestmark = pytest.mark.slow

KILLED = """
import asyncio, os, signal, sys
from tiny_server import greets, tiny
from holdfast_drivers.servers.network import host_place, host_records
from holdfast_drivers.servers.run_folders import make_run_folder
from holdfast_drivers.servers.running_servers import run_server

async def story():
    async with run_server(tiny("left"), sys.argv[1], greets):
        if sys.argv[2] == "folder":
            make_run_folder("left", sys.argv[1]).joinpath("disk").write_bytes(b"left")
        if sys.argv[2] == "hosts":
            await host_place("host-a", sys.argv[1])
        assert sys.argv[2] != "hosts" or f"holdfast-{sys.argv[1]}-host-a" in [
            one.namespace for one in host_records()
        ]
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(story())
"""


def killed(run: str, what: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("HOLDFAST_RUN", None)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, run, what], check=False, capture_output=True, env=environment
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_what_a_killed_process_left_is_removed_and_nothing_else(run: str) -> None:
    """A container whose owner was killed is swept; that of a living process stays."""

    async def story() -> tuple[bool, bool, bool]:
        async with run_server(tiny("mine"), run, greets) as mine:
            killed(run, "nothing")
            before = {one.name: one.owned for one in running_servers()}
            sweep_dead()
            after = {one.name: one.owned for one in running_servers()}
            left = f"holdfast-left-{run}"
            # Another process that starts a server may have been first.
            return before.get(left, False), left in after, after[mine.name]

    assert asyncio.run(story()) == (False, False, True)


def test_hosts_of_a_killed_process_are_removed(host_run: str) -> None:
    """A simulated host whose owner was killed is swept with its namespace."""
    killed(host_run, "hosts")

    sweep_dead()

    assert not Path("/run/netns", f"holdfast-{host_run}-host-a").exists()
    assert [one for one in host_records() if one.run == host_run] == []


def test_the_folder_of_a_killed_process_is_removed_and_no_other(run: str) -> None:
    """Keys and disks of a killed run go with its servers; those of a living one stay."""
    mine = make_run_folder("mine", run)
    try:
        killed(run, "folder")
        left = run_folder("left", run)

        sweep_dead()

        assert (left.exists(), mine.exists()) == (False, True)
    finally:
        shutil.rmtree(mine)


def test_starting_a_server_sweeps_first(run: str) -> None:
    """Nobody needs to call the sweeper: the next server does."""
    killed(run, "nothing")

    async def story() -> list[str]:
        async with run_server(tiny("next"), run, greets):
            return [one.name for one in running_servers() if one.run == run]

    assert asyncio.run(story()) == [f"holdfast-next-{run}"]


def test_an_owner_is_alive_until_its_process_ends() -> None:
    """A process number that was given to another process is no longer the owner."""
    machine, pid, start = this_owner().split("/")

    assert not is_dead(f"{machine}/{pid}/{start}")
    assert is_dead(f"{machine}/{pid}/{int(start) + 1}")
    assert not is_dead(f"elsewhere/{pid}/{int(start) + 1}")
    assert not is_dead(FOREVER)
