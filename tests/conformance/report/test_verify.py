"""A report is right, or it is rejected."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from holdfast.cli import build_app
from holdfast.concurrency.runtime import RealRuntime
from holdfast.contract.errors import ExitCode, UsageError
from holdfast.contract.testbed import TestbedKind
from holdfast_conformance.canary import PREFIX
from holdfast_conformance.report import write
from holdfast_conformance.report.document import REPORT_NAME, Report
from holdfast_conformance.report.inputs import inputs_of
from holdfast_conformance.report.verify import STATEMENT, Standing, verify
from holdfast_conformance.verdict import Level
from tampering import another, leaves
from written_reports import FAILING, forge, number_anew, report_in, write_original, write_report

pytestmark = pytest.mark.slow

EDITS = 100


def rewrite_trace(path: Path, find: str, replace: str) -> int:
    """Replace text in a trace; how often it was there."""
    text = path.read_text()
    path.write_text(text.replace(find, replace))
    return text.count(find)


def test_an_untouched_report_is_verified(directory: Path) -> None:
    """What the suite wrote is right, wherever it is moved to."""
    outcome = verify(directory)

    assert (outcome.standing, outcome.problems) == (Standing.RIGHT, ())
    report = report_in(directory)
    assert [failure.property for failure in report.stated.failures] != []
    assert any(name.startswith("repro/") for name in report.files)


def edit_json(data: bytes, chance: random.Random) -> bytes:
    """Change one leaf and write the document in the form that it had."""
    lines = data.splitlines(keepends=True)
    whole = data.startswith(b"{\n")
    row = 0 if whole else chance.randrange(len(lines))
    document = json.loads(data if whole else lines[row])
    path = chance.choice(list(leaves(document)))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = another(inner[path[-1]], chance)
    if whole:
        return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    lines[row] = msgspec.json.encode(document) + b"\n"
    return b"".join(lines)


def flip(data: bytes, chance: random.Random) -> bytes:
    """Change one byte."""
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :]


def test_every_random_edit_is_rejected(directory: Path) -> None:
    """Of 100 seeded edits that change a value in any file, by leaf or by byte, all are rejected."""
    chance = random.Random(20261123)
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    kinds = sorted({path.suffix for path in files})
    rejected = 0
    for _ in range(EDITS):
        suffix = chance.choice(kinds)
        path = chance.choice([path for path in files if path.suffix == suffix])
        data = path.read_bytes()
        structured = suffix in {".json", ".jsonl"} and chance.random() < 0.5
        edited = edit_json(data, chance) if structured else flip(data, chance)
        assert edited != data
        path.write_bytes(edited)
        rejected += verify(directory).standing is not Standing.RIGHT
        path.write_bytes(data)

    assert rejected == EDITS
    assert verify(directory).standing is Standing.RIGHT


def test_a_file_more_or_less_is_rejected(directory: Path) -> None:
    """A report holds exactly the files that it lists, and no links."""
    extra = directory / "traces" / "999999-primary.jsonl"
    extra.write_bytes(b"")
    assert verify(directory).problems == (f"traces/{extra.name} is not listed in report.json",)
    extra.unlink()

    trace = next(iter(sorted((directory / "traces").iterdir())))
    moved = directory.parent / trace.name
    trace.rename(moved)
    assert verify(directory).problems == (f"traces/{trace.name} is listed and missing",)

    trace.symlink_to(moved)
    assert verify(directory).standing is Standing.WRONG


def test_a_better_verdict_with_all_hashes_put_right_is_rejected(directory: Path) -> None:
    """A verdict that the traces do not give is found, however consistent the report is."""
    report = report_in(directory)
    better = msgspec.structs.replace(report.verdict, level=Level.L1, ok=True)
    forge(directory, msgspec.structs.replace(report, verdict=better))

    assert verify(directory).problems == ("verdict in report.json is not what the traces give",)


def test_an_edited_trace_with_all_hashes_put_right_is_rejected(directory: Path) -> None:
    """A trace in which the failure is edited away gives another verdict than the report's."""
    wrong = "application/octet-stream; lost"
    edits = [
        rewrite_trace(path, f'"content_type":"{wrong}"', '"content_type":"application/x-qcow2"')
        for path in (directory / "traces").iterdir()
    ]
    forge(directory, report_in(directory))

    assert sum(edits) > 0
    assert any(problem.startswith("verdict") for problem in verify(directory).problems)


