"""``holdfast doctor``: what this machine has and lacks, with the command that adds it."""

from typing import Annotated

import typer

from holdfast.concurrency.interruptions import run_program
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import ExitCode
from holdfast.stores.plugins import providers
from holdfast.text.foreign import tell, tell_json, tell_table
from holdfast_drivers.servers.machine_checks import Finding, Standing, examine


def register(app: typer.Typer) -> None:
    """Add ``holdfast doctor``."""
    app.command("doctor")(diagnose)


def diagnose(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what this machine has and lacks for real backends, and what adds each lacking thing.

    Changes nothing. Exits with 3 when something is lacking that has no substitute.
    """
    findings = run_program(_examined())
    if as_json:
        tell_json(findings)
    else:
        _print(findings)
    if any(one.standing is Standing.LACKS for one in findings):
        raise typer.Exit(ExitCode.UNAVAILABLE)


async def _examined() -> tuple[Finding, ...]:
    return await runtime().run_blocking(examine, providers())


def _print(findings: tuple[Finding, ...]) -> None:
    tell_table(
        ("", "what", "detail", "to add it"),
        ((one.standing.value, one.name, one.detail, one.remedy) for one in findings),
    )
    lacking = sum(one.standing is Standing.LACKS for one in findings)
    tell(f"{lacking} lacking" if lacking else "ready")
