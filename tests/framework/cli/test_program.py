"""The program as a person meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def holdfast(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "holdfast", *arguments],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
    )


def test_help_names_every_command() -> None:
    """`holdfast --help` lists the commands of all packages."""
    answer = holdfast("--help")

    assert answer.returncode == 0
    commands = ("certify", "replay", "verify", "explain", "mutants", "demo", "recover", "scrub")
    assert [command for command in commands if command not in answer.stdout] == []


def test_an_unknown_command_is_bad_usage() -> None:
    """A word that is no command exits with 2 and a hint, not a traceback."""
    answer = holdfast("certfy")

    assert answer.returncode == 2
    assert "certfy" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_drivers_are_listed_with_their_roles() -> None:
    """`holdfast drivers --json` shows every installed driver and whether it can be used."""
    rows = {row["name"]: row for row in json.loads(holdfast("drivers", "--json").stdout)}

    assert rows["memory"]["roles"] == ["primary", "image"]
    assert rows["local"]["scopes"] == ["host"]
    assert {row["broken"] for row in rows.values()} == {""}


@pytest.mark.parametrize("driver", ["memory", "local"])
def test_a_driver_shows_its_capabilities_and_limits(driver: str) -> None:
    """`holdfast drivers NAME` opens the embedded testbed and shows what a store declares there."""
    answer = json.loads(holdfast("drivers", driver, "--json").stdout)

    assert sorted(answer["capabilities"]) == ["image", "primary"]
    assert answer["capabilities"]["primary"]["volume"]["size_max_bytes"] > 0


@pytest.mark.parametrize("driver", ["memory", "local"])
def test_what_a_store_declares_is_a_table_of_its_ports(driver: str) -> None:
    """Every port of either role has a line, whether it has values, is there, or is not."""
    answer = holdfast("drivers", driver)

    assert answer.returncode == 0, answer.stderr
    ports = {line.split()[0] for line in answer.stdout.splitlines() if line}
    assert {"volume", "access", "snapshot", "qos", "upload", "list", "url", "fences"} <= ports
    assert "size_granularity_bytes=" in answer.stdout
    assert {"declared"} <= {line.split()[-1] for line in answer.stdout.splitlines() if line}


def test_an_unknown_driver_is_named_with_its_neighbours() -> None:
    """A misspelt driver exits with 5 and says which names come near."""
    answer = holdfast("drivers", "memry")

    assert answer.returncode == 5
    assert "memry" in answer.stderr
    assert "memory" in answer.stderr


def test_a_broken_plug_in_is_reported_and_stops_nothing(tmp_path: Path) -> None:
    """A plug-in that cannot be imported is shown as broken; the others still work."""
    metadata = tmp_path / "rusty-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: rusty\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text(
        "[holdfast.providers]\nrusty = rusty_nails:Provider\n"
    )
    (tmp_path / "rusty_nails.py").write_text("raise RuntimeError('out of oil')\n")
    answer = subprocess.run(
        [sys.executable, "-m", "holdfast", "drivers", "--json"],
        env={"PYTHONPATH": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )

    rows = {row["name"]: row for row in json.loads(answer.stdout)}
    assert "out of oil" in rows["rusty"]["broken"]
    assert rows["memory"]["broken"] == ""
