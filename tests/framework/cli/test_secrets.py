"""Secrets on the command line: by reference, from files, never repeated in an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.cli.settings import settings_of
from holdfast.contract.errors import ConfigurationError, UsageError

CANARY = "canary-of-a-secret"  # no secret of anything


def test_a_setting_comes_as_it_is_from_a_file_or_from_a_table_of_them(tmp_path: Path) -> None:
    value, toml, other = tmp_path / "value", tmp_path / "all.toml", tmp_path / "all.json"
    value.write_text(f"{CANARY}\n")
    toml.write_text('endpoint = "http://here"\npart_max_bytes = 7\n')
    other.write_text('{"endpoint": "http://there"}')

    assert settings_of([f"key=@{value}", "user=a=b"], toml) == {
        "endpoint": "http://here",
        "part_max_bytes": 7,
        "key": CANARY,
        "user": "a=b",
    }
    assert settings_of(["endpoint=http://mine"], other) == {"endpoint": "http://mine"}
    assert settings_of(["key=env:NAME"], None) == {"key": "env:NAME"}


@pytest.mark.parametrize("content", [CANARY, f'a = "{CANARY}', f'["{CANARY}", 1]', "\udcff"])
def test_a_table_that_cannot_be_read_is_named_and_not_quoted(tmp_path: Path, content: str) -> None:
    for name in ("all.toml", "all.json"):
        file = tmp_path / name
        file.write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(ConfigurationError, match=name) as problem:
            settings_of([], file)
        assert CANARY not in str(problem.value)


def test_a_fifo_is_no_table_and_no_value(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(ConfigurationError, match="no regular file"):
        settings_of([], fifo)
    with pytest.raises(ConfigurationError, match="no regular file"):
        settings_of([f"key=@{fifo}"], None)


def test_a_setting_without_a_key_is_not_repeated() -> None:
    with pytest.raises(UsageError, match="KEY=VALUE") as problem:
        settings_of([CANARY], None)
    assert CANARY not in str(problem.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        ["--config", CANARY],
        ["--config", f"{CANARY}=x"],
        ["--config", f"{CANARY}=="],
        [CANARY],
        [f"--{CANARY}"],
        [f"--role={CANARY}"],
        ["--role", CANARY],
        ["--scope", CANARY],
        [f"--dry-run={CANARY}"],
    ],
    ids=lambda wrong: " ".join(wrong).replace(CANARY, "SECRET"),
)
def test_an_argument_in_a_wrong_place_is_never_repeated_whole(
    tmp_path: Path, wrong: list[str]
) -> None:
    command = [sys.executable, "-P", "-m", "holdfast", "store", "add", "name"]
    command += ["--catalogue", str(tmp_path / "none"), "--provider", "s3", "--role", "image"]
    ended = subprocess.run([*command, *wrong], capture_output=True, text=True, check=False)

    assert ended.returncode in {2, 5}
    assert ended.stderr
    assert CANARY not in ended.stdout + ended.stderr
