"""The command line: one program whose sub-commands come from the four packages by entry point."""

import os
import re
import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer

from holdfast.concurrency.interpreter import SAFE_PATH
from holdfast.concurrency.interruptions import hear_all_interruptions
from holdfast.contract.errors import ExitCode, HoldfastError, UsageError
from holdfast.text.foreign import complain, keep_output_plain, shortened, tell, visible

COMMAND_GROUP = "holdfast.commands"


def build_app(command: str = "") -> typer.Typer:
    """The program with one sub-command, or with all of them where ``command`` is no command's name.

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
    if command == "--version":
        installed.clear()
    chosen = [installed[command]] if command in installed else list(installed.values())
    for value, point in sorted({point.value: point for point in chosen}.items()):
        try:
            point.load()(app)
        except Exception as problem:  # noqa: BLE001 - a broken plug-in is reported, never fatal
            complain(
                f"the command {point.name} ({value}) cannot be loaded: "
                f"{type(problem).__name__}: {problem}"
            )
    return app


def main() -> None:
    """Run the program; the exit codes are those of ``ExitCode``, and 130 after Ctrl-C."""
    # No Python that is started from here may look for modules where it happens to stand.
    os.environ[SAFE_PATH] = "1"
    keep_output_plain()
    hear_all_interruptions()
    try:
        _check_arguments(sys.argv[1:])
        code = _run(build_app(sys.argv[1] if len(sys.argv) > 1 else ""))
    except HoldfastError as problem:
        complain(str(problem))
        raise SystemExit(problem.exit_code) from None
    except OSError as problem:
        complain(f"{problem.filename or 'input or output'}: {problem.strerror or problem}")
        raise SystemExit(ExitCode.FAILED) from None
    raise SystemExit(code)


def _check_arguments(arguments: list[str]) -> None:
    """Refuse arguments that are no UTF-8: no name, path or value of ours is anything else."""
    for number, argument in enumerate(arguments, 1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            # Which one is enough: it may be a secret.
            raise UsageError(f"argument {number} is no UTF-8") from None


def _run(app: typer.Typer) -> int:
    """The exit code of one command; what is wrong with its arguments is told here."""
    command = typer.main.get_command(app)
    try:
        answer: object = command.main(standalone_mode=False)
    except typer.Abort:
        tell("Aborted!", error=True)
        return ExitCode.FAILED
    except Exception as problem:
        message, show = getattr(problem, "message", None), getattr(problem, "show", None)
        if isinstance(problem, HoldfastError) or not isinstance(message, str) or show is None:
            raise
        # An error of the parser, whose classes typer keeps private. It quotes the arguments, and
        # those may be names of files that somebody else chose.
        problem.message = visible(_without_arguments(message))  # type: ignore[attr-defined]  # seen to be there
        show()
        return ExitCode.USAGE
    return answer if isinstance(answer, int) else ExitCode.DONE


def _without_arguments(message: str) -> str:
    """An error of the parser that repeats no argument whole: it may be a secret.

    What is no command's name cannot be one in its place.
    """
    if message.startswith("No such command"):
        return message
    for argument in sorted(sys.argv[1:], key=len, reverse=True):
        is_option = argument.startswith("--") and not message.startswith("No such option")
        value = argument.partition("=")[2] if is_option else argument
        if value:
            short = shortened(value).replace("\\", r"\\")
            message = re.sub(rf"(?<=['\"( ]){re.escape(value)}(?=['\") .,]|$)", short, message)
    return message


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - costs time, used here only

        tell(f"holdfast {version('holdfast')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Storage orchestration with drivers that are proven, not promised."""
