"""Calls that are stuck in threads: no guest loses anything, and no other store notices."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from holdfast.assembly import open_orchestrator
from holdfast.concurrency.runtime import runtime
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext, Open, Role
from holdfast.data import open_block_io
from holdfast.model.rows import Store, Volume
from holdfast.model.state_tables import VolumeState
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.step_retries import Policy
from holdfast.stores.kept_stores import PluginOpener
from holdfast.workflows import (
    attach_volume,
    create_snapshot,
    create_volume,
    detach_volume,
    revert_volume,
)
from late import THREADS, StuckThreads
from zones import HOST, Planned, Zone, disagreements, local_zone

Begin = Callable[[Callable[[], Any]], Awaitable[Any]]

pytestmark = pytest.mark.slow

SIZE = 8192
SHORT = Policy(call_s=0.3, grace_s=0.2, patience_s=0.2)
"""For one call that is stuck anyway, on a store that is open already."""


async def guest(orchestrator: Orchestrator, volume: str, write: bytes | None = None) -> bytes:
    """What a guest reads at the start of a volume, after it has written and flushed that."""
    (await orchestrator.run(attach_volume(volume, host=HOST))).expect()
    row = await orchestrator.catalogue.transact(lambda tx: tx.get(Volume, volume))
    driver = await orchestrator.stores.primary(row.store)
    ctx = CallContext(operation="guest", deadline=runtime().now() + 60)
    handle = await driver.open(ctx, Open(volume=row.key, host=HOST))
    async with open_block_io(handle) as disk:
        if write is not None:
            await disk.write_at(0, write)
            await disk.flush()
        found = await disk.read_at(0, 3)
    (await orchestrator.run(detach_volume(volume, host=HOST))).expect()
    return found


async def old_volume(zone: Zone) -> tuple[str, str, str]:
    """A store, and a volume that holds OLD, with its snapshot."""
    async with zone.orchestrator() as orchestrator:
        store = await zone.add(orchestrator, "primary", Role.PRIMARY)
        made = await orchestrator.run(create_volume(name="v", store=store, size_bytes=SIZE))
        await guest(orchestrator, made.expect().subject, b"OLD")
        taken = await orchestrator.run(create_snapshot(made.subject, name="s"))
        return store, made.subject, taken.expect().subject


@pytest.mark.parametrize("cancelled", [False, True], ids=["timed out", "cancelled"])
@pytest.mark.parametrize("begin", THREADS.values(), ids=THREADS)
def test_a_late_revert_destroys_nothing_that_was_acknowledged(
    begin: Begin, cancelled: bool
) -> None:
    """While it may still act nobody is told that the volume is reverted; once it has ended,
    recovery ends the operation, and what a guest then writes stays.
    """

    async def story() -> None:
        async with local_zone() as zone:
            store, volume, snapshot = await old_volume(zone)
            stuck = StuckThreads(begin)
            async with zone.orchestrator(policy=SHORT) as orchestrator, stuck:
                await orchestrator.stores.primary(store)
                zone.faults.planned = Planned(call=len(zone.faults.calls) + 1, stuck=stuck.make)
                zone.faults.log.clear()
                reverting = asyncio.ensure_future(
                    orchestrator.run(revert_volume(volume, snapshot=snapshot))
                )
                await stuck.begun(1)
                if cancelled:
                    reverting.cancel()
                    await asyncio.wait([reverting])
                else:
                    assert (await reverting).verdict is Verdict.UNKNOWN
                (told,) = await orchestrator.recover()
                assert told.outcome.verdict is Verdict.UNKNOWN
                assert "may still act" in told.outcome.error
                assert zone.faults.log == ["revert_volume"]
                assert stuck.ended == []
            assert stuck.ended == ["acted"]
            zone.faults.planned = None
            async with zone.orchestrator() as orchestrator:
                (ended,) = await orchestrator.recover()
                assert ended.outcome.verdict is Verdict.SUCCEEDED
                assert await guest(orchestrator, volume) == b"OLD"
                assert await guest(orchestrator, volume, b"NEW") == b"NEW"
            assert await disagreements(zone) == []

    asyncio.run(story())


@pytest.mark.parametrize("begin", THREADS.values(), ids=THREADS)
def test_a_late_creation_leaves_no_volume_that_nobody_knows(begin: Begin) -> None:
    """It is not called clean while the volume may still appear."""

    async def story() -> None:
        async with local_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            stuck = StuckThreads(begin)
            async with zone.orchestrator(policy=SHORT) as orchestrator, stuck:
                await orchestrator.stores.primary(store)
                zone.faults.planned = Planned(call=len(zone.faults.calls) + 1, stuck=stuck.make)
                made = await orchestrator.run(create_volume(name="v", store=store, size_bytes=SIZE))
                assert made.verdict is Verdict.UNKNOWN
                assert [row.state for row in await zone.rows(Volume)] == [VolumeState.UNCERTAIN]
            zone.faults.planned = None
            async with zone.orchestrator() as orchestrator:
                (ended,) = await orchestrator.recover()
                assert ended.outcome.verdict is Verdict.SUCCEEDED
            assert await disagreements(zone) == []

    asyncio.run(story())


async def two_stores(zone: Zone) -> tuple[str, str]:
    """A store that will be dead, and one that stays alive."""
    async with zone.orchestrator() as orchestrator:
        dead = await zone.add(orchestrator, "dead", Role.PRIMARY)
        return dead, await zone.add(orchestrator, "alive", Role.PRIMARY)


@pytest.mark.parametrize("begin", [begin for _, begin in THREADS.items()][:2], ids=[*THREADS][:2])
def test_a_dead_store_costs_its_own_operations_only(begin: Begin) -> None:
    """More calls stuck in one store than there are threads: another is opened and works."""

    async def story() -> None:
        async with local_zone() as zone:
            dead, alive = await two_stores(zone)
            stuck = StuckThreads(begin)
            async with zone.orchestrator() as orchestrator, stuck:
                await orchestrator.stores.primary(dead)
                zone.faults.planned = Planned(
                    call=len(zone.faults.calls) + 1, stuck=stuck.make, lasting=True
                )
                waiting = [
                    orchestrator.start(create_volume(name=f"d{n}", store=dead, size_bytes=SIZE))
                    for n in range(40)
                ]
                await stuck.asked(40)
                zone.faults.planned = None
                made = await orchestrator.run(create_volume(name="a", store=alive, size_bytes=SIZE))
                assert made.verdict is Verdict.SUCCEEDED
                assert await guest(orchestrator, made.subject, b"NEW") == b"NEW"
                stuck.let_go.set()
                ended = {one.verdict for one in await asyncio.gather(*waiting)}
                assert ended == {Verdict.SUCCEEDED}
            assert await disagreements(zone) == []

    asyncio.run(story())


class HalfDead:
    """Opens stores; the one named ``dead`` is stuck when it is opened or closed."""

    def __init__(self, *, opening: bool) -> None:
        self.let_go = threading.Event()
        self.closed: list[str] = []
        self.one_closed = asyncio.Event()
        self._opening = opening
        self._inner = PluginOpener()

    @asynccontextmanager
    async def primary(self, store: Store) -> AsyncIterator[PrimaryDriver]:
        async with AsyncExitStack() as stack:
            if store.name == "dead" and self._opening:
                await runtime().run_blocking(self.let_go.wait)
            yield await stack.enter_async_context(self._inner.primary(store))
            if store.name == "dead" and not self._opening:
                await runtime().run_blocking(self.let_go.wait)
        self.closed.append(store.name)
        self.one_closed.set()

    @asynccontextmanager
    async def image(self, store: Store) -> AsyncIterator[ImageDriver]:
        async with self._inner.image(store) as driver:
            yield driver

    @asynccontextmanager
    async def life_cycle(self, store: Store) -> AsyncIterator[LifeCycle]:
        async with self._inner.life_cycle(store) as life_cycle:
            yield life_cycle


def test_a_store_that_does_not_open_stops_no_other() -> None:
    """Others are opened meanwhile, and an operation on it fails clean: nothing was asked of it."""

    async def story() -> None:
        async with local_zone() as zone:
            dead, alive = await two_stores(zone)
            opener = HalfDead(opening=True)
            quick = Policy(attempts=1, step_s=1.0, grace_s=0.2)
            async with open_orchestrator(zone.catalogue, opener=opener, policy=quick) as slow:
                lost = await slow.run(create_volume(name="d", store=dead, size_bytes=SIZE))
                assert lost.verdict is Verdict.FAILED_CLEAN
                opener.let_go.set()
            opener.let_go.clear()
            async with open_orchestrator(zone.catalogue, opener=opener) as orchestrator:
                stuck = orchestrator.start(create_volume(name="d", store=dead, size_bytes=SIZE))
                made = await orchestrator.run(create_volume(name="a", store=alive, size_bytes=SIZE))
                assert made.verdict is Verdict.SUCCEEDED
                assert not stuck.done()
                opener.let_go.set()
                assert (await stuck).verdict is Verdict.SUCCEEDED
            assert await disagreements(zone) == []

    asyncio.run(story())


def test_a_store_that_does_not_close_stops_no_other() -> None:
    """All others are closed while it is stuck, and the orchestrator ends when it has closed."""

    async def story() -> list[str]:
        async with local_zone() as zone:
            dead, alive = await two_stores(zone)
            opener = HalfDead(opening=False)

            async def use() -> None:
                async with open_orchestrator(zone.catalogue, opener=opener) as orchestrator:
                    await orchestrator.stores.primary(alive)
                    await orchestrator.stores.primary(dead)

            using = asyncio.create_task(use())
            await opener.one_closed.wait()
            closed = [*opener.closed, *(["ended"] if using.done() else [])]
            opener.let_go.set()
            await using
            return [*closed, *opener.closed]

    assert asyncio.run(story()) == ["alive", "alive", "dead"]
