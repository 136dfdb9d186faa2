"""``holdfast volume``, ``snapshot`` and ``backup``: their workflows, one command each."""

from typing import Annotated

import typer

from holdfast.cli import row_names
from holdfast.cli.on_one_row import NameArgument, on_one_row
from holdfast.cli.open_zone import CatalogueOption, DryRunOption, JsonOption
from holdfast.cli.workflows import run_workflow
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import UsageError
from holdfast.workflows import (
    attach_volume,
    create_backup,
    create_snapshot,
    create_volume,
    create_volume_from_template,
    delete_backup,
    delete_snapshot,
    delete_volume,
    detach_volume,
    resize_volume,
    restore_backup,
    revert_volume,
)

NewArgument = Annotated[str, typer.Argument(help="The name of the new one.")]
StoreOption = Annotated[str, typer.Option("--store", help="The store, by name or id.")]
BytesOption = Annotated[int | None, typer.Option("--bytes", help="The size in bytes.", min=1)]


def register(app: typer.Typer) -> None:
    """Add the three groups."""
    volume = typer.Typer(no_args_is_help=True, help="Create, change, attach and delete volumes.")
    volume.command("create")(volume_create)
    volume.command("delete", help="Delete a volume that no host uses.")(
        on_one_row(row_names.volume, delete_volume)
    )
    volume.command("resize")(volume_resize)
    volume.command("revert")(volume_revert)
    volume.command("attach")(volume_attach)
    volume.command("detach")(volume_detach)
    app.add_typer(volume, name="volume")
    snapshot = typer.Typer(no_args_is_help=True, help="Take and delete snapshots.")
    snapshot.command("create")(snapshot_create)
    snapshot.command("delete", help="Delete a snapshot.")(
        on_one_row(row_names.snapshot, delete_snapshot)
    )
    app.add_typer(snapshot, name="snapshot")
    backup = typer.Typer(no_args_is_help=True, help="Take, restore and delete backups.")
    backup.command("create")(backup_create)
    backup.command("restore")(backup_restore)
    backup.command("delete", help="Delete a backup wherever it is stored.")(
        on_one_row(row_names.backup, delete_backup)
    )
    app.add_typer(backup, name="backup")


def volume_create(  # noqa: PLR0917 - typer makes options of parameters
    name: NewArgument,
    catalogue: CatalogueOption,
    store: StoreOption,
    size_bytes: BytesOption = None,
    template: Annotated[str, typer.Option(help="Start with this template's bytes.")] = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create a volume, empty or from a template."""
    if not template and size_bytes is None:
        raise UsageError("an empty volume needs --bytes; one from a template needs --template")
    run_workflow(
        catalogue,
        lambda tx: (
            create_volume_from_template(
                name=name,
                store=row_names.store(tx, store),
                template=row_names.template(tx, template),
                size_bytes=size_bytes,
            )
            if template
            else create_volume(
                name=name, store=row_names.store(tx, store), size_bytes=size_bytes or 1
            )
        ),
        dry_run=dry_run,
        as_json=as_json,
    )


def volume_resize(  # noqa: PLR0917 - typer makes options of parameters
    name: NameArgument,
    catalogue: CatalogueOption,
    size_bytes: Annotated[int, typer.Option("--bytes", help="The size in bytes.", min=1)],
    shrink: Annotated[
        bool, typer.Option("--shrink", help="Exactly that size, cutting off what is behind it.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a volume this large, rounded up to what its store can make; smaller with --shrink."""
    run_workflow(
        catalogue,
        lambda tx: resize_volume(row_names.volume(tx, name), size_bytes=size_bytes, shrink=shrink),
        dry_run=dry_run,
        as_json=as_json,
    )


def volume_revert(
    name: NameArgument,
    catalogue: CatalogueOption,
    snapshot: Annotated[str, typer.Option(help="The snapshot, by name or id.")],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Return a volume to one of its snapshots."""
    run_workflow(
        catalogue,
        lambda tx: revert_volume(
            row_names.volume(tx, name), snapshot=row_names.snapshot(tx, snapshot)
        ),
        dry_run=dry_run,
        as_json=as_json,
    )


def volume_attach(  # noqa: PLR0917 - typer makes options of parameters
    name: NameArgument,
    catalogue: CatalogueOption,
    host: Annotated[str, typer.Option(help="The host's id.")],
    mode: Annotated[AccessMode, typer.Option(help="How it may be used.")] = AccessMode.EXCLUSIVE,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let a host use a volume."""
    run_workflow(
        catalogue,
        lambda tx: attach_volume(row_names.volume(tx, name), host=host, mode=mode),
        dry_run=dry_run,
        as_json=as_json,
    )


def volume_detach(
    name: NameArgument,
    catalogue: CatalogueOption,
    host: Annotated[str, typer.Option(help="The host's id.")],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a volume from a host."""
    run_workflow(
        catalogue,
        lambda tx: detach_volume(row_names.volume(tx, name), host=host),
        dry_run=dry_run,
        as_json=as_json,
    )


def snapshot_create(
    name: NewArgument,
    catalogue: CatalogueOption,
    volume: Annotated[str, typer.Option(help="The volume, by name or id.")],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Keep a volume's bytes as they are now."""
    run_workflow(
        catalogue,
        lambda tx: create_snapshot(row_names.volume(tx, volume), name=name),
        dry_run=dry_run,
        as_json=as_json,
    )


def backup_create(  # noqa: PLR0917 - typer makes options of parameters
    name: NewArgument,
    catalogue: CatalogueOption,
    snapshot: Annotated[str, typer.Option(help="The snapshot, by name or id.")],
    store: StoreOption,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Keep a snapshot's content in an image store, verified by reading it back."""
    run_workflow(
        catalogue,
        lambda tx: create_backup(
            row_names.snapshot(tx, snapshot), name=name, store=row_names.store(tx, store)
        ),
        dry_run=dry_run,
        as_json=as_json,
    )


def backup_restore(  # noqa: PLR0917 - typer makes options of parameters
    name: NameArgument,
    catalogue: CatalogueOption,
    volume: Annotated[str, typer.Option(help="The name of the new volume.")],
    store: StoreOption,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a new volume with a backup's content, on any primary store."""
    run_workflow(
        catalogue,
        lambda tx: restore_backup(
            row_names.backup(tx, name), name=volume, store=row_names.store(tx, store)
        ),
        dry_run=dry_run,
        as_json=as_json,
    )
