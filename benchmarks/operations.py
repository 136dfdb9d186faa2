"""Durable orchestrated operations per second: three steps each, through a null store on SQLite."""

import asyncio
import os
import tempfile
import time
from pathlib import Path

import msgspec
from benchmarks.null_store import NullOpener

from holdfast.assembly import open_orchestrator
from holdfast.capacity import ledger
from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.concurrency.runtime import runtime
from holdfast.contract.requests import CreateVolume, DeleteVolume, Grant, Revoke, Role, ScopeKind
from holdfast.model.rows import Scope, Volume
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.workflow import Draft, Workflow
from holdfast.workflows import add_store
from holdfast.workflows.row_holds import create, primary_step, store_in_service
from holdfast.workflows.zones_and_hosts import make_host, make_zone

HOST = "host-1"
ZONE = "zone-1"


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """What one run measured; the CPU is that of the whole process, all threads."""

    clients: int
    operations: int
    per_second: float
    cpu_ms: float
    """Per operation."""


class NullConfig(msgspec.Struct, frozen=True):
    """A null store has nothing to configure."""


def three_steps(store: str) -> Workflow:
    """Create a volume, grant it to a host and take the grant back: four commits."""
    volume = runtime().new_id("vol")

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        store_in_service(tx, store, Role.PRIMARY)
        row = Volume(
            id=volume, name=f"disk of {volume}", store=store, key=volume, size_bytes=1 << 30
        )
        involved = create(tx, row)
        ledger.reserve_new(tx, store=store, holder=volume, amount_bytes=1 << 30)
        revoke = Revoke(volume=volume, host=HOST)
        return Draft(
            plan=(
                primary_step(
                    store,
                    CreateVolume(key=volume, size_bytes=1 << 30),
                    undo=DeleteVolume(key=volume),
                    row=volume,
                ),
                primary_step(store, Grant(volume=volume, host=HOST), undo=revoke),
                primary_step(store, revoke),
            ),
            involved=(involved,),
        )

    return Workflow(kind="three_steps", subject=volume, draft=draft)


async def add_null_store(orchestrator: Orchestrator) -> str:
    """Make a zone with a host and a null store that serves it; the store's id."""
    added = add_store(
        name="null",
        role=Role.PRIMARY,
        provider="null",
        config=NullConfig(),
        scope=Scope(ScopeKind.ZONE, ZONE),
        hosts=(HOST,),
        scopes=(ScopeKind.ZONE,),
    )
    await orchestrator.catalogue.transact(
        lambda tx: (make_zone(tx, ZONE), make_host(tx, HOST, zone=ZONE))
    )
    return (await orchestrator.run(added)).expect().subject


async def measure(folder: Path, *, clients: int, operations: int) -> Rate:
    """Run ``operations`` operations from ``clients`` concurrent clients."""
    async with (
        open_catalogue(folder / f"operations-{clients}.sqlite") as catalogue,
        open_orchestrator(catalogue, opener=NullOpener()) as orchestrator,
    ):
        store = await add_null_store(orchestrator)
        await _clients(orchestrator, store, clients, operations=clients * 2)
        cpu, start = time.process_time(), time.perf_counter()
        await _clients(orchestrator, store, clients, operations=operations)
        elapsed, spent = time.perf_counter() - start, time.process_time() - cpu
    return Rate(
        clients=clients,
        operations=operations,
        per_second=operations / elapsed,
        cpu_ms=1000 * spent / operations,
    )


async def _clients(
    orchestrator: Orchestrator, store: str, clients: int, *, operations: int
) -> None:
    async def client() -> None:
        for _ in range(operations // clients):
            (await orchestrator.run(three_steps(store))).expect()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(clients):
            tasks.create_task(client())


def fsync_ms(folder: Path, times: int = 200) -> float:
    """What one write of 4 KiB with its fsync costs here, in milliseconds: the median."""
    found: list[float] = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(times):
            start = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            found.append(1000 * (time.perf_counter() - start))
    return sorted(found)[times // 2]


def main(folder: Path | None = None) -> list[str]:
    """Measure all of it in one run, and return the lines to print."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="holdfast-bench-") as place:
        fsync = fsync_ms(Path(place))
        many = asyncio.run(measure(Path(place), clients=64, operations=64 * 40))
        one = asyncio.run(measure(Path(place), clients=1, operations=200))
    lines = [f"one write of 4 KiB with fsync: {fsync:.2f} ms"]
    for rate in (many, one):
        per_operation_ms = 1000 / rate.per_second
        goal = " (goal: 300/s, 1 ms CPU)" if rate is many else ""
        lines.append(
            f"three-step operations, {rate.clients:2d} clients: {rate.per_second:7.0f}/s, "
            f"{rate.cpu_ms:.2f} ms CPU each, {per_operation_ms / fsync:.1f} fsyncs' time each{goal}"
        )
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
