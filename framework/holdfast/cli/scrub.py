"""``holdfast scrub``: whether the catalogue agrees with what the stores hold."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from holdfast.cli.open_zone import CatalogueOption, JsonOption, open_zone
from holdfast.concurrency.interruptions import run_program
from holdfast.contract.errors import ExitCode
from holdfast.scrub import PATIENCE_S, ScrubReport, scrub
from holdfast.text.foreign import tell, tell_json


def register(app: typer.Typer) -> None:
    """Add ``holdfast scrub``."""
    app.command("scrub")(run_scrub)


def run_scrub(
    catalogue: CatalogueOption,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every object and compare its digests.")
    ] = False,
    patience_s: Annotated[
        float,
        typer.Option("--patience", min=1, help="Seconds that a store may say nothing."),
    ] = PATIENCE_S,
    as_json: JsonOption = False,
) -> None:
    """Compare catalogue and stores both ways. Nothing is deleted; unknown things get an age.

    Exits with 1 when they do not agree, and with 3 where all that is wrong is that something
    outside Holdfast is missing: a secret, without which a store cannot be opened.
    """
    report = run_program(_scrub(catalogue, deep=deep, patience_s=patience_s))
    if as_json:
        document = msgspec.to_builtins(report) | {"clean": report.clean}
        tell_json(document)
    else:
        tell(*_lines(report))
    if report.exit_code is not ExitCode.DONE:
        raise typer.Exit(report.exit_code)


async def _scrub(path: Path, *, deep: bool, patience_s: float) -> ScrubReport:
    async with open_zone(path) as orchestrator:
        return await scrub(orchestrator, deep=deep, patience_s=patience_s)


def _lines(report: ScrubReport) -> list[str]:
    lines = [
        f"{one.kind.value:<12} {one.store} {one.what} {one.key}: {one.detail}"
        + (f", for {one.age_s:.0f} s" if one.age_s >= 1 else "")
        for one in report.findings
    ]
    compared = (
        f"{report.stores} stores, {report.things} things there, {report.rows} rows with bytes, "
        f"{report.digests} objects read"
    )
    verdict = "clean" if report.clean else f"{len(report.findings)} disagreements"
    return [*lines, f"{verdict}: {compared}"]
