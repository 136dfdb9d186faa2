"""``holdfast archive``: move old history out of the catalogue."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.catalogue.archive import archive_of
from holdfast.catalogue.port import Retention
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.cli.open_zone import CatalogueOption, check_exists
from holdfast.concurrency.interruptions import run_program
from holdfast.text.foreign import tell

_KEPT = Retention()


def register(app: typer.Typer) -> None:
    """Add ``holdfast archive``."""
    app.command("archive")(run_archive)


def run_archive(
    catalogue: CatalogueOption,
    days: Annotated[
        float, typer.Option(min=0, help="Keep what ended within so many days.")
    ] = _KEPT.days,
    at_least: Annotated[
        int, typer.Option(min=0, help="Keep so many ended operations in any case.")
    ] = _KEPT.at_least,
) -> None:
    """Move operations that ended long ago, and rows that ended with them, to CATALOGUE.archive.

    Every opening of a catalogue does so for what the defaults do not keep. Nothing is lost:
    holdfast operations --archived shows them.
    """
    moved = run_program(_archive(catalogue, Retention(days=days, at_least=at_least)))
    where = archive_of(catalogue.resolve())
    tell(f"{moved} operations moved to {where}" if moved else "nothing is old enough to be moved")


async def _archive(path: Path, retention: Retention) -> int:
    check_exists(path)
    async with open_catalogue(path) as catalogue:
        return await catalogue.archive(retention)
