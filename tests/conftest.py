"""What tests of several packages share: the wheel, built once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from skips import not_run

# Before the framework is imported, here and in the processes that tests start.
os.environ["HOLDFAST_READ_BACK_ROWS"] = "1"

TOP = Path(__file__).resolve().parent.parent

# Whoever starts the tests in the background has them ignore Ctrl-C, and their children with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about the machine than about us.
settings.register_profile("tests", settings(), deadline=None)
settings.load_profile("tests")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests recorded as the property ``figure``, and what was not run."""
    passed: list[pytest.TestReport] = terminalreporter.stats.get("passed", [])
    failed: list[pytest.TestReport] = terminalreporter.stats.get("failed", [])
    for report in (*passed, *failed):
        for name, value in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(str(value))
    skipped: list[pytest.TestReport] = terminalreporter.stats.get("skipped", [])
    told = [(one.nodeid, one.longrepr[2]) for one in skipped if isinstance(one.longrepr, tuple)]
    for line in not_run(told):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as a user would install it."""
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=TOP,
        check=True,
        capture_output=True,
    )
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``PYTHONPATH`` in which the wheel is installed, without the source tree."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--disable-pip-version-check", "--root-user-action=ignore"]
    subprocess.run([*command, "--target", str(target), str(wheel)], check=True, capture_output=True)
    return target
