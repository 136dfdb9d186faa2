"""``holdfast reduce``: make a failure smaller, on a driver that the command line names."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.contract.errors import ExitCode, UsageError
from holdfast.text.foreign import tell
from holdfast_conformance.cli.named import BackendOption, DriverOption, driver_named
from holdfast_conformance.reduction.fewest_steps import OPS_MAX
from holdfast_conformance.reduction.recorded_failure import recorded_failure, reduce_recorded
from holdfast_conformance.replay_file import encode_repro, replay_command
from holdfast_conformance.report.wording import describe_step
from holdfast_conformance.stranger_files import refuse_to_write, write_over


def register(app: typer.Typer) -> None:
    """Add ``holdfast reduce``."""
    app.command("reduce")(run_reduce)


def run_reduce(  # noqa: PLR0917 - typer makes options of parameters
    file: Annotated[Path, typer.Argument(help="A trace (traces/*.jsonl) or a replay file.")],
    property_id: Annotated[
        str, typer.Option("--property", help="The property, where several fail.")
    ] = "",
    driver: DriverOption = "",
    backend: BackendOption = "",
    ops: Annotated[int, typer.Option(help="How many steps may be executed.", min=1)] = OPS_MAX,
    out: Annotated[Path | None, typer.Option(help="Where to write the replay file.")] = None,
) -> None:
    """Find the fewest steps with which a property still fails, and write a replay file.

    Exit codes: 0 it does not fail any more, 1 it fails, 2 bad usage, or a file that is none.
    """
    recorded = recorded_failure(file, property_id)
    name = driver_named(driver, file, recorded.provider)
    target = out or Path(f"{recorded.finding.property}.json")
    if out is None:
        refuse_to_write(target)
    repro = reduce_recorded(recorded, provider=name, testbed=backend, ops_max=ops)
    if repro.confirmed[0] == 0 or repro.plan is None:
        tell(f"{repro.property} does not fail any more on {repro.provider}")
        return
    try:
        if out is None:  # the folder may be the report's, which is a stranger's
            write_over(target, encode_repro(repro))
        else:
            target.write_bytes(encode_repro(repro))
    except OSError as problem:
        raise UsageError(f"{target}: {problem.strerror}") from problem
    tell(*(f"{number:3} {describe_step(step)}" for number, step in enumerate(repro.plan.steps)))
    failed, times = repro.confirmed
    again = replay_command(str(target), name, backend)
    tell(f"{repro.property} fails ({failed} of {times}): {again}")
    raise typer.Exit(ExitCode.FAILED)