def test_a_plan_left_out_is_rejected(directory: Path) -> None:
    """A report written anew from the traces without one plan shows that it is missing."""
    plans = sorted((directory / "traces").glob("*-primary.jsonl"))
    assert len(plans) > 1
    plans[0].unlink()
    number_anew(directory)
    write_report(directory, inputs_of(report_in(directory)))

    assert any(
        "is not what suite, profile, seed, capabilities and faults give" in problem
        for problem in verify(directory).problems
    )


def test_traces_that_stop_before_the_failure_are_rejected(directory: Path) -> None:
    """A report written anew from traces cut off before anything failed proves nothing."""
    inputs = inputs_of(report_in(directory))
    for path in (directory / "traces").glob("*-image.jsonl"):
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    shutil.rmtree(directory / "repro")
    forged = write_report(directory, inputs)

    assert not forged.verdict.ok
    assert any("is not whole: it stops where" in told for told in verify(directory).problems)


def test_traces_of_a_time_without_clients_are_rejected(directory: Path) -> None:
    """Who called when is needed for what calls at once are judged by: no trace lacks it."""
    edits = [
        rewrite_trace(path, '"client":0,', "") for path in (directory / "traces").glob("*.jsonl")
    ]
    forge(directory, report_in(directory))

    assert sum(edits) > 0
    assert any("missing required field `client`" in told for told in verify(directory).problems)


def test_another_driver_or_backend_than_in_the_traces_is_rejected(directory: Path) -> None:
    """A report written anew under another driver's name, or of another backend, is found."""
    inputs = inputs_of(report_in(directory))
    stated = inputs.stated
    other = msgspec.structs.replace(
        stated,
        driver=msgspec.structs.replace(stated.driver, reference="grand", provider="grand"),
        backend=msgspec.structs.replace(stated.backend, kind=TestbedKind.LIVE),
    )
    write_report(
        directory,
        msgspec.structs.replace(inputs, stated=other),
    )

    problems = verify(directory).problems
    assert f"driver 'grand' is stated, and the traces are of {FAILING!r}" in problems
    assert "backend 'live' is stated, and the traces are of 'embedded'" in problems


def test_other_capabilities_than_were_loaded_are_rejected(directory: Path) -> None:
    """Plans are made for what the driver declared when it was loaded, and for nothing less."""
    loads = sorted((directory / "traces").glob("*-load.jsonl"))
    edits = [rewrite_trace(path, r"\"kinds\":[\"template\",", r"\"kinds\":[") for path in loads]
    write_report(directory, inputs_of(report_in(directory)))

    assert sum(edits) > 0
    assert any("other capabilities than were loaded" in told for told in verify(directory).problems)


def test_an_easier_plan_is_rejected(directory: Path) -> None:
    """A report written anew from traces of other plans than the seed's is found."""
    report = report_in(directory)
    inputs = inputs_of(report)
    other = msgspec.structs.replace(inputs, run=msgspec.structs.replace(inputs.run, seed=4))
    write_report(directory, other)

    assert any(
        "is not what suite, profile, seed, capabilities and faults give" in problem
        for problem in verify(directory).problems
    )


def test_a_report_of_another_suite_is_not_verified(directory: Path) -> None:
    """What another version made is neither right nor wrong here, and the answer says what to do."""
    report = report_in(directory)
    suite = msgspec.structs.replace(report.suite, version="9.9.9")
    forge(directory, msgspec.structs.replace(report, suite=suite))

    outcome = verify(directory)
    assert outcome.standing is Standing.OTHER_SUITE
    assert "install holdfast==9.9.9" in outcome.problems[0]


