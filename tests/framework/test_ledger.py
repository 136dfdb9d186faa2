"""The capacity ledger: no byte is spent twice."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.capacity import ledger
from holdfast.capacity.ledger import NoCapacity
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract import errors
from holdfast.contract.requests import CallContext, DeleteVolume, Role
from holdfast.model.rows import Capacity, LedgerEntry, LedgerState
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.scrub import scrub
from holdfast.workflows import create_volume, delete_volume, remove_store, resize_volume
from zones import Faults, Planned, Zone, disagreements, memory_zone, run_inline

KIB = 1 << 10


async def store_of(zone: Zone, orchestrator: Orchestrator, total_bytes: int) -> str:
    """A store that holds so many bytes and no more."""
    store = await zone.add(orchestrator, "primary", Role.PRIMARY)

    def limit(tx: Transaction) -> None:
        row = tx.get(Capacity, store)
        tx.update(msgspec.structs.replace(row, total_bytes=total_bytes))

    await zone.catalogue.transact(limit)
    return store


def test_two_placements_never_spend_the_same_byte() -> None:
    """Of ten volumes placed at once, only as many are accepted as fit."""

    async def story() -> tuple[int, set[str], list[Capacity]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await store_of(zone, orchestrator, 50 * KIB)
            asked = [
                orchestrator.start(create_volume(name=f"v{n}", store=store, size_bytes=12 * KIB))
                for n in range(10)
            ]
            ended = await asyncio.gather(*asked, return_exceptions=True)
            refused = {type(one).__name__ for one in ended if isinstance(one, BaseException)}
            made = [one for one in ended if not isinstance(one, BaseException)]
            return len(made), refused, await zone.rows(Capacity)

    made, refused, (account,) = asyncio.run(story())

    assert (made, refused) == (4, {"NoCapacity"})
    assert (account.reserved_bytes, account.committed_bytes) == (0, 48 * KIB)


def test_capacity_follows_a_volume_through_its_life() -> None:
    """Committed at ready (rounded up), more after a resize, nothing after a delete."""

    async def story() -> list[int]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await store_of(zone, orchestrator, 64 * KIB)

            async def committed() -> int:
                (account,) = await zone.rows(Capacity)
                assert account.reserved_bytes == 0
                return int(account.committed_bytes)

            volume = (
                await orchestrator.run(create_volume(name="v", store=store, size_bytes=5 * KIB))
            ).subject
            found = [await committed()]
            await orchestrator.run(resize_volume(volume, size_bytes=40 * KIB))
            found.append(await committed())
            with pytest.raises(NoCapacity, match="24576 of 65536 bytes left"):
                await orchestrator.run(resize_volume(volume, size_bytes=80 * KIB))
            found.append(await committed())
            await orchestrator.run(delete_volume(volume))
            return [*found, await committed()]

    assert run_inline(story()) == [8 * KIB, 40 * KIB, 40 * KIB, 0]


def test_what_a_removed_store_held_is_spoken_for_no_more() -> None:
    """The entries of lost volumes, and of dirty operations, go with their store."""

    async def story() -> tuple[list[LedgerEntry], list[Capacity]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await store_of(zone, orchestrator, 64 * KIB)
            made = await orchestrator.run(create_volume(name="v", store=store, size_bytes=4 * KIB))
            driver = await orchestrator.stores.primary(store)
            ctx = CallContext(operation="elsewhere", deadline=runtime().now() + 60)
            await driver.delete_volume(ctx, DeleteVolume(key=made.subject))
            await scrub(orchestrator)

            def owe(tx: Transaction) -> None:
                ledger.reserve(tx, store=store, holder="op-dirty", amount_bytes=KIB)

            await zone.catalogue.transact(owe)
            (await orchestrator.run(remove_store(store))).expect()
            await zone.catalogue.transact(lambda tx: ledger.release_all(tx, holder="op-dirty"))
            return await zone.rows(LedgerEntry), await zone.rows(Capacity)

    assert run_inline(story()) == ([], [])


def test_a_failed_resize_gives_back_what_it_reserved() -> None:
    """After a clean failure the ledger is what it was."""

    async def story() -> tuple[Verdict, int, list[str]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await store_of(zone, orchestrator, 64 * KIB)
            made = await orchestrator.run(create_volume(name="v", store=store, size_bytes=4 * KIB))
            await disagreements(zone)
            zone.faults = Faults()
            async with zone.orchestrator() as other:
                zone.faults.planned = Planned(call=1, error=errors.Exhausted("full"))
                failed = await other.run(resize_volume(made.subject, size_bytes=32 * KIB))
            (account,) = await zone.rows(Capacity)
            return failed.verdict, account.committed_bytes, await disagreements(zone)

    assert run_inline(story()) == (Verdict.FAILED_CLEAN, 4 * KIB, [])


@given(
    acts=st.lists(
        st.tuples(
            st.sampled_from(["reserve", "settle", "release"]),
            st.sampled_from(["a", "b", "c"]),
            st.integers(min_value=0, max_value=100),
        ),
        max_size=20,
    )
)
def test_the_sums_are_always_those_of_the_entries(acts: list[tuple[str, str, int]]) -> None:
    """Whatever is reserved, settled and released, in any order, the account adds up."""

    async def story() -> tuple[list[LedgerEntry], Capacity]:
        async with MemoryCatalogue().opened() as catalogue:
            await catalogue.transact(lambda tx: ledger.open_account(tx, "st"))
            for act, holder, amount in acts:
                await catalogue.transact(applying(act, holder, amount))
            return await catalogue.transact(
                lambda tx: (tx.select(LedgerEntry, store="st"), tx.get(Capacity, "st"))
            )

    entries, account = run_inline(story())

    sums = {
        state: sum(entry.amount_bytes for entry in entries if entry.entry is state)
        for state in LedgerState
    }
    assert sums == {
        LedgerState.RESERVED: account.reserved_bytes,
        LedgerState.COMMITTED: account.committed_bytes,
    }


def applying(act: str, holder: str, amount: int) -> Callable[[Transaction], None]:
    def apply(tx: Transaction) -> None:
        match act:
            case "reserve":
                ledger.reserve(tx, store="st", holder=holder, amount_bytes=amount)
            case "settle":
                ledger.settle(tx, store="st", holder=holder, amount_bytes=amount)
            case _:
                ledger.release(tx, store="st", holder=holder)

    return apply
