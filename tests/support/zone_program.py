"""A zone driven from the command line, in this process."""

from pathlib import Path

from typer.testing import CliRunner, Result

from holdfast.cli import build_app
from holdfast.contract.errors import HoldfastError


class Program:
    """``holdfast`` with one catalogue."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalogue = folder / "catalogue.sqlite"
        self._app = build_app()

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(self._app, [*arguments, "--catalogue", str(self.catalogue)])

    def done(self, *arguments: str) -> str:
        """What a command that must succeed prints."""
        answer = self(*arguments)
        assert answer.exception is None, (answer.exception, answer.output)
        return answer.stdout

    def refused(self, *arguments: str) -> str:
        """The error of a command that must fail, as a person reads it."""
        answer = self(*arguments)
        assert isinstance(answer.exception, HoldfastError), answer.output
        return str(answer.exception)


def adding(program: Program, name: str, role: str) -> tuple[str, ...]:
    config = ("--config", f"root={program.folder}", "--config", f"namespace={name}")
    return (
        "store",
        "add",
        name,
        "--provider",
        "local",
        "--role",
        role,
        "--host",
        "host-1",
        *config,
    )
