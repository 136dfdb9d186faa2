"""What is loaded is named on the command line: options that replay and reduce have in common."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.contract.errors import UsageError

DriverOption = Annotated[
    str,
    typer.Option(
        help="The driver to execute it on: an installed driver's name, or module:Class. What the "
        "file says of it is not followed."
    ),
]
BackendOption = Annotated[
    str,
    typer.Option(
        help="embedded, container or sim, KIND:VARIANT, or live:FILE; by default the driver's "
        "first. What the file says of it is not followed."
    ),
]


def driver_named(driver: str, file: Path, recorded: str) -> str:
    """The driver that was named; a file of somebody else must not choose what is loaded.

    Raises:
        UsageError: none was named; the message tells what the file says.
    """
    if driver:
        return driver
    raise UsageError(
        f"{file} was recorded on {recorded!r}, and a file does not choose what is loaded: "
        "name the driver with --driver, and its backend with --backend where it is not the first"
    )
