"""``holdfast doctor``: what this machine has and lacks, with the command that adds it."""

import asyncio
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from holdfast.backends.machine import Finding, Standing, examine
from holdfast.errors import ExitCode
from holdfast.plugins import providers
from holdfast.runtime import runtime


def register(app: typer.Typer) -> None:
    """Add ``holdfast doctor``."""
    app.command("doctor")(diagnose)


def diagnose(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what this machine has and lacks for real backends, and what adds each lacking thing.

    Changes nothing. Exits with 3 when something is lacking that has no substitute.
    """
    found = asyncio.run(_examined())
    if as_json:
        print(msgspec.json.encode(found).decode())  # noqa: T201 - the command's answer
    else:
        _print(found)
    if any(one.standing is Standing.LACKS for one in found):
        raise typer.Exit(ExitCode.UNAVAILABLE)


async def _examined() -> tuple[Finding, ...]:
    return await runtime().run_blocking(examine, providers())


def _print(found: tuple[Finding, ...]) -> None:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=400)
    table = Table("", "what", "detail", "to add it", box=None, pad_edge=False)
    for one in found:
        table.add_row(one.standing.value, one.name, one.detail, one.remedy)
    console.print(table)
    lacking = sum(one.standing is Standing.LACKS for one in found)
    console.print(f"{lacking} lacking" if lacking else "ready")
