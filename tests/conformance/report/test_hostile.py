"""A report is a stranger's file: whatever is in it, it is told in clean text, soon, and truly."""

import os
import resource
import stat
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from holdfast.cli import build_app
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import ConfigurationError, ExitCode, UsageError
from holdfast.contract.testbed import BackendIdentity
from holdfast.text.foreign import complain
from holdfast_conformance.plan import PutObject, WriteBlocks
from holdfast_conformance.replay_file import Repro, encode_repro, read_repro
from holdfast_conformance.report.document import REPORT_NAME
from holdfast_conformance.report.verify import Standing, verify
from holdfast_conformance.trace import Started
from holdfast_conformance.trace_lines import decode_record, encode_record
from written_reports import FAILING, forge, report_in, sealed

pytestmark = pytest.mark.slow

HOSTILE = "\x1b[2J\x1b[H\x1b]0;t\x07\rverified: \n\x9b1m\u202e\u061c\u00ad\u180e\U000e0041\ufff9 x"


def is_clean(text: str) -> bool:
    """Whether only lines of our own and characters that do nothing are in it."""
    return all(
        unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
        for character in text.replace("\n", "")
    )


def trace_of(directory: Path, role: str = "image") -> Path:
    return next(iter(sorted((directory / "traces").glob(f"*-{role}.jsonl"))))


def repro_of(directory: Path) -> Path:
    return next(iter(sorted((directory / "repro").iterdir())))


@pytest.mark.parametrize(
    "name",
    [
        "setup.py",
        "traces/sub/a.jsonl",
        "traces/evil.html",
        "traces/999999-image.jsonl",
        "traces/000002-image.jsonl",
        "repro/VOL-06.json; echo INJECTED #",
        "repro/VOL-06.json",
        "repro/IMG-01.JSON",
        "verified: all is well\n",
        "\x1b[2J",
    ],
)
def test_a_file_that_no_report_has_is_rejected(directory: Path, name: str) -> None:
    """Also with files, digest and renderings put right: what is there follows from the verdict."""
    extra = directory / name
    extra.parent.mkdir(exist_ok=True)
    data = repro_of(directory).read_bytes() if name.startswith("repro/") else b""
    extra.write_bytes(data)
    forge(directory, report_in(directory))

    outcome = verify(directory)
    assert outcome.standing is Standing.WRONG
    assert any(name.partition("/")[2] in problem or name in problem for problem in outcome.problems)


def test_many_empty_traces_are_rejected(directory: Path) -> None:
    """A trace of nothing is no trace, however many there are."""
    last = len(list((directory / "traces").iterdir()))
    for number in range(last + 1, last + 2_000):
        (directory / "traces" / f"{number:06d}-image.jsonl").write_bytes(b"")
    forge(directory, report_in(directory))

    assert any("is empty" in problem for problem in verify(directory).problems)


def test_an_empty_folder_is_rejected(directory: Path) -> None:
    """What holds no file belongs to no report either."""
    (directory / "traces" / "sub").mkdir()

    assert verify(directory).problems == ("traces/sub is a folder; a report holds plain files",)


