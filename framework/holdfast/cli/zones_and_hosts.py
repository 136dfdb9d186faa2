"""``holdfast zone`` and ``host``: the places that stores serve; the first makes the catalogue."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.cli import row_names
from holdfast.cli.open_zone import CatalogueOption, check_exists
from holdfast.cli.volumes import NewArgument
from holdfast.concurrency.interruptions import run_program
from holdfast.text.foreign import tell
from holdfast.text.names import check_name
from holdfast.workflows.zones_and_hosts import cluster_of, make_host, make_zone


def register(app: typer.Typer) -> None:
    """Add the two groups."""
    zone = typer.Typer(no_args_is_help=True, help="Make zones.")
    zone.command("create")(zone_create)
    zone.callback()(_group)
    app.add_typer(zone, name="zone")
    host = typer.Typer(no_args_is_help=True, help="Add hosts.")
    host.command("add")(host_add)
    host.callback()(_group)
    app.add_typer(host, name="host")


def _group() -> None:
    """A group of commands, also while it has only one."""


def zone_create(
    name: NewArgument,
    catalogue: Annotated[
        Path, typer.Option("--catalogue", help="The catalogue; it is made where there is none.")
    ],
) -> None:
    """Make a zone with one pod and one cluster."""
    check_name("zone", name)  # before a catalogue is made for it
    run_program(_commit(catalogue, lambda tx: make_zone(tx, name)))
    tell(f"{name}  zone with cluster {cluster_of(name)}")


def host_add(
    name: NewArgument,
    catalogue: CatalogueOption,
    zone: Annotated[str, typer.Option(help="The zone, by name.")],
) -> None:
    """Add a host that uses volumes to a zone's cluster."""
    check_exists(catalogue)
    run_program(_commit(catalogue, lambda tx: make_host(tx, name, zone=row_names.zone(tx, zone))))
    tell(f"{name}  host of zone {zone}")


async def _commit(path: Path, create: Callable[[Transaction], object]) -> None:
    async with open_catalogue(path) as catalogue:
        await catalogue.transact(create)
