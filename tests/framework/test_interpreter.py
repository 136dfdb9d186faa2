"""No Python of ours executes what lies about where it happens to stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.concurrency.interpreter import python_command, python_environment
from small_plans import write_repro

SHADOWED = ("msgspec", "typer", "jinja2", "hypothesis", "pwn", "holdfast_drivers")
"""Names that programs of ours import, and one that a file asks for."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a stranger's: whatever is imported from it leaves a mark."""
    mark = f"open({str(tmp_path / 'executed')!r}, 'a').write(__name__)\n"
    stand = tmp_path / "report"
    stand.mkdir()
    for name in SHADOWED:
        (stand / f"{name}.py").write_text(mark)
    return stand


def run(
    folder: Path, *arguments: str, module: str = "holdfast"
) -> subprocess.CompletedProcess[str]:
    """Start the program in the folder; the environment is as a user's, with nothing made safe."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def marks(folder: Path) -> str:
    mark = folder.parent / "executed"
    return mark.read_text() if mark.exists() else ""


@pytest.mark.slow
def test_an_honest_replay_executes_nothing_of_the_folder(folder: Path) -> None:
    """Neither the program nor its worker imports what stands beside the file."""
    write_repro(folder / "repro.json")

    done = run(folder, "replay", "repro.json", "--driver", "memory")

    assert (done.returncode, marks(folder)) == (4, ""), done.stderr


@pytest.mark.slow
def test_certify_executes_nothing_of_the_folder(folder: Path) -> None:
    """Wherever somebody stands who certifies a driver."""
    done = run(folder, "certify", "memory", "--level", "L0", "--out", "out")

    assert (done.returncode, marks(folder)) == (0, ""), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["replay", "reduce"])
def test_a_file_does_not_choose_what_is_loaded(folder: Path, command: str) -> None:
    """A driver that only the file names is not loaded, and the command says what to do."""
    write_repro(folder / "repro.json", provider="pwn:X", testbed="live:/etc/passwd")

    unnamed = run(folder, command, "repro.json")
    named = run(folder, command, "repro.json", "--driver", "memory")

    assert unnamed.returncode == 2
    assert "recorded on 'pwn:X'" in unnamed.stderr
    assert "--driver" in unnamed.stderr
    assert named.returncode in {0, 4}, named.stderr
    assert "passwd" not in named.stdout + named.stderr
    assert marks(folder) == ""


@pytest.mark.slow
def test_a_driver_of_the_current_folder_is_not_found(folder: Path) -> None:
    """Also where the command line names it: its folder has to be named, too."""
    done = run(folder, "certify", "pwn:X", "--out", "out")

    assert (done.returncode, marks(folder)) == (5, ""), done.stderr
    assert "current folder is not searched" in done.stderr


def test_a_started_python_leaves_the_current_folder_out(folder: Path) -> None:
    """By its command, and by its environment for every Python that it starts in turn."""
    program = "import sys; print('' in sys.path or sys.argv[1] in sys.path)"
    by_command = python_command("-c", program, str(folder))
    by_environment = [sys.executable, "-c", program, str(folder)]

    for command, environment in ((by_command, None), (by_environment, python_environment())):
        said = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        assert said.stdout == "False\n"


def test_an_empty_entry_of_the_path_is_not_the_current_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``PYTHONPATH=$PYTHONPATH:/there`` means no more than it says."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("", "/there", "")))

    assert python_environment()["PYTHONPATH"] == "/there"
