"""``holdfast store`` and ``template``: their workflows, one command each."""

import os
from pathlib import Path
from typing import Annotated

import typer

from holdfast.catalogue.port import Transaction
from holdfast.cli import row_names
from holdfast.cli.on_one_row import on_one_row
from holdfast.cli.open_zone import CatalogueOption, DryRunOption, JsonOption
from holdfast.cli.settings import settings_of
from holdfast.cli.volumes import NewArgument, StoreOption
from holdfast.cli.workflows import run_workflow
from holdfast.contract.errors import ConfigurationError, UsageError
from holdfast.contract.ports import Provider
from holdfast.contract.requests import Role, ScopeKind
from holdfast.data.disk_images import ImageFormat, inspect_image
from holdfast.model.rows import Cluster, Host, Row, Scope, Zone
from holdfast.operations.workflow import Workflow
from holdfast.stores.open_store import parse_config
from holdfast.stores.plugins import load_provider
from holdfast.workflows import (
    add_store,
    adopt_store,
    cancel_maintenance,
    maintain_store,
    register_template,
    remove_store,
)


def register(app: typer.Typer) -> None:
    """Add the two groups."""
    store = typer.Typer(no_args_is_help=True, help="Add, rest and remove stores.")
    store.command("add")(store_add)
    store.command("remove", help="Give an empty store's place back.")(
        on_one_row(row_names.store, remove_store)
    )
    store.command(
        "adopt",
        help="Give a store from before its identity, so that no other place is taken for it.",
    )(on_one_row(row_names.store, adopt_store))
    store.command("maintain", help="Stop new allocation in a store.")(
        on_one_row(row_names.store, maintain_store)
    )
    store.command("cancel-maintenance", help="Return a store to service.")(
        on_one_row(row_names.store, cancel_maintenance)
    )
    app.add_typer(store, name="store")
    template = typer.Typer(no_args_is_help=True, help="Register templates.")
    template.command("register")(template_register)
    app.add_typer(template, name="template")


def store_add(  # noqa: PLR0917 - typer makes options of parameters
    name: NewArgument,
    catalogue: CatalogueOption,
    provider: Annotated[str, typer.Option(help="An installed driver's name.")],
    role: Annotated[Role, typer.Option(help="What the store is for.")],
    config: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="The provider's configuration; KEY=@FILE takes a value from a file, and a secret "
            "may be env:NAME, file:PATH or cmd:COMMAND, which is looked up whenever it is needed.",
        ),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The same as a table in a file, TOML or JSON."),
    ] = None,
    host: Annotated[list[str] | None, typer.Option(help="Attach it to this host's id.")] = None,
    scope: Annotated[
        ScopeKind | None, typer.Option(help="What the store serves; else what the driver has.")
    ] = None,
    scope_id: Annotated[
        str, typer.Option(help="Which of them, by name or id; else the only one there is.")
    ] = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a place a store and keep what it declares."""
    plugin = load_provider(provider)
    if role not in plugin.roles:
        raise ConfigurationError(f"driver {provider} has no {role} stores")
    settings = parse_config(plugin, settings_of(config or (), config_file))

    def adding(tx: Transaction) -> Workflow:
        hosts = tuple(row_names.host(tx, one) for one in host or ())
        return add_store(
            name=name,
            role=role,
            provider=provider,
            config=settings,
            scope=_scope(tx, scope or _usual_scope(plugin), scope_id, hosts),
            hosts=hosts,
        )

    run_workflow(catalogue, adding, dry_run=dry_run, as_json=as_json)


def _usual_scope(provider: Provider) -> ScopeKind:
    return ScopeKind.ZONE if ScopeKind.ZONE in provider.scopes else provider.scopes[0]


def _scope(tx: Transaction, kind: ScopeKind, name: str, hosts: tuple[str, ...]) -> Scope:
    """What the store serves: what is named, or the only one that can be meant."""
    match kind:
        case ScopeKind.ZONE:
            return Scope(kind, row_names.zone(tx, name) if name else _only(tx, Zone, kind))
        case ScopeKind.CLUSTER:
            return Scope(kind, row_names.cluster(tx, name) if name else _only(tx, Cluster, kind))
        case ScopeKind.HOST if name:
            return Scope(kind, row_names.host(tx, name))
        case ScopeKind.HOST if len(hosts) == 1:
            return Scope(kind, hosts[0])
        case ScopeKind.HOST:
            return Scope(kind, _only(tx, Host, kind))
        case ScopeKind.REGION if name:
            return Scope(kind, name)
        case ScopeKind.REGION:
            raise UsageError("say which region the store serves: --scope-id")


def _only(tx: Transaction, row: type[Row], kind: ScopeKind) -> str:
    rows = tx.select(row)
    if len(rows) != 1:
        there = f"there are {len(rows)}" if rows else "there is none"
        raise UsageError(f"say which {kind} the store serves: --scope-id ({there})")
    return rows[0].id


def template_register(  # noqa: PLR0917 - typer makes options of parameters
    name: NewArgument,
    catalogue: CatalogueOption,
    image: Annotated[Path, typer.Option(help="A raw disk image on this host.")],
    store: StoreOption,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put a disk image into an image store, verified by reading it back."""
    image_file = inspect_image(image)
    if image_file.format is not ImageFormat.RAW:
        raise UsageError(
            f"{image} is {image_file.format}; make it raw first: "
            f"qemu-img convert -O raw {image} {image.with_suffix('.raw')}"
        )
    run_workflow(
        catalogue,
        lambda tx: register_template(
            name=name,
            store=row_names.store(tx, store),
            path=os.path.abspath(image),  # noqa: PTH100 - links are kept as the user gave them
            size_bytes=image_file.size_bytes,
        ),
        dry_run=dry_run,
        as_json=as_json,
    )
