"""Opening a store may end in any way: whoever waits for it is told, and nobody else is stopped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from holdfast.assembly import open_orchestrator
from holdfast.contract.errors import HoldfastError, Unavailable
from holdfast.contract.ports import PrimaryDriver
from holdfast.contract.requests import Role
from holdfast.model.rows import Store
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.stores.kept_stores import PluginOpener
from holdfast.workflows import create_volume
from zones import PATIENT, memory_zone, run_inline


class Opening(PluginOpener):
    """Opens primary stores as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.cancels = False
        self.hangs = False
        self.fails_to_close = False

    @asynccontextmanager
    async def primary(self, store: Store) -> AsyncIterator[PrimaryDriver]:
        if self.cancels:
            raise asyncio.CancelledError
        if self.hangs:
            await asyncio.Event().wait()
        async with super().primary(store) as driver:
            yield driver
        if self.fails_to_close:
            raise Unavailable("it does not close")


@asynccontextmanager
async def unopened() -> AsyncIterator[tuple[Orchestrator, Opening, str]]:
    """A process that has yet to open the store that an earlier one added."""
    async with memory_zone() as zone:
        opener = Opening()
        async with open_orchestrator(zone.catalogue, opener=opener, policy=PATIENT) as earlier:
            store = await zone.add(earlier, "primary", Role.PRIMARY)
        async with open_orchestrator(zone.catalogue, opener=opener, policy=PATIENT) as one:
            yield one, opener, store


def test_an_opening_that_is_cancelled_from_within_cancels_nobody_who_waits_for_it() -> None:
    async def story() -> None:
        async with unopened() as (one, opener, store):
            opener.cancels = True
            made = create_volume(name="disk", store=store, size_bytes=1 << 20)
            outcome = await one.run(made)
            assert outcome.verdict is Verdict.FAILED_CLEAN
            opener.cancels = False
            again = create_volume(name="disk", store=store, size_bytes=1 << 20)
            (await one.run(again)).expect()

    run_inline(story())


@pytest.mark.parametrize("rounds", [1, 20])
def test_whoever_waits_for_an_opening_is_told_that_its_store_was_given_back(rounds: int) -> None:
    async def story() -> None:
        async with unopened() as (one, opener, store):
            opener.hangs = True
            waiting: asyncio.Task[Any] = asyncio.create_task(one.stores.primary(store))
            for _ in range(rounds):
                await asyncio.sleep(0)
            await one.stores.forget(store)
            with pytest.raises(HoldfastError, match="closed"):
                await waiting

    run_inline(story())


def test_a_store_that_fails_to_close_hides_no_failure_from_before() -> None:
    async def story() -> None:
        async with memory_zone() as zone:
            opener = Opening()
            opener.fails_to_close = True

            async def fail() -> None:
                async with open_orchestrator(zone.catalogue, opener=opener, policy=PATIENT) as one:
                    await zone.add(one, "primary", Role.PRIMARY)
                    raise LookupError("the caller's own")

            with pytest.raises(LookupError, match="the caller's own"):
                await fail()

    run_inline(story())
