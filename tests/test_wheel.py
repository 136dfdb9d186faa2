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


PLANS = """
import asyncio, sys
import holdfast_conformance
from holdfast_conformance.generate import generate_plans, plans_digest
from holdfast_conformance.profiles import find_profile
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES, PRIMARY_CAPABILITIES
from holdfast.contract.requests import Role

for role, declared in ((Role.PRIMARY, PRIMARY_CAPABILITIES), (Role.IMAGE, IMAGE_CAPABILITIES)):
    print(plans_digest(generate_plans(role, declared, find_profile("smoke"), 11)))
print(holdfast_conformance.__file__, file=sys.stderr)
"""


def test_the_wheel_makes_the_same_plans_as_the_source_tree(installed_wheel: Path) -> None:
    """Plans are byte-identical in an editable and a wheel install, whatever the hash seed."""
    answers = [
        subprocess.run(
            [sys.executable, "-P", "-c", PLANS],
            cwd=installed_wheel,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, **path},
            check=True,
            capture_output=True,
            text=True,
        )
        for hash_seed, path in (("1", {"PYTHONPATH": str(installed_wheel)}), ("2", {}))
    ]

    assert str(installed_wheel) in answers[0].stderr
    assert str(installed_wheel) not in answers[1].stderr
    assert answers[0].stdout == answers[1].stdout
