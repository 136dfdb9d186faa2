"""Arguments as a clumsy or hostile user gives them: one line and the right exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.contract.errors import ExitCode

COMMANDS: tuple[tuple[bytes, ...], ...] = (
    (b"zone", b"create", b"\xff", b"--catalogue", b"c"),
    (b"zone", b"create", b"z", b"--catalogue", b"\xff"),
    (b"host", b"add", b"h\xff", b"--zone", b"z", b"--catalogue", b"c"),
    (b"store", b"add", b"s", b"--provider", b"\xff", b"--role", b"image", b"--catalogue", b"c"),
    (b"store", b"adopt", b"\xff", b"--catalogue", b"c"),
    (b"volume", b"create", b"v", b"--store", b"\xff", b"--bytes", b"1", b"--catalogue", b"c"),
    (b"volume", b"delete", b"\xc3", b"--catalogue", b"c"),
    (b"snapshot", b"create", b"s", b"--volume", b"\xed\xa0\x80", b"--catalogue", b"c"),
    (b"backup", b"restore", b"b", b"--volume", b"\x80", b"--store", b"s", b"--catalogue", b"c"),
    (b"template", b"register", b"t", b"--image", b"\xfe", b"--store", b"s", b"--catalogue", b"c"),
    (b"operations", b"--catalogue", b"\xff"),
    (b"recover", b"--catalogue", b"\xff"),
    (b"scrub", b"--catalogue", b"\xff"),
    (b"certify", b"\xff"),
    (b"drivers", b"\xff"),
    (b"\xff",),
    (b"volume", b"\xff"),
    (b"volume", b"--\xff"),
)


def ran(folder: Path, *arguments: bytes) -> subprocess.CompletedProcess[bytes]:
    program = (sys.executable.encode(), b"-m", b"holdfast", *arguments)
    return subprocess.run(program, cwd=folder, capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda one: b" ".join(one).hex()[:40])
def test_an_argument_that_is_no_utf8_is_refused(
    tmp_path: Path, arguments: tuple[bytes, ...]
) -> None:
    """Wherever it stands: one line that says which argument it is, and exit code 2."""
    answer = ran(tmp_path, *arguments)

    assert answer.returncode == ExitCode.USAGE, answer.stderr
    lines = answer.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert "is no UTF-8" in lines[0]
    assert answer.stdout == b""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", " a", "a\nb", "\x1b]0;x\x07", "x" * 20_000, "e\u0301"])
def test_a_name_that_is_none_makes_no_catalogue(tmp_path: Path, name: str) -> None:
    """What cannot be called so is refused in one line before anything is made."""
    answer = ran(tmp_path, b"zone", b"create", name.encode(), b"--catalogue", b"c")

    assert answer.returncode == ExitCode.USAGE, answer.stderr
    assert len(answer.stderr.decode().splitlines()) == 1
    assert b"cannot be the name of a zone" in answer.stderr
    assert list(tmp_path.iterdir()) == []
