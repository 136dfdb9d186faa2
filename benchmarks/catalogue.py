"""What a durable transaction costs: as many of them as a three-step operation needs, per client.

``python -m benchmarks.catalogue [FOLDER]``: the engine's share is not in it; one fsync of the same
file system is printed beside it.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import msgspec

from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.model.rows import LedgerEntry, Operation, Step, Volume
from holdfast.model.state_tables import Event

STEPS = 3
PLAN = msgspec.Raw(b'[{"kind":"noop","version":1,"inputs":{"n":1}}]')


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one run; seconds and counts."""

    clients: int
    operations: int
    elapsed_s: float
    cpu_s: float

    def line(self) -> str:
        """The figures for people."""
        per_second = self.operations / self.elapsed_s
        cpu_us = self.cpu_s / self.operations * 1e6
        return (
            f"{self.clients:3d} clients  {per_second:8.0f} operations/s  "
            f"{per_second * (STEPS + 1):8.0f} commits asked for/s  {cpu_us:6.0f} µs CPU/operation"
        )


def fsync_us(folder: Path) -> float:
    """The median cost of making one 4 KiB page durable, in microseconds."""
    path = folder / "fsync"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        costs: list[float] = []
        for page in range(200):
            started = time.perf_counter()
            os.pwrite(fd, b"x" * 4096, page * 4096)
            os.fsync(fd)
            costs.append(time.perf_counter() - started)
    finally:
        os.close(fd)
        path.unlink()
    return statistics.median(costs) * 1e6


async def _operation(catalogue: Catalogue, number: int) -> None:
    """The rows of one operation that changes a volume in three steps."""
    name = f"op-{number:08d}"

    def accept(tx: Transaction) -> None:
        volume = tx.insert(
            Volume(id=f"vol-{number}", name=name, store="st", key=name, size_bytes=1 << 30)
        )
        tx.fire(volume, Event.CREATE_REQUESTED)
        tx.insert(LedgerEntry(id=f"led-{number}", store="st", holder=volume.id, amount_bytes=1))
        tx.insert(Operation(id=name, kind="bench", subject=volume.id, plan=PLAN))
        tx.insert(Step(id=f"{name}-0", operation=name, index=0))

    def advance(tx: Transaction, done: int) -> None:
        step = tx.get(Step, f"{name}-{done}")
        tx.fire(step, Event.OPERATION_SUCCEEDED, result=msgspec.Raw(b'{"id":"x"}'))
        if done + 1 < STEPS:
            tx.insert(Step(id=f"{name}-{done + 1}", operation=name, index=done + 1))
            return
        tx.fire(tx.get(Volume, f"vol-{number}"), Event.OPERATION_SUCCEEDED)
        tx.fire(tx.get(Operation, name), Event.OPERATION_SUCCEEDED)

    await catalogue.transact(accept)
    for done in range(STEPS):
        await catalogue.transact(partial(advance, done=done))


async def measure(folder: Path, *, clients: int, operations: int) -> Measured:
    """Run so many operations, so many at once, on a new catalogue in ``folder``."""
    async with open_catalogue(folder / f"bench-{clients}.db") as catalogue:
        numbers = iter(range(operations))

        async def client() -> None:
            for number in numbers:
                await _operation(catalogue, number)

        started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(client() for _ in range(clients)))
        return Measured(
            clients=clients,
            operations=operations,
            elapsed_s=time.perf_counter() - started,
            cpu_s=time.process_time() - cpu,
        )


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as name:
        folder = Path(name)
        print(f"one fsync: {fsync_us(folder):.0f} µs")
        for clients, operations in ((64, 4000), (1, 500)):
            print(asyncio.run(measure(folder, clients=clients, operations=operations)).line())


if __name__ == "__main__":
    main()
