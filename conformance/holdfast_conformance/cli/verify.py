"""``holdfast verify``: recompute a report from its traces."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.contract.errors import ExitCode
from holdfast.text.foreign import tell
from holdfast_conformance.report.scope import scope_of
from holdfast_conformance.report.verify import STATEMENT, Standing, verify

_EXIT = {
    Standing.RIGHT: ExitCode.DONE,
    Standing.WRONG: ExitCode.FAILED,
    Standing.OTHER_SUITE: ExitCode.UNAVAILABLE,
}


def register(app: typer.Typer) -> None:
    """Add ``holdfast verify``."""
    app.command("verify")(verify_report)


def verify_report(
    directory: Annotated[Path, typer.Argument(help="A report's directory.", metavar="DIR")],
) -> None:
    """Hash every file of a report, make all its plans again, judge its traces again, compare.

    What is marked as stated is nobody's but the writer's.

    Exit codes: 0 verified, 1 rejected, 2 there is no report, 3 made by another suite.
    """
    outcome = verify(directory)
    if outcome.standing is Standing.RIGHT and outcome.report is not None:
        report = outcome.report
        tell(f"{report.stated.driver.reference}: {scope_of(report)}", f"verified: {STATEMENT}")
    else:
        verdict = "rejected" if outcome.standing is Standing.WRONG else "not verified"
        tell(f"{verdict}: {directory}", *(f"  {problem}" for problem in outcome.problems))
    raise typer.Exit(_EXIT[outcome.standing])
