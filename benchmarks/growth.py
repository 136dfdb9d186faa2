"""What grows with what is there: CPU of the same piece of work in a small store and in a large one.

Every figure is a ratio of two measurements of one run, so that it says something about the code and
little about the machine.
"""

import asyncio
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
from benchmarks.null_store import NullOpener
from benchmarks.operations import HOST, add_null_store

from holdfast.assembly import open_orchestrator
from holdfast.capacity import ledger
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.contract import requests
from holdfast.contract.requests import CallContext, CreateVolume, InitializeStore, Role
from holdfast.model.rows import Volume
from holdfast.model.state_tables import Event
from holdfast.scrub import scrub
from holdfast.workflows import attach_volume, create_volume, detach_volume
from holdfast_drivers.local import LocalProvider
from holdfast_drivers.local.config import LocalConfig

_CTX = CallContext(operation="op-bench", deadline=1e12)
_REPEATS = 5
_PAGE = 500


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """The same work twice: with ``small`` things there, and with ``large``."""

    what: str
    small: int
    large: int
    ratio: float
    goal: str
    unit: str = "CPU"

    def line(self) -> str:
        """The ratio for people."""
        return (
            f"{self.what}, {self.small:,} -> {self.large:,}: x {self.ratio:.1f} {self.unit} "
            f"(goal: {self.goal})"
        )


async def _cpu_s(act: Callable[[], Awaitable[object]], repeats: int = _REPEATS) -> float:
    """The least CPU that one of a few repetitions took, of all threads."""
    costs: list[float] = []
    for _ in range(repeats):
        start = time.process_time()
        await act()
        costs.append(time.process_time() - start)
    return min(costs)


async def _peak_bytes(act: Callable[[], Awaitable[object]]) -> int:
    """How much more memory than before was held at once."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await act()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


async def _scrub_cost(folder: Path, volumes: int) -> tuple[float, int]:
    opener = NullOpener(keeping=True)
    async with (
        open_catalogue(folder / f"scrub-{volumes}.sqlite") as catalogue,
        open_orchestrator(catalogue, opener=opener) as orchestrator,
    ):
        store = await add_null_store(orchestrator)
        for start in range(0, volumes, _PAGE):
            names = [f"vol-{number:08d}" for number in range(start, start + _PAGE)]
            await catalogue.transact(partial(_enter, store=store, names=names))
            opener.volumes.update(dict.fromkeys(names, 4096))

        async def look() -> None:
            report = await scrub(orchestrator)
            assert report.clean, report.findings[:3]
            assert report.things == volumes

        return await _cpu_s(look, 3), await _peak_bytes(look)


def _enter(tx: Transaction, *, store: str, names: list[str]) -> None:
    """Volumes as their operations would have left them."""
    for name in names:
        row = tx.insert(Volume(id=name, name=name, store=store, key=name, size_bytes=4096))
        tx.fire(tx.fire(row, Event.CREATE_REQUESTED), Event.OPERATION_SUCCEEDED)
        ledger.enter(tx, store=store, holder=name, amount_bytes=4096)


async def _scrub(folder: Path) -> list[Growth]:
    small, large, huge = 500, 5_000, 25_000
    cpu, _ = await _scrub_cost(folder, small)
    more_cpu, peak = await _scrub_cost(folder, large)
    _, more_peak = await _scrub_cost(folder, huge)
    what = "scrub of a store, volumes"
    return [
        Growth(what=what, small=small, large=large, ratio=more_cpu / cpu, goal="at most x 11"),
        # Above what the catalogue keeps of decoded rows.
        Growth(
            what=what,
            small=large,
            large=huge,
            ratio=more_peak / peak,
            goal="constant",
            unit="memory",
        ),
    ]


async def _create_in_bounded_folder(folder: Path) -> Growth:
    """The local driver alone: what a create costs in a store with a capacity."""
    small, large, creates = 50, 1_500, 40
    config = LocalConfig(root=str(folder), namespace="bench", capacity_bytes=1 << 50)
    provider = LocalProvider()
    async with provider.life_cycle(config, Role.PRIMARY) as life_cycle:
        await life_cycle.initialize(_CTX, InitializeStore(name="bench"))
    costs: list[float] = []
    async with provider.primary(config) as driver:
        made = 0

        async def create() -> None:
            nonlocal made
            for _ in range(creates):
                made += 1
                request = CreateVolume(key=f"v{made}", size_bytes=4096)
                await driver.create_volume(_CTX, request)

        for there in (small, large):
            while made < there:
                await create()
            costs.append(await _cpu_s(create, 3))
        for number in range(1, made + 1):
            await driver.delete_volume(_CTX, requests.DeleteVolume(key=f"v{number}"))
    return Growth(
        what="create in a local store with a capacity, volumes",
        small=small,
        large=large,
        ratio=costs[1] / costs[0],
        goal="flat",
    )


async def _create_beside_others() -> Growth:
    """The framework alone: what an orchestrated create costs beside so many volumes."""
    small, large, creates = 200, 5_000, 100
    costs: list[float] = []
    async with (
        MemoryCatalogue().opened() as catalogue,
        open_orchestrator(catalogue, opener=NullOpener()) as orchestrator,
    ):
        store = await add_null_store(orchestrator)
        made = 0

        async def create() -> None:
            nonlocal made
            for _ in range(creates):
                made += 1
                workflow = create_volume(name=f"v{made}", store=store, size_bytes=4096)
                (await orchestrator.run(workflow)).expect()

        for there in (small, large):
            while made < there:
                await create()
            costs.append(await _cpu_s(create))
    return Growth(
        what="orchestrated create, volumes in its store",
        small=small,
        large=large,
        ratio=costs[1] / costs[0],
        goal="flat",
    )


async def _grants(folder: Path) -> Growth:
    """What a grant costs after so many that were taken back."""
    small, large, cycles = 20, 1_000, 20
    costs: list[float] = []
    async with (
        open_catalogue(folder / "grants.sqlite") as catalogue,
        open_orchestrator(catalogue, opener=NullOpener()) as orchestrator,
    ):
        store = await add_null_store(orchestrator)
        made = create_volume(name="v", store=store, size_bytes=4096)
        volume = (await orchestrator.run(made)).expect().subject
        done = 0

        async def cycle() -> None:
            nonlocal done
            for _ in range(cycles):
                done += 1
                (await orchestrator.run(attach_volume(volume, host=HOST))).expect()
                (await orchestrator.run(detach_volume(volume, host=HOST))).expect()

        for there in (small, large):
            while done < there:
                await cycle()
            costs.append(await _cpu_s(cycle))
    return Growth(
        what="grant and revoke of a volume, grants taken back before",
        small=small,
        large=large,
        ratio=costs[1] / costs[0],
        goal="flat",
    )


async def _all(folder: Path) -> list[Growth]:
    return [
        *await _scrub(folder),
        await _create_in_bounded_folder(folder),
        await _create_beside_others(),
        await _grants(folder),
    ]


def main(folder: Path | None = None) -> list[str]:
    """Measure all of it in one run, and return the lines to print."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="holdfast-bench-") as place:
        return [growth.line() for growth in asyncio.run(_all(Path(place)))]


if __name__ == "__main__":
    print("\n".join(main()))
