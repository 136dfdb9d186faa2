"""What a person sees while a run is under way: a bar on a terminal, and nothing elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Watcher(Protocol):
    """Is told how far a run has come."""

    def phase(self, what: str, total: int) -> None:
        """A new part of the run begins; it is over after ``total`` units."""

    def advance(self, units: int, failed: int) -> None:
        """So many units more are done, and so many properties have failed up to now."""


class Silent:
    """Shows nothing."""

    def phase(self, what: str, total: int) -> None:
        """Do nothing."""

    def advance(self, units: int, failed: int) -> None:
        """Do nothing."""


class Bar:
    """A progress bar on standard error."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None, failed="")

    def phase(self, what: str, total: int) -> None:
        """Start the bar anew."""
        self._progress.reset(self._task, description=what, total=total, failed="")

    def advance(self, units: int, failed: int) -> None:
        """Move the bar."""
        told = f"{failed} failed" if failed else ""
        self._progress.update(self._task, advance=units, failed=told)


@contextmanager
def watcher() -> Iterator[Watcher]:
    """A bar where standard error is a terminal, silence where it is not."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("[red]{task.fields[failed]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress)
