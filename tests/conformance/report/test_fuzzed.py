"""However a report is changed, verifying it ends, in clean text, and says verified of no other."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from typer.testing import CliRunner

from holdfast.cli import build_app
from holdfast.contract.errors import ExitCode, UsageError
from holdfast_conformance.report.document import REPORT_NAME, decode_report
from holdfast_conformance.trace_lines import UNREADABLE
from written_reports import forge

pytestmark = pytest.mark.slow

ROUNDS = 60
SEALED_ROUNDS = 12
WEIRD: tuple[Any, ...] = (
    0,
    -1,
    1 << 62,
    1 << 63,
    10**30,
    1e308,
    -0.5,
    "",
    "\x1b[2J\u202e\nverified: \x9b",
    "x" * 100_000,
    None,
    True,
    [],
    {},
    [[[[[[]]]]]],
    {"\u2028": 1},
)
RAW = (b"NaN", b"Infinity", b'"\\ud800"', b"\xff\xfe", b"[" * 5000, b"1e999", b'{"a":1,"a":2}')
Change = Callable[[Path, random.Random], object]


def files_of(directory: Path) -> list[Path]:
    return sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 24
    )


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in a JSON document."""
    yield path
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        items = cast("list[Any]", value)  # type: ignore[redundant-cast]  # for pyright
        for index, inner in enumerate(items):
            yield from places(inner, (*path, index))


def edited(data: bytes, chance: random.Random) -> bytes:
    """One place of a document, or of one line of a trace, with another value or none."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return b"{}"
    row = 0 if data.startswith(b"{\n") else chance.randrange(len(lines))
    try:
        document = json.loads(data if data.startswith(b"{\n") else lines[row])
    except (ValueError, RecursionError):
        return data + b"{"  # an earlier change left nothing to edit
    *way, last = chance.choice([path for path in places(document) if path])
    inner = document
    for key in way:
        inner = inner[key]
    if chance.random() < 0.2:
        del inner[last]
    else:
        inner[last] = chance.choice(WEIRD)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if chance.random() < 0.2:
        text = text.replace(b'""', chance.choice(RAW), 1).replace(b"0", chance.choice(RAW), 1)
    if data.startswith(b"{\n"):
        try:
            return msgspec.json.format(text, indent=2) + b"\n"
        except UNREADABLE:
            return text
    lines[row] = text + b"\n"
    return b"".join(lines)


def edit(directory: Path, chance: random.Random) -> None:
    named = [path for path in files_of(directory) if path.suffix.startswith(".json")]
    path = chance.choice(named)
    path.write_bytes(edited(path.read_bytes(), chance))


def edit_document(directory: Path, chance: random.Random) -> None:
    path = directory / REPORT_NAME
    if path not in files_of(directory):
        return
    path.write_bytes(edited(path.read_bytes(), chance))


def damage(directory: Path, chance: random.Random) -> None:
    path = chance.choice(files_of(directory))
    data = bytearray(path.read_bytes())
    start = chance.randrange(len(data) + 1)
    data[start : start + chance.choice((0, 1, 100))] = chance.choice((b"", b"\n", *RAW))
    path.write_bytes(bytes(data))


def cut(directory: Path, chance: random.Random) -> None:
    path = chance.choice(files_of(directory))
    os.truncate(path, chance.choice((0, path.stat().st_size // 2, 300 << 20)))


def replace(directory: Path, chance: random.Random) -> None:
    path = chance.choice([*files_of(directory), directory / "traces", directory / "repro"])
    path.rename(directory.parent / f"moved-{chance.random()}")
    makers: tuple[Callable[[Path], object], ...] = (
        os.mkfifo,
        Path.mkdir,
        lambda made: made.symlink_to("/dev/zero"),
        lambda made: made.symlink_to("report.json"),
        lambda _: None,
    )
    chance.choice(makers)(path)


def rename(directory: Path, chance: random.Random) -> None:
    path = chance.choice(files_of(directory))
    names = ("\x1b[2Jverified", "000001-image.jsonl", "VOL-99.json", "x" * 200, "a;b", "\udcff")
    path.rename(path.with_name(chance.choice(names)))


def add(directory: Path, chance: random.Random) -> None:
    path = chance.choice(files_of(directory))
    shutil.copy(path, path.with_name(f"{chance.randrange(10)}{path.name}"))


def swap(directory: Path, chance: random.Random) -> None:
    first, second = chance.sample(files_of(directory), 2)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


CHANGES: tuple[Change, ...] = (
    edit,
    edit,
    edit_document,
    edit_document,
    damage,
    cut,
    replace,
    rename,
    add,
    swap,
)


def seen(directory: Path) -> dict[str, bytes | str]:
    """What is in a folder, nothing of it waited for."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 24
        else oct(path.lstat().st_mode)
        for path in sorted(directory.rglob("*"))
    }


def told(directory: Path) -> tuple[int, str]:
    """The exit code and what is said; an error of usage counts as its own exit code."""
    done = CliRunner().invoke(build_app("verify"), ["verify", str(directory)])
    if isinstance(done.exception, UsageError):
        return ExitCode.USAGE, ""
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def check(directory: Path, what: str) -> int:
    code, said = told(directory)
    assert code in {0, 1, 2, 3}, what
    assert said.isprintable() or not any(
        not character.isprintable() for character in said.replace("\n", "")
    ), what
    assert (code == 0) == ("\nverified: " in said), what
    return code


def test_no_changed_report_is_verified(original: Path, tmp_path: Path) -> None:
    """Files, bytes, values and kinds of files, changed once or more, in any order."""
    before = seen(original)
    assert check(original, "as it was written") == ExitCode.DONE
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        directory = Path(shutil.copytree(original, tmp_path / "changed"))
        for _ in range(chance.choice((1, 1, 2, 5))):
            chance.choice(CHANGES)(directory, chance)
        same = seen(directory) == before
        assert (check(directory, f"seed {seed}") == ExitCode.DONE) <= same, f"seed {seed}"
        shutil.rmtree(tmp_path / "changed")
        for moved in tmp_path.glob("moved-*"):
            shutil.rmtree(moved) if moved.is_dir() else moved.unlink()


def test_no_changed_report_that_is_put_right_is_a_defect(original: Path, tmp_path: Path) -> None:
    """With hashes, digest and renderings put right it is judged, and judging it ends as well."""
    for seed in range(SEALED_ROUNDS):
        chance = random.Random(1000 + seed)
        directory = Path(shutil.copytree(original, tmp_path / "changed"))
        document = directory / REPORT_NAME
        chance.choice((edit, edit, edit, edit_document, add, swap, damage, rename))(
            directory, chance
        )
        try:
            report = decode_report(document.read_bytes())
            forge(directory, report)
        except (*UNREADABLE, OSError, OverflowError, UnicodeError):
            pass
        check(directory, f"seed {seed}")
        shutil.rmtree(tmp_path / "changed")
