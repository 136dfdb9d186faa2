"""What refers to a secret: where it is looked up, and what is said when it is not there."""

import asyncio
import os
from pathlib import Path

import pytest

from holdfast.credentials.references import Reference, SecretMissing, reference_of, resolve
from holdfast.credentials.secret_keeper import MemoryKeeper

SECRET = "canary-of-a-secret"


def found(value: str, **kept: str) -> str:
    reference = reference_of(value)
    assert reference is not None

    async def look() -> str:
        keeper = MemoryKeeper()
        await keeper.keep(kept)
        return await resolve(reference, keeper)

    return asyncio.run(look())


def test_a_secret_comes_from_a_variable_a_file_a_command_or_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_TEST_SECRET", SECRET)
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    link = tmp_path / "link"
    link.symlink_to(file)

    for value in ("env:HOLDFAST_TEST_SECRET", f"file:{file}", f"file:{link}", f"cmd:cat '{file}'"):
        assert found(value) == SECRET
    assert found("kept:a", a=SECRET) == SECRET


@pytest.mark.parametrize("value", ["", "plain", "env:", "http://host", "ENV:NAME", "kept", ":x"])
def test_whatever_is_of_no_such_form_is_a_secret_itself(value: str) -> None:
    assert reference_of(value) is None


def test_a_reference_says_what_it_was_made_of() -> None:
    for value in ("env:NAME", "file:/a:b", "cmd:pass show x", "kept:store/key"):
        reference = reference_of(value)
        assert isinstance(reference, Reference)
        assert str(reference) == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("env:HOLDFAST_TEST_UNSET", "HOLDFAST_TEST_UNSET"),
        ("file:relative", "no absolute path"),
        ("file:/nowhere/secret", "/nowhere/secret cannot be read"),
        ("file:/dev/zero", "no regular file"),
        ("cmd:false canary-of-a-secret", "false ended with status 1"),
        ("cmd:true canary-of-a-secret", "true gives nothing"),
        ("cmd:no-such-program canary-of-a-secret", "no-such-program cannot be run"),
        ("cmd:unclosed 'canary-of-a-secret", "unclosed cannot be run"),
        ("cmd:TOKEN=canary-of-a-secret program", "the command TOKEN cannot be run"),
        ("kept:store/gone", "not in the file of secrets"),
        ("file:/nowhere\0", "is no path"),
    ],
)
def test_one_that_is_missing_is_named_without_what_may_be_secret(value: str, said: str) -> None:
    with pytest.raises(SecretMissing, match=said) as problem:
        found(value)
    assert SECRET not in str(problem.value)
    assert problem.value.exit_code == 3


def test_a_variable_that_is_no_text_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"HOLDFAST_TEST_SECRET", b"canary\xff")
    with pytest.raises(SecretMissing, match="HOLDFAST_TEST_SECRET gives no text") as problem:
        found("env:HOLDFAST_TEST_SECRET")
    assert "canary" not in str(problem.value)


def test_a_fifo_and_an_endless_file_are_no_secrets(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    large = tmp_path / "large"
    large.write_bytes(b"x" * (1 << 17))

    with pytest.raises(SecretMissing, match="no regular file"):
        found(f"file:{fifo}")
    with pytest.raises(SecretMissing, match="no secret"):
        found(f"file:{large}")


def script(tmp_path: Path, *lines: str) -> tuple[str, Path]:
    """A command that writes down who it is, and its child, and then does this."""
    program, numbers = tmp_path / "asked", tmp_path / "numbers"
    child = "sleep 600 & echo $$ $! > numbers.new; mv numbers.new numbers"
    program.write_text("\n".join(("#!/bin/sh", f"cd '{tmp_path}'", child, *lines)))
    program.chmod(0o700)
    return f"cmd:{program}", numbers


def wait_for_their_end(numbers: Path) -> None:
    """Wait until none of these processes is there, but as a zombie."""
    left = numbers.read_text().split()
    while left:
        status = Path(f"/proc/{left[0]}/stat")
        try:
            ended = status.read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            ended = True
        if ended:
            del left[0]


def test_a_command_that_never_stops_talking_is_ended_at_the_limit(tmp_path: Path) -> None:
    """No more of it is read than a secret may have; nothing that it started goes on."""
    value, numbers = script(tmp_path, "exec cat /dev/zero")
    with pytest.raises(SecretMissing, match="no secret"):
        found(value)
    wait_for_their_end(numbers)


@pytest.mark.parametrize(
    ("line", "says_something"),
    [
        ("exec sleep 600", False),
        ("echo secret", False),
        ("kill $!; exec >&-; exec sleep 600", True),
    ],
)
def test_a_command_that_comes_to_no_end_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, says_something: bool
) -> None:
    """Whether it goes on, or a child that holds its output: neither does after the deadline."""
    value, numbers = script(tmp_path, line)

    class NoMoreTime:
        """Waits for a process's output until that is at work, and no longer."""

        def register(self, *_: object) -> None: ...

        def poll(self, _ms: float) -> list[object]:
            while not numbers.exists():
                os.sched_yield()
            return [1] * says_something

    monkeypatch.setattr("holdfast.credentials.references._COMMAND_S", 0.0)
    monkeypatch.setattr("holdfast.credentials.references.select.poll", NoMoreTime)
    with pytest.raises(SecretMissing, match="in time"):
        found(value)
    wait_for_their_end(numbers)
