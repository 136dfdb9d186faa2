"""``holdfast diff``: what changed from one report to another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from holdfast.errors import ExitCode, UsageError
from holdfast_conformance.report.document import REPORT_NAME, Report, decode_report
from holdfast_conformance.trace_lines import UNREADABLE
from holdfast_conformance.verdict import PropertyResult, Status

_WORSE = {Status.FAIL, Status.ERROR, Status.VACUOUS}


def register(app: typer.Typer) -> None:
    """Add ``holdfast diff``."""
    app.command("diff")(show_diff)


def show_diff(
    old: Annotated[Path, typer.Argument(help="The earlier report's directory.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="The later report's directory.", metavar="NEW")],
) -> None:
    """Show which properties changed their status; exit 1 when one got worse, else 0."""
    before, after = _read(old), _read(new)
    for line in (*_scope_lines(before, after), *_property_lines(before, after)):
        typer.echo(line)
    if any(_got_worse(*pair) for pair in _pairs(before, after)):
        raise typer.Exit(ExitCode.FAILED)


def _read(directory: Path) -> Report:
    path = directory / REPORT_NAME
    try:
        return decode_report(path.read_bytes())
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror}; give a report's directory") from problem
    except UNREADABLE as problem:
        raise UsageError(f"{path} is no report: {problem}") from problem


def _pairs(before: Report, after: Report) -> Iterator[tuple[PropertyResult | None, PropertyResult]]:
    """Every property of the later report with what the earlier one said of it."""
    earlier = {result.id: result for result in before.verdict.results}
    for result in after.verdict.results:
        yield earlier.get(result.id), result


def _got_worse(before: PropertyResult | None, after: PropertyResult) -> bool:
    was_fine = before is None or before.status not in _WORSE
    return was_fine and after.status in _WORSE


def _scope_lines(before: Report, after: Report) -> Iterator[str]:
    yield f"{before.driver.reference} {before.run.id}: {before.scope}"
    yield f"{after.driver.reference} {after.run.id}: {after.scope}"
    if before.suite != after.suite:
        yield f"the suite changed from {before.suite.version} to {after.suite.version}"
    lost, gained = set(before.badges) - set(after.badges), set(after.badges) - set(before.badges)
    if lost:
        yield f"badges lost: {', '.join(sorted(lost))}"
    if gained:
        yield f"badges gained: {', '.join(sorted(gained))}"


def _property_lines(before: Report, after: Report) -> Iterator[str]:
    changed = 0
    for earlier, later in _pairs(before, after):
        was = earlier.status.value if earlier else "not in the catalogue"
        if was != later.status.value:
            changed += 1
            mark = "worse" if _got_worse(earlier, later) else "changed"
            yield f"{mark}: {later.id} {was} -> {later.status.value} {later.reason}".rstrip()
    if not changed:
        yield "no property changed its status"
