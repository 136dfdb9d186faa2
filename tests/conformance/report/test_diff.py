"""What changed from one report to another."""

from pathlib import Path

import msgspec
from typer.testing import CliRunner

from holdfast.cli import build_app
from holdfast.contract.errors import ExitCode, UsageError
from holdfast_conformance.report.document import REPORT_NAME, Report, digest_of, encode_report
from holdfast_conformance.verdict import Status


def written(folder: Path, report: Report) -> str:
    folder.mkdir()
    report = msgspec.structs.replace(report, digest=digest_of(report))
    (folder / REPORT_NAME).write_bytes(encode_report(report))
    return str(folder)


def with_status(report: Report, identifier: str, status: Status) -> Report:
    results = tuple(
        msgspec.structs.replace(result, status=status) if result.id == identifier else result
        for result in report.verdict.results
    )
    verdict = msgspec.structs.replace(report.verdict, results=results)
    return msgspec.structs.replace(report, verdict=verdict)


def test_a_property_that_got_worse_is_an_error(report: Report, tmp_path: Path) -> None:
    """Exit 1 and the property, when a pass became a failure; 0 for the way back."""
    good = written(tmp_path / "good", report)
    bad = written(tmp_path / "bad", with_status(report, "CAP-01", Status.FAIL))

    worse = CliRunner().invoke(build_app(), ["diff", good, bad])
    better = CliRunner().invoke(build_app(), ["diff", bad, good])

    assert (worse.exit_code, "worse: CAP-01 PASS -> FAIL" in worse.output) == (
        ExitCode.FAILED,
        True,
    )
    assert (better.exit_code, "changed: CAP-01 FAIL -> PASS" in better.output) == (
        ExitCode.DONE,
        True,
    )


def test_a_report_that_was_not_verified_is_said_to_be(report: Report, tmp_path: Path) -> None:
    """Another suite's report is compared, and each says that nothing vouches for it here."""
    folder = written(tmp_path / "one", report)
    told = CliRunner().invoke(build_app(), ["diff", folder, folder])

    assert told.output.count(f"not verified: {folder}: made by ") == 2


def test_a_rejected_report_is_not_compared(report: Report, tmp_path: Path) -> None:
    """Exit 2 and the first reason, before anything of it is shown."""
    good = written(tmp_path / "good", report)
    bad = Path(written(tmp_path / "bad", report))
    (bad / "verified.txt").write_text("")

    for pair in ((good, str(bad)), (str(bad), good)):
        told = CliRunner().invoke(build_app(), ["diff", *pair])
        assert isinstance(told.exception, UsageError)
        assert "is rejected" in str(told.exception)
        assert "verified.txt" in str(told.exception)
        assert "got" not in told.output


def test_equal_reports_differ_in_nothing(report: Report, tmp_path: Path) -> None:
    """The answer says that nothing changed."""
    folder = written(tmp_path / "one", report)
    told = CliRunner().invoke(build_app(), ["diff", folder, folder])

    assert (told.exit_code, "no property changed its status" in told.output) == (
        ExitCode.DONE,
        True,
    )
