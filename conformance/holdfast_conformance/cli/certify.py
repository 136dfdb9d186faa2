"""``holdfast certify``: run the suite on a driver and write the report."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from holdfast.contract.errors import ConfigurationError, UsageError
from holdfast.text.foreign import complain, tell, tell_json
from holdfast.text.nearest import nearest_names
from holdfast_conformance.certification.run import (
    JOBS,
    JOBS_MAX,
    CertifyRequest,
    RunInterrupted,
    certify,
)
from holdfast_conformance.cli.durations import duration_s
from holdfast_conformance.profiles import find_profile
from holdfast_conformance.report.document import Report, RunFacts
from holdfast_conformance.report.plan_check import SEED_MAX
from holdfast_conformance.supervision.killed_run_removal import clean_up
from holdfast_conformance.supervision.progress import watcher
from holdfast_conformance.verdict import Level, PropertyResult, Status, Verdict

_OUT = Path("holdfast-report")

DriverArgument = Annotated[str, typer.Argument(help="An installed driver's name, or module:Class.")]
BackendOption = Annotated[
    str,
    typer.Option(
        help="embedded, container or sim, KIND:VARIANT, or live:FILE (a file that describes a "
        "real store); by default the driver's first."
    ),
]
SeedOption = Annotated[int, typer.Option(help="Fixes the plans.", min=0, max=SEED_MAX)]
TimeBudgetOption = Annotated[
    str, typer.Option(help="Start no further plan after this long: 90s, 10m, 2h.")
]
JobsOption = Annotated[
    int, typer.Option(help="How many workers share the plans.", min=1, max=JOBS_MAX)
]
OutOption = Annotated[
    Path | None, typer.Option(help="The report's folder; must not exist or be empty.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the verdict for machines.")]
CleanUpOption = Annotated[
    str, typer.Option(metavar="RUN", help="Remove what a killed run left, and do nothing else.")
]


def register(app: typer.Typer) -> None:
    """Add ``holdfast certify``."""
    app.command("certify")(run_certify)


def run_certify(  # noqa: PLR0917 - typer makes options of parameters
    driver: DriverArgument = "",
    backend: BackendOption = "",
    profile: Annotated[str, typer.Option(help="quick, smoke, ci, certify or soak.")] = "ci",
    level: Annotated[str, typer.Option(help="The level to reach: L0 to L4.")] = "L1",
    seed: SeedOption = 0,
    time_budget: TimeBudgetOption = "",
    jobs: JobsOption = JOBS,
    out: OutOption = None,
    as_json: JsonOption = False,
    cleanup: CleanUpOption = "",
) -> None:
    """Certify a driver: execute the suite's plans on it, judge every step, write a report.

    Exit codes: 0 the level is reached, 1 a property failed, 2 bad usage or a defect of the suite,
    3 the backend is not available, 4 too little was exercised, 5 bad configuration.
    """
    if cleanup:
        _clean_up(cleanup)
        return
    if not driver:
        raise UsageError("certify which driver? `holdfast drivers` shows what is installed")
    request = CertifyRequest(
        provider=driver,
        testbed=backend,
        profile=find_profile(profile),
        level=_level(level),
        seed=seed,
        jobs=jobs,
        out=out or _fresh_folder(driver),
        time_budget_s=duration_s(time_budget) if time_budget else None,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with watcher() as progress:
            certified = certify(request, progress)
    except RunInterrupted as interrupted:
        complain(_what_is_left(interrupted))
        raise
    if as_json:
        tell_json(certified.report.verdict)
    else:
        tell(*_summary(certified.report, request.out))
    raise typer.Exit(certified.exit_code)


def _clean_up(run: str) -> None:
    cleaned = clean_up(run)
    tell(f"{run}: {cleaned.processes} processes ended, {cleaned.namespaces} namespaces removed")


def _level(name: str) -> Level:
    if name not in tuple(Level):
        raise ConfigurationError(f"no level {name!r}; {nearest_names(name, list(Level))}")
    return Level(name)


def _fresh_folder(driver: str) -> Path:
    """A folder for the report, named after the driver, that is not there yet."""
    name = "".join(char if char.isalnum() or char in "-_." else "-" for char in driver)
    number = 1
    while (folder := _OUT / f"{name}-{number}").exists():
        number += 1
    return folder


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Treat a polite request to end like Ctrl-C, so that the run cleans up; one is enough."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _what_is_left(interrupted: RunInterrupted) -> str:
    if interrupted.clean:
        return f"run {interrupted.run} is interrupted; nothing of it is left behind"
    return (
        f"run {interrupted.run} is interrupted and may have left something behind; "
        f"remove it with: holdfast certify --cleanup {interrupted.run}"
    )


def _counts(verdict: Verdict) -> str:
    count = Counter(result.status for result in verdict.results)
    return ", ".join(f"{count[status]} {status.value}" for status in Status if count[status])


def _vacuous(verdict: Verdict) -> list[PropertyResult]:
    return [
        result
        for result in verdict.results
        if result.status is Status.VACUOUS and result.level <= verdict.requested
    ]


def _summary(report: Report, out: Path) -> list[str]:
    """The verdict for a person, failures first."""
    verdict = report.verdict
    lines: list[str] = []
    for result in verdict.results:
        if result.status in {Status.FAIL, Status.ERROR}:
            lines += _failure(result, report)
    # Of a run that was stopped, only that is news.
    vacuous = [] if report.run.stopped else _vacuous(verdict)
    # After a failure much was never reached, and that is no news.
    if vacuous and not lines:
        lines += [f"VACUOUS {result.id}: {result.reason}" for result in vacuous]
    reached = verdict.level.value if verdict.level else "no level"
    run, stated = report.run, report.stated
    lines.append(
        f"{stated.driver.reference}: {reached} reached, {verdict.requested.value} requested"
    )
    took = f"{run.ops} steps in {stated.run.wall_s:.1f} s"
    lines.append(f"  {_counts(verdict)}; {took}, seed {run.seed}")
    lines += [f"  no certificate of {run.profile}: {each}" for each in _stops(run)]
    lines.append(f"  report: {out / 'report.html'}")
    return lines


def _stops(run: RunFacts) -> Iterator[str]:
    """Why the run is not of all plans, a line for each role."""
    for role, stop in run.stopped.items():
        yield f"the {role.value} role was stopped before its last plan, {stop.value}"


def _failure(result: PropertyResult, report: Report) -> list[str]:
    statement = next((text.statement for text in report.properties if text.id == result.id), "")
    lines = [f"{result.status.value} {result.id}: {statement}"]
    if result.reason:
        lines.append(f"  {result.reason}")
    for finding in result.findings[:1]:
        lines.append(f"  expected: {finding.expected}")
        lines.append(f"  observed: {finding.observed}")
    for failure in report.stated.failures:
        if failure.property == result.id:
            lines += [f"    {step}" for step in failure.steps]
            lines.append(f"  {failure.replay}")
    return lines
