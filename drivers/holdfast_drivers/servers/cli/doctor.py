"""``holdfast doctor``: what this machine has and lacks, with the command that adds it."""

import asyncio
from typing import Annotated

import typer

from holdfast.errors import ExitCode
from holdfast.foreign_text import tell, tell_json, tell_table
from holdfast.plugins import providers
from holdfast.runtime import runtime
from holdfast_drivers.servers.machine import Finding, Standing, examine


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
        tell_json(found)
    else:
        _print(found)
    if any(one.standing is Standing.LACKS for one in found):
        raise typer.Exit(ExitCode.UNAVAILABLE)


async def _examined() -> tuple[Finding, ...]:
    return await runtime().run_blocking(examine, providers())


def _print(found: tuple[Finding, ...]) -> None:
    tell_table(
        ("", "what", "detail", "to add it"),
        ((one.standing.value, one.name, one.detail, one.remedy) for one in found),
    )
    lacking = sum(one.standing is Standing.LACKS for one in found)
    tell(f"{lacking} lacking" if lacking else "ready")
