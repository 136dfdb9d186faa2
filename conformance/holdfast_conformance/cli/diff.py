"""``holdfast diff``: what changed from one report to another, both of which are verified first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from holdfast.contract.errors import ExitCode, UsageError
from holdfast.text.foreign import tell
from holdfast_conformance.report.document import Report
from holdfast_conformance.report.scope import scope_of
from holdfast_conformance.report.verify import Standing, verify
from holdfast_conformance.verdict import PropertyResult, Status

_WORSE = {Status.FAIL, Status.ERROR, Status.VACUOUS}


def register(app: typer.Typer) -> None:
    """Add ``holdfast diff``."""
    app.command("diff")(show_diff)


def show_diff(
    old: Annotated[Path, typer.Argument(help="The earlier report's directory.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="The later report's directory.", metavar="NEW")],
) -> None:
    """Show which properties changed their status.

    Exit codes: 0 none got worse, 1 one did, 2 a report is rejected or there is none.
    """
    before, after = _verified(old), _verified(new)
    tell(*_scope_lines(before, after), *_property_lines(before, after))
    if any(_got_worse(*pair) for pair in _pairs(before, after)):
        raise typer.Exit(ExitCode.FAILED)


def _verified(directory: Path) -> Report:
    """The report, verified; that it was made by another suite, and thus was not, is told.

    Raises:
        UsageError: it is rejected, or there is none.
    """
    outcome = verify(directory)
    if outcome.standing is Standing.WRONG or outcome.report is None:
        raise UsageError(
            f"{directory} is rejected, so that it is not compared: {outcome.problems[0]}"
        )
    if outcome.standing is Standing.OTHER_SUITE:
        tell(f"not verified: {directory}: {outcome.problems[0]}")
    return outcome.report


def _pairs(before: Report, after: Report) -> Iterator[tuple[PropertyResult | None, PropertyResult]]:
    """Every property of the later report with what the earlier one said of it."""
    earlier = {result.id: result for result in before.verdict.results}
    for result in after.verdict.results:
        yield earlier.get(result.id), result


def _got_worse(before: PropertyResult | None, after: PropertyResult) -> bool:
    was_fine = before is None or before.status not in _WORSE
    return was_fine and after.status in _WORSE


def _scope_lines(before: Report, after: Report) -> Iterator[str]:
    for report in (before, after):
        stated = report.stated
        yield f"{stated.driver.reference} {stated.run.id}: {scope_of(report)}"
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
