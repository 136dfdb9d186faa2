"""``holdfast recover``: drive every interrupted operation to an outcome."""

import asyncio
from pathlib import Path

import msgspec
import typer

from holdfast.cli.zone import CatalogueOption, JsonOption, open_zone
from holdfast.errors import ExitCode
from holdfast.foreign_text import tell, tell_json
from holdfast.journal import Verdict
from holdfast.recovery import Recovered


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


def run_recover(catalogue: CatalogueOption, as_json: JsonOption = False) -> None:
    """Finish or take back what was interrupted. Repeating it is harmless.

    Exits with 1 while an operation has no certain outcome or left something behind.
    """
    rows = [_row(one) for one in asyncio.run(_recover(catalogue))]
    if as_json:
        tell_json(rows)
    else:
        for row in rows:
            tail = f": {row.error}" if row.error else ""
            left = f" (left: {', '.join(row.left)})" if row.left else ""
            tell(
                f"{row.operation}  {row.kind} {row.subject}: was {row.found}, "
                f"now {row.verdict}{tail}{left}"
            )
        tell(f"{len(rows)} operations recovered" if rows else "nothing to recover")
    if any(row.verdict in (Verdict.UNKNOWN, Verdict.FAILED_DIRTY) for row in rows):
        raise typer.Exit(ExitCode.FAILED)


async def _recover(path: Path) -> tuple[Recovered, ...]:
    async with open_zone(path) as orchestrator:
        return await orchestrator.recover()


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
