"""``holdfast replay``: execute a replay file again."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.errors import ExitCode
from holdfast_conformance.reduction.replay import replay
from holdfast_conformance.reduction.repro import read_repro
from holdfast_conformance.report.wording import describe_step, visible


def register(app: typer.Typer) -> None:
    """Add ``holdfast replay``."""
    app.command("replay")(run_replay)


def run_replay(
    file: Annotated[Path, typer.Argument(help="A replay file: repro/PROPERTY.json of a report.")],
    driver: Annotated[
        str, typer.Option(help="Another driver than the one the failure was found with.")
    ] = "",
    times: Annotated[int, typer.Option(help="How often to execute it.", min=1)] = 1,
) -> None:
    """Execute a failure's minimal plan again.

    Exit codes: 0 the property holds, 1 it fails again, 4 the plan did not put it to the test.
    """
    repro = read_repro(file)
    replayed = replay(repro, provider=driver, times=times)
    steps = repro.plan.steps if repro.plan else ()
    lines = [describe_step(step) for step in steps] or ["(loading the driver is all it takes)"]
    for number, line in enumerate(lines):
        typer.echo(f"{number:3} {visible(line)}")
    name = driver or repro.provider
    if replayed.finding is None and replayed.unreached:
        typer.echo(f"not reached: {visible(replayed.unreached)}")
        raise typer.Exit(ExitCode.NOTHING_EXERCISED)
    if replayed.finding is None:
        typer.echo(f"{repro.property} holds on {name} ({times} of {times})")
        return
    typer.echo(f"{repro.property} fails on {name} ({replayed.failed} of {times})")
    typer.echo(f"  at step {replayed.finding.index}")
    typer.echo(f"  expected: {visible(replayed.finding.expected)}")
    typer.echo(f"  observed: {visible(replayed.finding.observed)}")
    raise typer.Exit(ExitCode.FAILED)
