"""What history costs: an idle recovery beside ever more ended operations, and moving them away."""

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path

import msgspec
from benchmarks.null_store import NullOpener

from holdfast.assembly import open_orchestrator
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Catalogue, Retention, Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.model.rows import Operation, Step
from holdfast.model.state_tables import Event

FEW = 1_000
MANY = 16_000
RECOVERIES = 50
PLAN = msgspec.Raw(b'[{"kind":"noop","version":1,"inputs":{"n":1}}]')


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """CPU of one catalogue, all threads; per recovery, or per operation."""

    idle_few_us: float
    idle_many_us: float
    made_us: float
    archived_us: float


def _ended(tx: Transaction, first: int) -> None:
    """A batch of operations of one step, from acceptance to the end."""
    for number in range(first, first + 100):
        name = f"op-{number:08d}"
        row = tx.insert(Operation(id=name, kind="bench", subject=name, plan=PLAN))
        step = tx.insert(Step(id=f"{name}.000", operation=name, index=0))
        tx.fire(step, Event.OPERATION_SUCCEEDED)
        tx.fire(row, Event.OPERATION_SUCCEEDED, ended_s=1.0)


async def _idle_us(catalogue: Catalogue) -> float:
    async with open_orchestrator(catalogue, opener=NullOpener()) as orchestrator:
        await orchestrator.recover()
        cpu = time.process_time()
        for _ in range(RECOVERIES):
            await orchestrator.recover()
        return (time.process_time() - cpu) / RECOVERIES * 1e6


async def measure(path: Path | None) -> Costs:
    """Fill a catalogue with ended operations, and move them away again."""
    opened = MemoryCatalogue().opened() if path is None else open_catalogue(path)
    async with opened as catalogue:
        for first in range(0, FEW, 100):
            await catalogue.transact(partial(_ended, first=first))
        few = await _idle_us(catalogue)
        cpu = time.process_time()
        for first in range(FEW, MANY, 100):
            await catalogue.transact(partial(_ended, first=first))
        made = (time.process_time() - cpu) / (MANY - FEW) * 1e6
        many = await _idle_us(catalogue)
        cpu = time.process_time()
        moved = await catalogue.archive(Retention(at_least=FEW))
        return Costs(
            idle_few_us=few,
            idle_many_us=many,
            made_us=made,
            archived_us=(time.process_time() - cpu) / moved * 1e6,
        )


def main() -> list[str]:
    """Measure both catalogues, and return the lines to print."""
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as place:
        for name, path in (("memory", None), ("SQLite", Path(place) / "history.sqlite")):
            found = asyncio.run(measure(path))
            grown = found.idle_many_us / found.idle_few_us
            lines.append(
                f"an idle recovery, {name}: {found.idle_many_us:.0f} µs CPU beside {MANY} ended "
                f"operations, {grown:.2f} times that beside {FEW} (goal: 1.5)"
            )
            lines.append(
                f"archiving an operation, {name}: {found.archived_us:.0f} µs CPU, "
                f"{found.archived_us / found.made_us:.2f} times that of writing it"
            )
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
