"""No property accuses a driver that is in order.

With ``HOLDFAST_SEEDS=full`` twenty seeds are tried under `smoke`, else one or two, on every kind
of file system.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FULL = os.environ.get("HOLDFAST_SEEDS") == "full"
SEEDS = range(20) if FULL else (0, 1)
PROFILE = "smoke" if FULL else "quick"
MEMORY_FILES = Path("/dev/shm")


def certify(
    driver: str, profile: str, seed: int, out: Path, files: Path
) -> subprocess.CompletedProcess[str]:
    """A whole certification, with the testbed's files on this file system."""
    command = [sys.executable, "-m", "holdfast", "certify", driver]
    command += ["--profile", profile, "--seed", str(seed), "--jobs", "2", "--out", str(out)]
    return subprocess.run(
        command,
        env={**os.environ, "TMPDIR": str(files)},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("seed", SEEDS[: 20 if FULL else 1])
def test_the_reference_driver_is_clean(seed: int, tmp_path: Path) -> None:
    """`memory` reaches L1 whatever the seed."""
    answer = certify("memory", "smoke", seed, tmp_path / "report", tmp_path)

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("seed", SEEDS)
def test_the_local_driver_is_clean(seed: int, tmp_path: Path) -> None:
    """`local` reaches L1 whatever the seed: one in five on disk, the others in memory."""
    on_disk = seed % 5 == 0 or not os.access(MEMORY_FILES, os.W_OK)
    files = tmp_path if on_disk else MEMORY_FILES
    answer = certify("local", PROFILE, seed, tmp_path / "report", files)

    assert answer.returncode == 0, answer.stdout + answer.stderr
