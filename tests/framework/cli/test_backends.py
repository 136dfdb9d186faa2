"""`holdfast backends` and `holdfast doctor` as a person meets them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tiny_server
from engines import require_engine

pytestmark = pytest.mark.slow

TINY = "tiny_server:TinyProvider"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A state folder of the test's own, and the providers of the tests to be imported."""
    support = Path(tiny_server.__file__).parent
    return {**os.environ, "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(support)}


def holdfast(
    environment: dict[str, str], *arguments: str, expected: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == expected, done.stderr
    return done


def answer(environment: dict[str, str], *arguments: str, expected: int = 0) -> Any:
    return json.loads(holdfast(environment, *arguments, "--json", expected=expected).stdout)


def test_build_makes_what_a_driver_needs_and_says_so(environment: dict[str, str]) -> None:
    """Every step has a line, and nothing that is there already is made again."""
    require_engine()

    made = answer(environment, "backends", "build", TINY)
    again = answer(environment, "backends", "build", TINY)

    names = ["host packages", "engine", "base image", "MinIO", "holdfast/tiny"]
    assert [one["name"] for one in made] == names
    assert [one["problem"] for one in made] == [""] * 5
    assert [one["detail"] for one in again] == [one["detail"] for one in made]


def test_an_interrupted_build_says_what_is_left(environment: dict[str, str]) -> None:
    """Ctrl-C ends the build that runs, and the last line says what is done and what is not."""
    require_engine()
    with subprocess.Popen(
        [sys.executable, "-m", "holdfast", "backends", "build", "tiny_server:SlowProvider"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "holdfast/slow" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()

    assert process.returncode == 130
    assert "done and kept: host packages, engine, base image, MinIO; left: holdfast/slow" in rest
    assert "Traceback" not in rest


def test_servers_stay_up_until_they_are_taken_down(environment: dict[str, str]) -> None:
    """`up` leaves a driver's server running, `status` shows it, and `down` removes it."""
    require_engine()
    (up,) = answer(environment, "backends", "up", TINY)
    try:
        status = answer(environment, "backends", "status")
        refused = holdfast(environment, "backends", "up", TINY, expected=2)
    finally:
        down = answer(environment, "backends", "down")
    after = answer(environment, "backends", "status")

    (config,) = up["configs"]
    name = "holdfast-tiny-up"
    (server,) = [one for one in status["servers"] if one["name"] == name]
    assert (up["state"], up["detail"]) == ("ready", "Holdfast tiny server 1")
    assert (server["state"], server["owned"]) == ("running", True)
    assert json.loads(Path(config).read_bytes())["address"] == server["address"]
    assert Path(config).stat().st_mode & 0o077 == 0
    assert "already" in refused.stderr
    assert down["was_up"] is True
    assert [one for one in after["servers"] if one["name"] == name] == []
    assert after["testbeds"] == []


def test_without_an_engine_the_status_says_how_to_get_one(environment: dict[str, str]) -> None:
    """An engine that does not answer is told in one line, with exit 3."""
    environment["DOCKER_HOST"] = "unix:///nonexistent/engine.sock"

    done = holdfast(environment, "backends", "status", expected=3)

    assert "holdfast backends build" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_engine_named_by_a_setting_is_never_replaced(environment: dict[str, str]) -> None:
    """`build` does not start another engine where DOCKER_HOST names one that does not answer."""
    environment["DOCKER_HOST"] = "unix:///nonexistent/engine.sock"

    made = answer(environment, "backends", "build", TINY, expected=3)

    (problem,) = [one["problem"] for one in made if one["problem"]]
    assert "DOCKER_HOST=unix:///nonexistent/engine.sock" in problem


def test_the_doctor_names_a_command_for_everything_that_is_lacking(
    environment: dict[str, str],
) -> None:
    """Each finding that is not in place has a remedy, and what is in place has none."""
    environment["DOCKER_HOST"] = "unix:///nonexistent/engine.sock"

    found = answer(environment, "doctor", expected=3)

    standings = {one["name"]: one["standing"] for one in found}
    assert standings["container engine"] == "lacks"
    assert [one["name"] for one in found if (one["standing"] == "has") != (not one["remedy"])] == []


def test_the_doctor_speaks_to_people_too(environment: dict[str, str]) -> None:
    """Without `--json` there is a table and a last line that counts what is lacking."""
    environment["DOCKER_HOST"] = "unix:///nonexistent/engine.sock"

    lines = holdfast(environment, "doctor", expected=3).stdout.splitlines()

    assert "to add it" in lines[0]
    assert lines[-1].endswith(" lacking")
