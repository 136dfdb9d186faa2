"""No property accuses a driver that is in order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SEEDS = range(20)
MEMORY_FILES = Path("/dev/shm")


def certify(driver: str, seed: int, out: Path, files: Path) -> subprocess.CompletedProcess[str]:
    """A whole certification, with the testbed's files on this file system."""
    command = [sys.executable, "-m", "holdfast", "certify", driver]
    command += ["--profile", "smoke", "--seed", str(seed), "--jobs", "2", "--out", str(out)]
    return subprocess.run(
        command,
        env={**os.environ, "TMPDIR": str(files)},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_reference_driver_is_clean(seed: int, tmp_path: Path) -> None:
    """`memory` reaches L1 whatever the seed."""
    answer = certify("memory", seed, tmp_path / "report", tmp_path)

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("seed", SEEDS)
def test_the_local_driver_is_clean(seed: int, tmp_path: Path) -> None:
    """`local` reaches L1 whatever the seed: four on the disk, the others on files in memory."""
    on_disk = seed % 5 == 0 or not os.access(MEMORY_FILES, os.W_OK)
    answer = certify("local", seed, tmp_path / "report", tmp_path if on_disk else MEMORY_FILES)

    assert answer.returncode == 0, answer.stdout + answer.stderr
