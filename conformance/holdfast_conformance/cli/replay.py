"""``holdfast replay``: execute a replay file again, on a driver that the command line names."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.contract.errors import ExitCode
from holdfast.text.foreign import tell
from holdfast_conformance.cli.named import BackendOption, DriverOption, driver_named
from holdfast_conformance.reduction.replay import replay
from holdfast_conformance.replay_file import read_repro
from holdfast_conformance.report.wording import describe_step


def register(app: typer.Typer) -> None:
    """Add ``holdfast replay``."""
    app.command("replay")(run_replay)


def run_replay(
    file: Annotated[Path, typer.Argument(help="A replay file: repro/PROPERTY.json of a report.")],
    driver: DriverOption = "",
    backend: BackendOption = "",
    times: Annotated[int, typer.Option(help="How often to execute it.", min=1)] = 1,
) -> None:
    """Execute a failure's minimal plan again.

    Exit codes: 0 the property holds, 1 it fails again, 2 bad usage or no replay file, 4 the plan
    did not put it to the test.
    """
    repro = read_repro(file)
    name = driver_named(driver, file, repro.provider)
    replayed = replay(repro, provider=name, testbed=backend, times=times)
    steps = repro.plan.steps if repro.plan else ()
    lines = [describe_step(step) for step in steps] or ["(loading the driver is all it takes)"]
    tell(*(f"{number:3} {line}" for number, line in enumerate(lines)))
    if replayed.finding is None and replayed.unreached:
        tell(f"not reached: {replayed.unreached}")
        raise typer.Exit(ExitCode.NOTHING_EXERCISED)
    if replayed.finding is None:
        tell(f"{repro.property} holds on {name} ({times} of {times})")
        return
    tell(
        f"{repro.property} fails on {name} ({replayed.failed} of {times})",
        f"  at step {replayed.finding.index}",
        f"  expected: {replayed.finding.expected}",
        f"  observed: {replayed.finding.observed}",
    )
    raise typer.Exit(ExitCode.FAILED)
