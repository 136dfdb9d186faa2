"""The command line: one program whose sub-commands come from the four packages by entry point."""

import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer

from holdfast.errors import ExitCode, HoldfastError

COMMAND_GROUP = "holdfast.commands"


def build_app(wanted: str = "") -> typer.Typer:
    """The program with one sub-command, or with all of them where ``wanted`` is no command's name.

    Asking for the version needs none. A command that cannot be loaded is reported, and the others
    work.
    """
    app = typer.Typer(
        name="holdfast",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Storage orchestration with drivers that are proven, not promised.",
    )
    app.callback()(_root)
    installed = {point.name: point for point in entry_points(group=COMMAND_GROUP)}
    if wanted == "--version":
        installed.clear()
    chosen = [installed[wanted]] if wanted in installed else list(installed.values())
    for value, point in sorted({point.value: point for point in chosen}.items()):
        try:
            point.load()(app)
        except Exception as problem:  # noqa: BLE001 - a broken plug-in is reported, never fatal
            _complain(
                f"the command {point.name} ({value}) cannot be loaded: "
                f"{type(problem).__name__}: {problem}"
            )
    return app


def main() -> None:
    """Run the program; the exit codes are those of ``ExitCode``, and 130 after Ctrl-C."""
    try:
        build_app(sys.argv[1] if len(sys.argv) > 1 else "")()
    except HoldfastError as problem:
        _complain(str(problem))
        raise SystemExit(problem.exit_code) from None
    except OSError as problem:
        _complain(f"{problem.filename or 'input or output'}: {problem.strerror or problem}")
        raise SystemExit(ExitCode.FAILED) from None


def _complain(message: str) -> None:
    print(f"holdfast: {message}", file=sys.stderr)  # noqa: T201 - the program's own voice


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - costs time, used here only

        print(f"holdfast {version('holdfast')}")  # noqa: T201 - the program's answer
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Storage orchestration with drivers that are proven, not promised."""