def test_a_trace_that_goes_on_after_the_failure_is_rejected(directory: Path) -> None:
    """Where the executor was stopped nothing more is judged, so that nothing more may stand."""
    for path in (directory / "traces").glob("*-image.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        if b'"type":"ended"' not in lines[-1]:
            path.write_bytes(b"".join((*lines, lines[-1])))
    forge(directory, report_in(directory))

    assert any("goes on where the executor" in problem for problem in verify(directory).problems)


def test_a_replay_file_of_another_run_is_rejected(directory: Path) -> None:
    """It is of the report's driver, seed and suite, and of a plan that was run."""
    path = repro_of(directory)
    repro = read_repro(path)
    assert repro.plan is not None
    others: tuple[Repro, ...] = (
        msgspec.structs.replace(repro, provider="pwn:X"),
        msgspec.structs.replace(repro, testbed="live:/etc/passwd"),
        msgspec.structs.replace(repro, seed=4),
        msgspec.structs.replace(repro, suite="9"),
        msgspec.structs.replace(repro, plan=msgspec.structs.replace(repro.plan, id="other")),
    )
    for other in others:
        path.write_bytes(encode_repro(other))
        sealed(directory, report_in(directory))
        told = f"the replay file of {repro.property}"
        assert any(told in problem for problem in verify(directory).problems)


Make = Callable[[Path], object]
KINDS: dict[str, Make] = {
    "FIFO": os.mkfifo,
    "link": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["report.json", "junit.xml", "traces", "repro", "extra", "top"])
def test_what_is_no_plain_file_blocks_nobody(directory: Path, kind: str, what: str) -> None:
    """A FIFO, a link, a folder, a socket in any place is named, and never waited for."""
    place = {
        "traces": trace_of(directory),
        "repro": repro_of(directory),
        "extra": directory / "traces" / "000001-x.jsonl",
        "top": directory / "traces",
    }.get(what, directory / what)
    if place.is_dir():
        place.rename(directory.parent / "moved")
    else:
        place.unlink(missing_ok=True)
    KINDS[kind](place)

    for command in (["verify", str(directory)], ["diff", str(directory), str(directory)]):
        told = CliRunner().invoke(build_app(), command)
        assert told.exit_code != ExitCode.DONE
        assert isinstance(told.exception, SystemExit | UsageError)


@pytest.mark.parametrize("kind", ["FIFO", "link", "folder"])
@pytest.mark.parametrize("command", ["replay", "reduce"])
def test_a_replay_file_that_is_none_blocks_nobody(tmp_path: Path, command: str, kind: str) -> None:
    """The commands on one file refuse what is no plain one, as bad usage."""
    for name in ("r.json", "t.jsonl"):
        KINDS[kind](tmp_path / name)
        told = CliRunner().invoke(
            build_app(), [command, str(tmp_path / name), "--driver", "memory"]
        )
        assert isinstance(told.exception, UsageError)
        assert name in str(told.exception)


def _second_name(path: Path) -> None:
    (path.parent / "first").write_text("precious")
    path.hardlink_to(path.parent / "first")


@pytest.mark.parametrize("kind", [*KINDS, "second name"])
def test_what_lies_where_a_replay_file_is_written_stays(
    directory: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """In a stranger's folder, ``reduce`` writes into nothing that is no plain file of one name."""
    monkeypatch.chdir(directory)
    repro = read_repro(repro_of(directory))
    (KINDS | {"second name": _second_name})[kind](directory / f"{repro.property}.json")
    before = {path: path.stat() for path in directory.parent.iterdir() if path.is_file()}

    told = CliRunner().invoke(
        build_app(), ["reduce", str(repro_of(directory)), "--driver", FAILING]
    )

    assert isinstance(told.exception, UsageError)
    assert "--out" in str(told.exception)
    assert {path: path.stat() for path in before} == before


@pytest.mark.parametrize("command", ["replay", "reduce"])
def test_a_replay_file_of_no_property_is_refused_in_a_few_words(
    directory: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """It is no failure that was mended, whatever it calls it, and however long that is."""
    path = repro_of(directory)
    repro = msgspec.structs.replace(read_repro(path), property=HOSTILE * 10_000)
    path.write_bytes(encode_repro(repro))
    told = CliRunner().invoke(build_app(), [command, str(path), "--driver", "memory"])
    assert isinstance(told.exception, ConfigurationError)
    complain(str(told.exception))
    said = capsys.readouterr().err
    assert is_clean(said)
    assert len(said) < 1 << 18


MEMORY_MAX_BYTES = 1 << 30


def bounded(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The program with a bound on its memory."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))

    return subprocess.run(
        [sys.executable, "-P", "-m", "holdfast", *arguments],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("size_bytes", [200 << 20, 2 << 30, 1 << 40])
@pytest.mark.parametrize("what", ["traces", "repro", "report.json", "report.html"])
def test_a_file_of_holes_costs_no_memory(directory: Path, what: str, size_bytes: int) -> None:
    """One larger than any is refused by its size; a trace without an end of line, at its limit."""
    place = {"traces": trace_of(directory), "repro": repro_of(directory)}.get(
        what, directory / what
    )
    with place.open("wb") as file:
        file.truncate(size_bytes)
    done = bounded("verify", str(directory))

    assert (done.returncode, done.stderr) == (ExitCode.FAILED, "")
    assert done.stdout.startswith(f"rejected: {directory}\n")
    assert "Traceback" not in done.stderr


def test_a_large_trace_to_reduce_costs_no_more(tmp_path: Path) -> None:
    """Its first line is no record, and that is all that is read of it."""
    trace = tmp_path / "t.jsonl"
    with trace.open("wb") as file:
        file.truncate(200 << 20)
    done = bounded("reduce", str(trace), "--driver", "memory")

    assert done.returncode == ExitCode.USAGE
    assert "Traceback" not in done.stderr


def test_a_store_that_cannot_be_is_no_division_by_zero(directory: Path) -> None:
    """Capabilities of nonsense in traces are refused, wherever they stand."""
    edits = 0
    for path in (directory / "traces").iterdir():
        text = path.read_text()
        changed = text.replace('size_granularity_bytes":', 'size_granularity_bytes":0')
        changed = changed.replace('size_granularity_bytes\\":', 'size_granularity_bytes\\":0')
        changed = changed.replace('":04096', '":0').replace('\\":04096', '\\":0')
        edits += changed != text
        path.write_text(changed)
    sealed(directory, report_in(directory))
    outcome = verify(directory)

    assert edits > 0
    assert outcome.standing is Standing.WRONG
    assert any("size_granularity_bytes is 0" in problem for problem in outcome.problems)


def edit_plan(directory: Path, role: str, step: object) -> None:
    """Put a step in front of the first plan of a role, as a stranger may."""
    path = trace_of(directory, role)
    lines = path.read_bytes().splitlines(keepends=True)
    started = decode_record(lines[0].rstrip(b"\n"))
    assert isinstance(started, Started)
    steps = (step, *started.plan.steps)
    plan = msgspec.structs.replace(started.plan, steps=steps)
    lines[0] = encode_record(msgspec.structs.replace(started, plan=plan)) + b"\n"
    path.write_bytes(b"".join(lines))
    sealed(directory, report_in(directory))


HUGE = (
    ("primary", WriteBlocks(volume="v", host="host-a", first=0, count=10**9, generation=1)),
    ("primary", WriteBlocks(volume="v", host="host-a", first=-1, count=1, generation=1)),
    ("primary", WriteBlocks(volume="v" * 5000, host="host-a", first=0, count=1, generation=1)),
    (
        "image",
        PutObject(
            upload="u",
            key="k",
            kind=ObjectKind.TEMPLATE,
            content_type="",
            content=1,
            size_bytes=10**12,
        ),
    ),
)


@pytest.mark.parametrize(("role", "step"), HUGE)
def test_a_plan_beyond_all_limits_is_refused(directory: Path, role: str, step: object) -> None:
    """Nobody executes or judges it: bad input, and no fault of a driver."""
    edit_plan(directory, role, step)
    assert any("has a plan that no suite makes" in told for told in verify(directory).problems)

    trace = trace_of(directory, role)
    told = CliRunner().invoke(build_app(), ["reduce", str(trace), "--driver", "memory"])
    assert isinstance(told.exception, UsageError)
    assert "has a plan that no suite makes" in str(told.exception)

    repro = read_repro(repro_of(directory))
    assert repro.plan is not None
    plan = msgspec.structs.replace(repro.plan, steps=(step,))
    path = directory.parent / "huge.json"
    path.write_bytes(encode_repro(msgspec.structs.replace(repro, plan=plan)))
    told = CliRunner().invoke(build_app(), ["replay", str(path), "--driver", "memory"])
    assert isinstance(told.exception, UsageError)
    assert "has a plan that no suite makes" in str(told.exception)


def test_a_verdict_cannot_be_spoofed(directory: Path) -> None:
    """What a report says of vendor, product, version and files steers no terminal and no page."""
    report = report_in(directory)
    identity = BackendIdentity(vendor=HOSTILE, product=HOSTILE, version=HOSTILE, detail=HOSTILE)
    stated = report.stated
    stated = msgspec.structs.replace(
        stated,
        backend=msgspec.structs.replace(stated.backend, identity=identity, inspector=HOSTILE),
        driver=msgspec.structs.replace(stated.driver, distribution=HOSTILE),
    )
    forge(directory, msgspec.structs.replace(report, stated=stated))
    (directory / HOSTILE.replace("/", "")).write_text("")
    runner = CliRunner()
    rejected = runner.invoke(build_app(), ["verify", str(directory)])
    (directory / HOSTILE.replace("/", "")).unlink()
    verified = runner.invoke(build_app(), ["verify", str(directory)])
    compared = runner.invoke(build_app(), ["diff", str(directory), str(directory)])

    assert (rejected.exit_code, verified.exit_code, compared.exit_code) == (1, 0, 0)
    for told in (rejected, verified, compared):
        assert is_clean(told.output)
    assert not any(line.startswith("verified") for line in rejected.output.splitlines())
    for name in ("report.html", "junit.xml"):
        assert is_clean((directory / name).read_text(encoding="utf-8"))


def test_the_replay_command_of_a_page_is_safe_to_paste(directory: Path) -> None:
    """Whatever a driver or a backend was called, it is one word of a shell."""
    (failure, *_) = report_in(directory).stated.failures
    assert failure.replay == f"holdfast replay {failure.file} --driver {FAILING}"

    path = repro_of(directory)
    repro = msgspec.structs.replace(read_repro(path), testbed="embedded:x; echo INJECTED #")
    path.write_bytes(encode_repro(repro))
    command = f"{failure.replay} --backend 'embedded:x; echo INJECTED #'"
    assert repro.property == failure.property
    shown = sealed(directory, report_in(directory))
    assert [one.replay for one in shown.stated.failures if one.property == repro.property] == [
        command
    ]


def test_a_report_without_its_report_is_bad_usage(directory: Path) -> None:
    """The error names what is missing."""
    (directory / REPORT_NAME).unlink()

    with pytest.raises(UsageError, match=r"report\.json: No such file"):
        verify(directory)
