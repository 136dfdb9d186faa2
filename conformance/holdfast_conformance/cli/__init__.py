"""The suite's sub-commands, contributed to ``holdfast`` by entry point."""

import typer


def register(app: typer.Typer) -> None:
    """Add the suite's commands to the program."""
    from holdfast_conformance.cli import (  # noqa: PLC0415 - on demand
        certify,
        diff,
        explain,
        mutants,
        reduce,
        replay,
        verify,
    )

    for module in (certify, replay, reduce, verify, diff, explain, mutants):
        module.register(app)