def test_a_report_of_an_earlier_format_is_not_verified(directory: Path) -> None:
    """It does not say what would be needed, and the answer says so in a sentence."""
    document = directory / REPORT_NAME
    document.write_text('{"schema": "holdfast-report/1", "scope": "L1/embedded: x"}')

    outcome = verify(directory)
    assert outcome.standing is Standing.OTHER_SUITE
    assert outcome.problems[0].startswith("report.json is of format holdfast-report/1, which")
    told = CliRunner().invoke(build_app(), ["verify", str(directory)])
    assert (told.exit_code, told.output.startswith("not verified:")) == (3, True)


def test_planted_secrets_stop_the_report(directory: Path) -> None:
    """A secret found in any file is an error, and no report is left behind."""
    inputs = inputs_of(report_in(directory))
    planted = RealRuntime().new_id(PREFIX)
    driver = msgspec.structs.replace(inputs.stated.driver, distribution=f"the host said {planted}")
    stated = msgspec.structs.replace(inputs.stated, driver=driver)
    inputs = msgspec.structs.replace(inputs, stated=stated)

    with pytest.raises(UsageError, match=r"a planted secret is in report\.html, report\.json"):
        write_report(directory, inputs)
    assert not (directory / REPORT_NAME).exists()


@pytest.mark.parametrize("start", [b"[", b'{"schema":'])
def test_a_report_nested_too_deeply_is_rejected(directory: Path, start: bytes) -> None:
    """What no reader can follow is no report, and that is told in one line."""
    (directory / REPORT_NAME).write_bytes(start * 100_000)

    (problem,) = verify(directory).problems
    assert problem.startswith("report.json is no report: ")


def test_a_trace_nested_too_deeply_is_rejected(directory: Path) -> None:
    """A line that no reader can follow is named, also with all hashes put right."""
    trace = next(iter(sorted((directory / "traces").iterdir())))
    trace.write_bytes(b'{"plan":' + b"[" * 100_000 + b"\n")
    forge(directory, report_in(directory))

    (problem,) = verify(directory).problems
    assert problem.startswith(f"traces/{trace.name} line 1 is no trace record: ")


def test_the_command_tells_right_from_wrong(directory: Path) -> None:
    """Exit 0 and what it is worth for a right report, 1 and the reason for a wrong one."""
    app = build_app()
    right = CliRunner().invoke(app, ["verify", str(directory)])
    (directory / "junit.xml").write_text("<testsuites/>")
    wrong = CliRunner().invoke(app, ["verify", str(directory)])

    assert (right.exit_code, STATEMENT in right.output) == (ExitCode.DONE, True)
    assert (wrong.exit_code, "junit.xml was changed" in wrong.output) == (ExitCode.FAILED, True)


def test_a_folder_without_a_report_is_a_usage_error(directory: Path) -> None:
    """The error names the file that is missing."""
    with pytest.raises(UsageError, match=r"report\.json: No such file or directory"):
        verify(directory / "traces")


def change(trace: Path) -> None:
    trace.write_bytes(trace.read_bytes().replace(b"memory", b"Memory"))


def add(trace: Path) -> None:
    trace.with_name(trace.name.replace("1-primary", "7-primary")).write_bytes(trace.read_bytes())


def remove(trace: Path) -> None:
    trace.unlink()


@pytest.mark.parametrize("spoil", [change, add, remove])
def test_no_report_is_written_where_a_trace_is_not_as_it_was_written(
    spoil: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is of the lines that were judged: a disk with others gets no report."""

    def spoilt(directory: Path, *facts: Any) -> Report:
        spoil(directory / "traces" / "000001-primary-load.jsonl")
        return write.write_report(directory, *facts)

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("holdfast_conformance.certification.run.write_report", spoilt)
    with pytest.raises(UsageError, match="is not there as it was written"):
        write_original(tmp_path / "out", "memory", level=Level.L0)

    assert not (tmp_path / "out" / REPORT_NAME).exists()
