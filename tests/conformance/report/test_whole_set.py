"""A certificate is of all plans of all roles; of anything less the report says so, or is wrong."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from holdfast.contract.requests import Role
from holdfast_conformance.report.document import Report
from holdfast_conformance.report.inputs import inputs_of
from holdfast_conformance.report.verify import Standing, verify
from holdfast_conformance.stopping import Stop
from holdfast_conformance.trace import Loaded, Started
from holdfast_conformance.trace_lines import decode_record, encode_record
from holdfast_conformance.verdict import Level, Status
from written_reports import report_in, rewrite

pytestmark = pytest.mark.slow


def traces_of(directory: Path, role: str) -> list[Path]:
    return sorted((directory / "traces").glob(f"*-{role}*.jsonl"))


def stopped(directory: Path, **stops: Stop) -> Report:
    """The report written anew, which says that these roles were stopped."""
    inputs = inputs_of(report_in(directory))
    said = {**inputs.run.stopped, **{Role(name): stop for name, stop in stops.items()}}
    run = msgspec.structs.replace(inputs.run, stopped=said)
    return rewrite(directory, msgspec.structs.replace(inputs, run=run))


def edit_first_records(
    directory: Path, change: Callable[[Loaded | Started], Loaded | Started]
) -> None:
    for path in (directory / "traces").iterdir():
        first, *others = path.read_bytes().splitlines(keepends=True)
        record = decode_record(first.rstrip(b"\n"))
        assert isinstance(record, Loaded | Started)
        path.write_bytes(b"".join((encode_record(change(record)), b"\n", *others)))


def test_the_last_plans_left_out_are_rejected(directory: Path) -> None:
    """Though all that is there is right, and the report is written anew from it."""
    for path in traces_of(directory, "primary")[-10:]:
        path.unlink()
    rewrite(directory, inputs_of(report_in(directory)))

    assert any("and whatever comes after it" in told for told in verify(directory).problems)


@pytest.mark.parametrize("role", ["primary", "image"])
def test_a_role_left_out_is_rejected(directory: Path, role: str) -> None:
    """What each loading tells is which roles there are."""
    for path in traces_of(directory, role):
        path.unlink()
    rewrite(directory, inputs_of(report_in(directory)))

    told = f"the provider has the {role} role, and no trace loads it"
    assert told in verify(directory).problems


def test_a_plan_told_twice_is_rejected(directory: Path) -> None:
    """Each plan is due once, in its place."""
    last = traces_of(directory, "primary")[-1]
    for path in reversed(traces_of(directory, "image")):
        path.rename(path.with_name(f"{int(path.name[:6]) + 1:06d}{path.name[6:]}"))
    copy = last.with_name(f"{int(last.name[:6]) + 1:06d}-primary.jsonl")
    copy.write_bytes(last.read_bytes())
    rewrite(directory, inputs_of(report_in(directory)))

    assert any("is not what suite, profile" in told for told in verify(directory).problems)


def test_a_run_that_was_stopped_is_no_certificate_and_says_so(directory: Path) -> None:
    """Nothing above L0 is known of a role that was not run through all of its plans."""
    traces_of(directory, "primary")[-1].unlink()
    report = stopped(directory, primary=Stop.OUT_OF_TIME)

    assert verify(directory).standing is Standing.RIGHT
    assert (report.verdict.level, report.verdict.ok) == (Level.L0, False)
    results = {result.id: result for result in report.verdict.results}
    assert results["VOL-01"].status is Status.VACUOUS
    assert "the run was stopped after" in results["VOL-01"].reason
    assert "thin" not in report.badges


def test_a_run_that_was_not_stopped_does_not_say_so(directory: Path) -> None:
    """Nor because the driver is known to be wrong, where it is not."""
    stopped(directory, primary=Stop.OUT_OF_TIME)
    told = verify(directory).problems
    assert "the primary role is said to have been stopped, and was not" in told

    traces_of(directory, "primary")[-1].unlink()
    stopped(directory, primary=Stop.KNOWN_WRONG)
    assert any("0 plans that diverged" in told for told in verify(directory).problems)


def test_faults_that_are_hidden_ask_for_other_plans(directory: Path) -> None:
    """Without them, and without the plans that need them, the others are not those that are due."""
    for path in (directory / "traces").iterdir():
        if b'"type":"inject_fault"' in path.read_bytes().splitlines()[0]:
            path.unlink()
    edit_first_records(directory, lambda record: msgspec.structs.replace(record, faults=()))
    rewrite(directory, inputs_of(report_in(directory)))

    assert any("is not what suite, profile" in told for told in verify(directory).problems)


def test_faults_of_which_only_plans_say_nothing_are_rejected(directory: Path) -> None:
    """What plans were run with is what was there when the role was loaded."""

    def change(record: Loaded | Started) -> Loaded | Started:
        return record if isinstance(record, Loaded) else msgspec.structs.replace(record, faults=())

    edit_first_records(directory, change)
    rewrite(directory, inputs_of(report_in(directory)))

    assert any("other faults than were loaded" in told for told in verify(directory).problems)
