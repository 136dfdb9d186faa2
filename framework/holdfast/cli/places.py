"""``holdfast zone`` and ``host``: the places that stores serve; the first makes the catalogue."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.cli.volumes import NewArgument
from holdfast.cli.zone import CatalogueOption, check_exists
from holdfast.errors import ConfigurationError
from holdfast.foreign_text import tell
from holdfast.model.rows import Cluster, Host, Pod, Row, Zone
from holdfast.model.states import Event
from holdfast.opening import nearest_names


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

    def create(tx: Transaction) -> None:
        _refuse_known(tx.find(Zone, name), name)
        tx.insert(Zone(id=name, name=name))
        tx.insert(Pod(id=f"{name}-pod", zone=name, name="pod-1"))
        tx.insert(Cluster(id=f"{name}-cluster", pod=f"{name}-pod", name="cluster-1"))

    asyncio.run(_commit(catalogue, create))
    tell(f"{name}  zone with cluster {name}-cluster")


def host_add(
    name: NewArgument,
    catalogue: CatalogueOption,
    zone: Annotated[str, typer.Option(help="The zone, by name.")],
) -> None:
    """Add a host that uses volumes to a zone's cluster."""
    check_exists(catalogue)

    def create(tx: Transaction) -> None:
        _refuse_known(tx.find(Host, name), name)
        if tx.find(Zone, zone) is None:
            known = [row.name for row in tx.select(Zone)]
            raise ConfigurationError(f"there is no zone {zone!r}; {nearest_names(zone, known)}")
        row = tx.insert(Host(id=name, cluster=f"{zone}-cluster", name=name))
        tx.fire(row, Event.CONNECTED)

    asyncio.run(_commit(catalogue, create))
    tell(f"{name}  host of zone {zone}")


def _refuse_known(found: Row | None, name: str) -> None:
    if found is not None:
        raise ConfigurationError(f"{name} is there already")


async def _commit(path: Path, create: Callable[[Transaction], None]) -> None:
    async with open_catalogue(path) as catalogue:
        await catalogue.transact(create)
