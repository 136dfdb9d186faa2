"""A driver in somebody else's package is found, certified, caught and forgiven like our own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PACKAGE = Path(__file__).with_name("acme_shelf")
GUIDE = TOP / "docs" / "write-a-driver.md"
FORGOTTEN = """\
            if holders:
                raise InUse(f"the volume is granted to {', '.join(holders)}", holders=holders)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``PYTHONPATH`` in which the package is installed as a user would."""
    copy = tmp_path_factory.mktemp("source") / "acme_shelf"
    shutil.copytree(PACKAGE, copy)
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--root-user-action=ignore"]
    subprocess.run([*command, "--target", str(target), str(copy)], check=True, capture_output=True)
    return target


def holdfast(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program with the package installed."""
    command = [sys.executable, "-m", "holdfast", *arguments]
    environment = os.environ | {"PYTHONPATH": str(site)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=site
    )


@pytest.mark.slow
def test_the_package_is_found(site: Path) -> None:
    """An installed package is listed with its roles, by its entry point alone."""
    listed = holdfast(site, "drivers")
    assert listed.returncode == 0
    assert re.search(r"^acme-shelf +primary +host +embedded +ok", listed.stdout, re.MULTILINE)


@pytest.mark.slow
def test_a_good_driver_from_outside_is_certified(site: Path, tmp_path: Path) -> None:
    """The sample reaches level L1, and nothing of what it declares went unexercised."""
    out = str(tmp_path / "report")
    ran = holdfast(site, "certify", "acme-shelf", "--profile", "smoke", "--out", out)
    assert (ran.returncode, "L1 reached" in ran.stdout) == (0, True), ran.stdout + ran.stderr


@pytest.mark.slow
def test_a_forgotten_check_is_found_reduced_and_replayed(site: Path, tmp_path: Path) -> None:
    """The mistake in the guide fails its property, replays, and holds again once it is mended."""
    broken = tmp_path / "broken"
    shutil.copytree(site, broken)
    module = broken / "acme_shelf" / "driver.py"
    source = module.read_text()
    assert source.count(FORGOTTEN) == 1
    module.write_text(source.replace(FORGOTTEN, ""))
    out = tmp_path / "report"
    ran = holdfast(broken, "certify", "acme-shelf", "--profile", "quick", "--out", str(out))
    assert (ran.returncode, "FAIL VOL-06" in ran.stdout) == (1, True), ran.stdout + ran.stderr
    repro = str(out / "repro" / "VOL-06.json")
    assert holdfast(broken, "replay", repro, "--driver", "acme-shelf").returncode == 1
    assert holdfast(site, "replay", repro, "--driver", "acme-shelf").returncode == 0


def test_the_guide_quotes_the_sample() -> None:
    """Every piece of code in the guide is in the package, word for word."""
    sources = [path.read_text() for path in sorted(PACKAGE.rglob("*.py"))]
    sources.append((PACKAGE / "pyproject.toml").read_text())
    quoted = re.findall(r"```(?:python|toml)\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(quoted) >= 8
    assert [piece for piece in quoted if not any(piece in source for source in sources)] == []
