"""A certification that is told to end while its servers are starting leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engines import require_engine
from holdfast_conformance.processes import children
from holdfast_conformance.supervision.killed_run_record import ledger_folder
from holdfast_drivers.servers.container_client import LABEL_OWNER, engine_client
from holdfast_drivers.servers.container_volumes import volume_owners
from running_testbeds import Backend, backends

pytestmark = pytest.mark.slow
LOOK_S = 0.02
END_S = 300.0
FULL = os.environ.get("HOLDFAST_FAULTS") == "full"
"""Whether each is met with one server and with several, or with either."""
IN_CONTAINERS = [one for one in backends() if one.kind.startswith("container")]
OTHERS = [one for one in backends() if not one.kind.startswith("container")]


def owned(pid: int) -> list[str]:
    """The containers and volumes that a process answers for."""
    with engine_client() as client:
        found = client.containers.list(
            all=True, filters={"label": LABEL_OWNER}, ignore_removed=True
        )
        owners = {str(one.name): str(one.labels[LABEL_OWNER]) for one in found}
    return [
        name
        for name, owner in (*owners.items(), *volume_owners().items())
        if owner.split("/")[1:2] == [str(pid)]
    ]


def ledgers(pid: int) -> list[Path]:
    """The ledgers of a process's run."""
    mark = f'"process":{pid}}}'.encode()
    return [path for path in ledger_folder().glob("*") if mark in path.read_bytes()]


def interrupted(backend: Backend, out: Path, servers: int) -> tuple[int, str]:
    """Certify, and say SIGTERM as soon as so many containers and volumes are there."""
    command = (sys.executable, "-m", "holdfast", "certify", backend.provider)
    with subprocess.Popen(
        (*command, "--backend", backend.kind, "--profile", "smoke", "--out", str(out)),
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        while running.poll() is None:
            if servers and len(owned(running.pid)) >= servers:
                break
            if not servers and ledgers(running.pid):
                break
            time.sleep(LOOK_S)
        running.send_signal(signal.SIGTERM)
        _, told = running.communicate(timeout=END_S)
        assert owned(running.pid) == []
        assert ledgers(running.pid) == []
    return running.returncode, told


@pytest.mark.parametrize(
    ("backend", "servers"),
    [
        pytest.param(backend, servers, id=f"{backend}-{servers}")
        for number, backend in enumerate(IN_CONTAINERS)
        for servers in ((1, 3) if FULL or "gateway" in backend.kind else (1 + 2 * (number % 2),))
    ],
)
def test_servers_that_were_starting_are_removed(
    backend: Backend, servers: int, tmp_path: Path
) -> None:
    """Whether one server is there or several: all of them go, with their disks."""
    require_engine()
    before = children()
    code, told = interrupted(backend, tmp_path / "out", servers)
    if code == 3:
        pytest.skip(f"{backend} cannot run here")
    assert "nothing of it is left behind" in told, told
    assert code == 128 + signal.SIGINT
    assert children() == before


@pytest.mark.parametrize("backend", OTHERS, ids=str)
def test_processes_that_were_starting_are_ended(backend: Backend, tmp_path: Path) -> None:
    """A testbed without containers is told to end in its first moments."""
    code, told = interrupted(backend, tmp_path / "out", 0)
    assert "nothing of it is left behind" in told, told
    assert code == 128 + signal.SIGINT
