"""``holdfast verify``: recompute a report from its traces."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.errors import ExitCode
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
    """Hash every file of a report, make its plans again, judge its traces again, compare."""
    outcome = verify(directory)
    if outcome.standing is Standing.RIGHT and outcome.report is not None:
        report = outcome.report
        print(f"{report.driver.reference}: {report.scope}")  # noqa: T201 - the command's answer
        print(f"verified: {STATEMENT}")  # noqa: T201 - the command's answer
    else:
        verdict = "rejected" if outcome.standing is Standing.WRONG else "not verified"
        print(f"{verdict}: {directory}")  # noqa: T201 - the command's answer
        for problem in outcome.problems:
            print(f"  {problem}")  # noqa: T201 - the command's answer
    raise typer.Exit(_EXIT[outcome.standing])
