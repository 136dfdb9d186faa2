"""What is seen of a run under way: a bar on a terminal, and now and then a line elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from holdfast.text.foreign import tell

QUIET_S = 10.0
"""How long nothing more is told of the same part of a run, where there is no terminal."""


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


class Lines:
    """Plain lines on standard error: one for each part of a run, and then few.

    Args:
        now_s: the time, in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._what, self._done, self._total = "", 0, 0
        self._told_s = 0.0

    def phase(self, what: str, total: int) -> None:
        """Tell what begins, unless there is nothing to do."""
        self._what, self._done, self._total = what, 0, total
        if total:
            self._tell(f"{what} ({total})" if total > 1 else what)

    def advance(self, units: int, failed: int) -> None:
        """Tell how far it is, where that was last told a while ago."""
        self._done += units
        if self._now_s() - self._told_s < QUIET_S or not self._total:
            return
        share = self._done * 100 // self._total
        told = f", {failed} failed" if failed else ""
        self._tell(f"{self._what}: {share} %, {self._done} of {self._total}{told}")

    def _tell(self, line: str) -> None:
        self._told_s = self._now_s()
        tell(line, error=True)


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
    """A bar where standard error is a terminal, a few lines where it is not."""
    if not sys.stderr.isatty():
        yield Lines()
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
