"""``holdfast reduce``: make a failure smaller."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.errors import ExitCode, UsageError
from holdfast_conformance.reduction.reduce import OPS_MAX
from holdfast_conformance.reduction.reducing import recorded_failure, reduce_recorded
from holdfast_conformance.reduction.repro import encode_repro
from holdfast_conformance.report.wording import describe_step, visible


def register(app: typer.Typer) -> None:
    """Add ``holdfast reduce``."""
    app.command("reduce")(run_reduce)


def run_reduce(
    file: Annotated[Path, typer.Argument(help="A trace (traces/*.jsonl) or a replay file.")],
    property_id: Annotated[
        str, typer.Option("--property", help="The property, where several fail.")
    ] = "",
    driver: Annotated[str, typer.Option(help="Another driver than the recorded one.")] = "",
    ops: Annotated[int, typer.Option(help="How many steps may be executed.", min=1)] = OPS_MAX,
    out: Annotated[Path | None, typer.Option(help="Where to write the replay file.")] = None,
) -> None:
    """Find the fewest steps with which a property still fails, and write a replay file."""
    recorded = recorded_failure(file, property_id)
    repro = reduce_recorded(recorded, provider=driver, ops_max=ops)
    if repro.confirmed[0] == 0 or repro.plan is None:
        typer.echo(f"{repro.property} does not fail any more on {repro.provider}")
        return
    target = out or Path(f"{repro.property}.json")
    try:
        target.write_bytes(encode_repro(repro))
    except OSError as problem:
        raise UsageError(f"{target}: {problem.strerror}") from problem
    for number, step in enumerate(repro.plan.steps):
        typer.echo(f"{number:3} {visible(describe_step(step))}")
    failed, times = repro.confirmed
    typer.echo(f"{repro.property} fails ({failed} of {times}): holdfast replay {target}")
    raise typer.Exit(ExitCode.FAILED)
