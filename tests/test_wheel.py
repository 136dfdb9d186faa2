"""What a user installs."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.slow

PACKAGES = {"holdfast", "holdfast_drivers", "holdfast_simulator", "holdfast_conformance"}


def run_installed(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the installed wheel, with neither the source tree nor its folder in sight."""
    return subprocess.run(
        [sys.executable, "-P", "-m", *arguments],
        cwd=site,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_wheel_holds_four_packages_and_nothing_generic(wheel: Path) -> None:
    """Nothing but the four packages and the metadata lands in a user's environment."""
    tops = {entry.split("/")[0] for entry in ZipFile(wheel).namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_the_wheel_is_typed_and_carries_its_data(wheel: Path) -> None:
    """Each package is marked as typed, and templates and migrations are in the wheel."""
    entries = set(ZipFile(wheel).namelist())

    assert {f"{package}/py.typed" for package in PACKAGES} <= entries
    assert any(entry.endswith(".html.j2") for entry in entries)
    assert any("/migrations/" in entry for entry in entries)


def test_the_installed_program_runs(installed_wheel: Path) -> None:
    """The program answers from the wheel alone."""
    answer = run_installed(installed_wheel, "holdfast", "--version")

    assert (answer.returncode, answer.stdout) == (0, "holdfast 0.1.0\n")
