"""A catalogue on a full disk: every command ends in one line, and nothing is lost."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.cli.open_zone import open_zone
from holdfast.contract.errors import EnvironmentUnavailable, ExitCode
from holdfast.model.rows import Store
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.recovery import Recovered
from holdfast.workflows import create_volume
from zone_program import Program, adding

VOLUMES = 3


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two MiB; skips where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def program(disk: Path, tmp_path: Path) -> Program:
    """A zone whose catalogue alone is on the disk, with three volumes cut off in the making."""
    made = Program(tmp_path)
    made.catalogue = disk / "catalogue.sqlite"
    made.done("zone", "create", "zone-1")
    made.done("host", "add", "host-1", "--zone", "zone-1")
    made.done(*adding(made, "fast", "primary"))
    asyncio.run(_cut_off(made.catalogue))
    return made


async def _cut_off(catalogue: Path) -> None:
    async with open_zone(catalogue) as orchestrator:
        (store,) = await orchestrator.catalogue.transact(lambda tx: tx.select(Store))
        for number in range(VOLUMES):
            work = create_volume(name=f"v{number}", store=store.id, size_bytes=8192)
            await orchestrator.engine.accept(work, f"op-cut-off-{number}")


def fill(disk: Path) -> Path:
    """Take all space that is left."""
    path = disk / "full"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            os.fsync(file.fileno())
    return path


def test_every_command_ends_in_one_line(program: Program, disk: Path) -> None:
    """Each says that the disk is full, with the code for what the environment lacks."""
    full = fill(disk)

    for command in (
        ("recover",),
        ("recover", "--json"),
        ("scrub",),
        ("volume", "create", "w", "--store", "fast", "--bytes", "8192"),
        ("volume", "delete", "v0"),
        ("store", "maintain", "fast"),
        ("host", "add", "host-2", "--zone", "zone-1"),
        ("zone", "create", "zone-2"),
    ):
        answer = program(*command)
        assert isinstance(answer.exception, EnvironmentUnavailable), (command, answer.exception)
        assert re.search("disk is full|No space left", str(answer.exception))
        assert answer.exception.exit_code is ExitCode.UNAVAILABLE

    full.unlink()
    rows = json.loads(program.done("recover", "--json"))
    assert [row["verdict"] for row in rows] == ["succeeded"] * VOLUMES
    assert program.done("scrub").startswith("clean")


def test_a_disk_that_fills_up_meanwhile_fails_each_operation_for_itself(
    program: Program, disk: Path
) -> None:
    """Recovery tells of each operation that it could not drive on, and ends them all later."""

    async def story() -> tuple[tuple[Recovered, ...], list[str], tuple[Recovered, ...]]:
        async with open_zone(program.catalogue) as orchestrator:
            full = fill(disk)
            failed = await orchestrator.recover()
            states = [one.found.value for one in failed]
            full.unlink()
            return failed, states, await orchestrator.recover()

    failed, states, ended = asyncio.run(story())

    assert [one.outcome.verdict for one in failed] == [Verdict.UNKNOWN] * VOLUMES
    assert all(isinstance(one.failure, EnvironmentUnavailable) for one in failed)
    assert all("disk is full" in one.outcome.error for one in failed)
    assert states == ["Running"] * VOLUMES
    assert [one.outcome.verdict for one in ended] == [Verdict.SUCCEEDED] * VOLUMES
