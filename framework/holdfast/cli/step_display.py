"""Shows long steps on standard error: a live line each on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from holdfast.text.foreign import tell, visible

_SHOWN_MAX = 70


class StepDisplay:
    """A display for steps that run one after another."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=True)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Show one step while the context lasts; call what it yields with what happens now."""
        if not self._console.is_terminal:
            tell(f"{name} …", error=True)
            yield lambda _: None
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<16}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[now]}"),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(escape(visible(name)), total=None, now="")
            yield lambda line: progress.update(task, now=escape(visible(line[:_SHOWN_MAX])))
