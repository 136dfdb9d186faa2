"""The framework's own sub-commands, registered like those of any other package."""

import typer

from holdfast.cli import drivers


def register(app: typer.Typer) -> None:
    """Add the framework's commands to the program."""
    drivers.register(app)
