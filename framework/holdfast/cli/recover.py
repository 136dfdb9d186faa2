"""``holdfast recover``: drive every interrupted operation to an outcome."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from holdfast.cli.open_zone import CatalogueOption, JsonOption, open_zone
from holdfast.concurrency.interruptions import run_program
from holdfast.contract.errors import ExitCode
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.recovery import Recovered
from holdfast.text.foreign import tell, tell_json


class RecoveredRow(msgspec.Struct, frozen=True, kw_only=True):
    """One recovered operation for machines."""

    operation: str
    kind: str
    subject: str
    found: str
    verdict: Verdict
    error: str
    left: tuple[str, ...]


def register(app: typer.Typer) -> None:
    """Add ``holdfast recover``."""
    app.command("recover")(run_recover)


def run_recover(
    catalogue: CatalogueOption,
    as_json: JsonOption = False,
    renew_lease: Annotated[
        bool,
        typer.Option(
            "--renew-lease",
            help="Make a new lease where the catalogue's is damaged; no other Holdfast may be at "
            "work on its stores.",
        ),
    ] = False,
) -> None:
    """Finish or take back what was interrupted. Repeating it is harmless.

    Each operation is told of as it ends. One that cannot be driven on is left as it is, and stops
    no other. Exits with 1 while an operation has no certain outcome or left something behind, and
    with 3 where all that these want is outside Holdfast: a secret, space for the catalogue.
    """
    say = _say_nothing if as_json else _say
    recoveries = run_program(_recover(catalogue, say, renewing_lease=renew_lease))
    rows = [_row(one) for one in recoveries]
    if as_json:
        tell_json(rows)
    else:
        tell(f"{len(rows)} operations recovered" if rows else "nothing to recover")
    codes = {_code(one) for one in recoveries} - {ExitCode.DONE}
    if codes:
        # One reason for all of them, very likely, and nothing that Holdfast itself can mend.
        only_lacking = codes == {ExitCode.UNAVAILABLE}
        raise typer.Exit(ExitCode.UNAVAILABLE if only_lacking else ExitCode.FAILED)


def _code(one: Recovered) -> ExitCode:
    match one.outcome.verdict:
        case Verdict.UNKNOWN:
            return one.outcome.exit_code if one.failure is None else one.failure.exit_code
        case Verdict.FAILED_DIRTY:
            return ExitCode.FAILED
        case _:
            return ExitCode.DONE


def _say(one: Recovered) -> None:
    row = _row(one)
    tail = f": {row.error}" if row.error else ""
    leftovers = f" (left: {', '.join(row.left)})" if row.left else ""
    now = f"is still {row.found}" if one.failure is not None else f"now {row.verdict}"
    tell(f"{row.operation}  {row.kind} {row.subject}: was {row.found}, {now}{tail}{leftovers}")


def _say_nothing(_one: Recovered) -> None:
    """Machines get the whole answer at once."""


async def _recover(
    path: Path, tell_one: Callable[[Recovered], None], *, renewing_lease: bool
) -> tuple[Recovered, ...]:
    async with open_zone(path, renewing_lease=renewing_lease) as orchestrator:
        return await orchestrator.recover(tell_one)


def _row(one: Recovered) -> RecoveredRow:
    outcome = one.outcome
    return RecoveredRow(
        operation=outcome.operation,
        kind=outcome.kind,
        subject=outcome.subject,
        found=one.found.value,
        verdict=outcome.verdict,
        error=outcome.error,
        left=outcome.left,
    )
