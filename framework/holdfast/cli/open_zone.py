"""What the commands on a catalogue share: opening the one the user names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from holdfast.assembly import open_orchestrator
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.contract.errors import ConfigurationError
from holdfast.operations.orchestrator import Orchestrator

CatalogueOption = Annotated[
    Path, typer.Option("--catalogue", help="The catalogue: a SQLite file that exists.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]


@asynccontextmanager
async def open_zone(path: Path, *, renewing_lease: bool = False) -> AsyncIterator[Orchestrator]:
    """Own an existing catalogue.

    Raises:
        ConfigurationError: there is no such file (it is not created by mistake), or it is no
            catalogue, or another process holds it.
    """
    check_exists(path)
    async with (
        open_catalogue(path) as catalogue,
        open_orchestrator(catalogue, renewing_lease=renewing_lease) as orchestrator,
    ):
        yield orchestrator


def check_exists(path: Path) -> None:
    """Refuse a path at which there is nothing, instead of creating a catalogue there."""
    if not path.exists():
        raise ConfigurationError(
            f"{path}: there is no such catalogue; holdfast demo --directory DIR makes one"
        )
    if path.is_file() and not path.stat().st_size:
        raise ConfigurationError(
            f"{path}: is empty, and no catalogue; restore it from a copy, or remove it and make one"
        )


DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan with its bytes; touch nothing.")
]
