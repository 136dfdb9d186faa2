"""Commands on a row that exists, of which a workflow needs to know nothing else."""

from collections.abc import Callable
from typing import Annotated

import typer

from holdfast.catalogue.port import Transaction
from holdfast.cli.open_zone import CatalogueOption, DryRunOption, JsonOption
from holdfast.cli.workflows import run_workflow
from holdfast.operations.workflow import Workflow

NameArgument = Annotated[str, typer.Argument(help="The name, or the id, of an existing one.")]


def on_one_row(
    look_up: Callable[[Transaction, str], str], workflow: Callable[[str], Workflow]
) -> Callable[..., None]:
    """A command that runs the workflow of the row that its user names.

    Args:
        look_up: the id of the row with this name or id; one of ``holdfast.cli.row_names``.
        workflow: what is to be done with the row of this id.
    """

    def command(
        name: NameArgument,
        catalogue: CatalogueOption,
        dry_run: DryRunOption = False,
        as_json: JsonOption = False,
    ) -> None:
        run_workflow(
            catalogue,
            lambda tx: workflow(look_up(tx, name)),
            dry_run=dry_run,
            as_json=as_json,
        )

    return command
