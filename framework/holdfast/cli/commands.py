"""The framework's own sub-commands, registered like those of any other package."""

import typer

from holdfast.cli import demo, drivers, operations, places, recover, scrub, stores, volumes


def register(app: typer.Typer) -> None:
    """Add the framework's commands to the program."""
    for module in (demo, drivers, operations, places, recover, scrub, stores, volumes):
        module.register(app)
