"""Allocated is what was promised, once: by capability, whatever happens, and after an upgrade."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from holdfast.capacity import ledger
from holdfast.capacity.ledger import NoCapacity
from holdfast.capacity.ledger_upgrade import upgrade_ledger
from holdfast.catalogue.port import Transaction
from holdfast.contract import errors
from holdfast.contract.requests import CallContext, GetStats, Role
from holdfast.model.rows import Capacity, LedgerEntry, LedgerState, Snapshot, Store
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.scrub import FindingKind, scrub
from holdfast.scrub.capacity import ledger_findings
from holdfast.workflows import (
    create_snapshot,
    create_volume,
    delete_snapshot,
    delete_volume,
    resize_volume,
    revert_volume,
)
from zones import Planned, Zone, memory_zone, run_inline

KIB = 1 << 10


async def bound(zone: Zone, store: str, total_bytes: int) -> None:
    """A store has so many bytes from now on."""

    def limit(tx: Transaction) -> None:
        tx.update(msgspec.structs.replace(tx.get(Capacity, store), total_bytes=total_bytes))

    await zone.catalogue.transact(limit)


async def declare_copies(zone: Zone, store: str) -> None:
    """A store says from now on that it copies for its snapshots."""

    def change(tx: Transaction) -> None:
        row = tx.get(Store, store)
        declared = msgspec.json.decode(row.capabilities)
        declared["snapshot"]["native"] = False
        document = msgspec.Raw(msgspec.json.encode(declared))
        tx.update(msgspec.structs.replace(row, capabilities=document))

    await zone.catalogue.transact(change)


def behind_our_back() -> CallContext:
    return CallContext(operation="elsewhere", deadline=1e12)


async def made(orchestrator: Orchestrator, workflow: Any) -> str:
    return (await orchestrator.run(workflow)).expect().subject


async def sums(zone: Zone) -> tuple[int, int]:
    (account,) = await zone.rows(Capacity)
    return account.reserved_bytes, account.committed_bytes


Story = Callable[[Zone, Orchestrator, str], Awaitable[Any]]


def told(story: Story) -> Any:
    """What a story on one primary store tells; the zone's ledger is checked at its end."""

    async def main() -> Any:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            return await story(zone, orchestrator, store)

    return run_inline(main())


def test_native_snapshots_take_nothing() -> None:
    """However many there are, a store that its volumes fill takes one more, and never says less
    than nothing is left.
    """

    async def story(zone: Zone, orchestrator: Orchestrator, store: str) -> list[tuple[int, int]]:
        await bound(zone, store, 64 * KIB)
        volume = await made(orchestrator, create_volume(name="v", store=store, size_bytes=64 * KIB))
        found = [await sums(zone)]
        snapshots = [
            await made(orchestrator, create_snapshot(volume, name=f"s{n}")) for n in range(3)
        ]
        found.append(await sums(zone))
        await made(orchestrator, revert_volume(volume, snapshot=snapshots[0]))
        with pytest.raises(NoCapacity, match=r"has 0 of 65536 bytes left, and 4096 were"):
            await orchestrator.run(create_volume(name="w", store=store, size_bytes=1))
        for snapshot in snapshots:
            await made(orchestrator, delete_snapshot(snapshot))
        await made(orchestrator, delete_volume(volume))
        return [*found, await sums(zone)]

    assert told(story) == [(0, 64 * KIB), (0, 64 * KIB), (0, 0)]


def test_snapshots_that_are_copies_take_their_size() -> None:
    """Where the store copies for it, a snapshot is promised what its volume has, and refused where
    that does not fit.
    """

    async def story(zone: Zone, orchestrator: Orchestrator, store: str) -> list[tuple[int, int]]:
        await bound(zone, store, 64 * KIB)
        await declare_copies(zone, store)
        volume = await made(orchestrator, create_volume(name="v", store=store, size_bytes=24 * KIB))
        snapshot = await made(orchestrator, create_snapshot(volume, name="s"))
        found = [await sums(zone)]
        with pytest.raises(NoCapacity, match="16384 of 65536 bytes left, and 24576 were"):
            await orchestrator.run(create_snapshot(volume, name="t"))
        await made(orchestrator, delete_snapshot(snapshot))
        return [*found, await sums(zone)]

    assert told(story) == [(0, 48 * KIB), (0, 24 * KIB)]


def test_what_a_smaller_revert_or_a_shrinking_gives_back_is_free_again() -> None:
    """Growing, reverting to a smaller size, growing and shrinking again end with the true size."""

    async def story(zone: Zone, orchestrator: Orchestrator, store: str) -> list[int]:
        await bound(zone, store, 64 * KIB)
        volume = await made(orchestrator, create_volume(name="v", store=store, size_bytes=8 * KIB))
        snapshot = await made(orchestrator, create_snapshot(volume, name="s"))
        found: list[int] = []
        for workflow in (
            resize_volume(volume, size_bytes=50 * KIB),
            revert_volume(volume, snapshot=snapshot),
            resize_volume(volume, size_bytes=64 * KIB),
            resize_volume(volume, size_bytes=4 * KIB, shrink=True),
        ):
            await made(orchestrator, workflow)
            found.append((await sums(zone))[1])
        return found

    assert told(story) == [52 * KIB, 8 * KIB, 64 * KIB, 4 * KIB]


def test_a_store_that_became_smaller_refuses_growth_only() -> None:
    """Nothing is ever negative; what asks for no more than it has is done."""

    async def story(zone: Zone, orchestrator: Orchestrator, store: str) -> tuple[int, int]:
        volume = await made(orchestrator, create_volume(name="v", store=store, size_bytes=32 * KIB))
        snapshot = await made(orchestrator, create_snapshot(volume, name="s"))
        await bound(zone, store, 8 * KIB)
        for grows in (
            create_volume(name="w", store=store, size_bytes=1),
            resize_volume(volume, size_bytes=36 * KIB),
        ):
            with pytest.raises(NoCapacity, match="has 0 of 8192 bytes left, and 4096 were"):
                await orchestrator.run(grows)
        await made(orchestrator, create_snapshot(volume, name="t"))
        await made(orchestrator, revert_volume(volume, snapshot=snapshot))
        await made(orchestrator, resize_volume(volume, size_bytes=16 * KIB, shrink=True))
        return await sums(zone)

    assert told(story) == (0, 16 * KIB)


def test_a_volume_is_reserved_in_whole_granules() -> None:
    """What would not fit once it is rounded up is refused before anything is done."""

    async def story(zone: Zone, orchestrator: Orchestrator, store: str) -> int:
        await bound(zone, store, 8 * KIB)
        await made(orchestrator, create_volume(name="v", store=store, size_bytes=4097))
        with pytest.raises(NoCapacity, match="has 0 of 8192"):
            await orchestrator.run(create_volume(name="w", store=store, size_bytes=1))
        return (await sums(zone))[1]

    assert told(story) == 8 * KIB


@pytest.mark.parametrize("error", [errors.Exhausted("full"), errors.Denied("no")])
def test_a_failure_changes_no_promise(error: errors.DriverError) -> None:
    """What fails clean leaves the ledger as it was, for every workflow that reserves."""

    async def story(zone: Zone, orchestrator: Orchestrator, store: str) -> list[Any]:
        volume = await made(orchestrator, create_volume(name="v", store=store, size_bytes=8 * KIB))
        snapshot = await made(orchestrator, create_snapshot(volume, name="s"))
        found: list[Any] = []
        for workflow in (
            create_volume(name="w", store=store, size_bytes=4 * KIB),
            resize_volume(volume, size_bytes=32 * KIB),
            revert_volume(volume, snapshot=snapshot),
            create_snapshot(volume, name="t"),
            delete_snapshot(snapshot),
        ):
            zone.faults.planned = Planned(call=len(zone.faults.calls) + 1, error=error)
            ended = await orchestrator.run(workflow)
            found.append((ended.verdict, await sums(zone)))
        zone.faults.planned = None
        return found

    assert told(story) == [(Verdict.FAILED_CLEAN, (0, 8 * KIB))] * 5


def test_scrub_puts_a_wrong_ledger_right() -> None:
    """An amount, an entry that is missing or too many, and wrong sums: each is named, once."""

    async def story(zone: Zone, orchestrator: Orchestrator, store: str) -> Any:
        ids = [
            await made(orchestrator, create_volume(name=n, store=store, size_bytes=4 * KIB))
            for n in "abc"
        ]

        def spoil(tx: Transaction) -> None:
            first, second, _ = (tx.get(LedgerEntry, ledger.entry_id(one, store)) for one in ids)
            tx.update(msgspec.structs.replace(first, amount_bytes=99 * KIB))
            tx.remove(second)
            tx.insert(
                LedgerEntry(
                    id=ledger.entry_id("vol-none", store),
                    store=store,
                    holder="vol-none",
                    amount_bytes=7,
                    entry=LedgerState.COMMITTED,
                )
            )
            tx.update(msgspec.structs.replace(tx.get(Capacity, store), committed_bytes=-5))

        await zone.catalogue.transact(spoil)
        first = await scrub(orchestrator)
        second = await scrub(orchestrator)
        named = sorted(one.key for one in first.findings)
        kinds = {one.kind for one in first.findings}
        wanted = sorted([ids[0], ids[1], "vol-none", store])
        return kinds, named == wanted, second.findings, await sums(zone)

    assert told(story) == ({FindingKind.LEDGER}, True, (), (0, 12 * KIB))


@pytest.mark.parametrize("pages", [0, 1, 2, 3, 50])
def test_an_older_ledger_is_corrected_when_it_is_opened(
    pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Native snapshots lose the size they were entered with, however often that is interrupted."""
    monkeypatch.setattr("holdfast.capacity.ledger_upgrade._PAGE", 2)

    async def story(zone: Zone, orchestrator: Orchestrator, store: str) -> Any:
        volume = await made(orchestrator, create_volume(name="v", store=store, size_bytes=8 * KIB))
        for n in range(3):
            await made(orchestrator, create_snapshot(volume, name=f"s{n}"))

        def as_before(tx: Transaction) -> None:
            """Entries named after their holders, and those of snapshots with a size."""
            total = 0
            for entry in tx.select(LedgerEntry):
                snapshot = tx.find(Snapshot, entry.holder)
                amount = snapshot.size_bytes if snapshot else entry.amount_bytes
                tx.remove(entry)
                tx.insert(msgspec.structs.replace(entry, id=entry.holder, amount_bytes=amount))
                total += amount
            account = tx.get(Capacity, store)
            tx.update(msgspec.structs.replace(account, committed_bytes=total, definition=0))

        await zone.catalogue.transact(as_before)
        assert (await sums(zone))[1] == 32 * KIB
        commits = 0

        class Interrupted(Exception):
            """The process ended here."""

        class Cut:
            """A catalogue that is gone after so many commits."""

            async def transact(self, function: Any) -> Any:
                nonlocal commits
                if commits == pages + 1:
                    raise Interrupted
                commits += 1
                return await zone.catalogue.transact(function)

        cut: Any = Cut()
        with contextlib.suppress(Interrupted):
            await upgrade_ledger(cut)
        async with zone.orchestrator() as reopened:
            after = await sums(zone)
            for snapshot in await zone.rows(Snapshot):
                await made(reopened, delete_snapshot(snapshot.id))
            await made(reopened, delete_volume(volume))
            return after, await ledger_findings(zone.catalogue), await sums(zone)

    assert told(story) == ((0, 8 * KIB), [], (0, 0))


def test_placements_beside_each_other_never_pass_the_total() -> None:
    """Volumes and snapshots of every sort at once: what was promised never exceeds the store."""

    async def story(zone: Zone, orchestrator: Orchestrator, store: str) -> tuple[bool, bool]:
        await bound(zone, store, 40 * KIB)
        await declare_copies(zone, store)
        volume = await made(orchestrator, create_volume(name="v", store=store, size_bytes=8 * KIB))
        asked = [
            orchestrator.start(workflow)
            for n in range(6)
            for workflow in (
                create_volume(name=f"v{n}", store=store, size_bytes=5 * KIB),
                create_snapshot(volume, name=f"s{n}"),
            )
        ]
        ended = await asyncio.gather(*asked, return_exceptions=True)
        reserved, committed = await sums(zone)
        return any(isinstance(one, NoCapacity) for one in ended), (
            reserved == 0 and committed == 40 * KIB
        )

    assert told(story) == (True, True)


def test_scrub_refreshes_the_figures_of_a_store() -> None:
    """Total, used and physical are the driver's, with their time; what is promised stays."""

    async def story(zone: Zone, orchestrator: Orchestrator, store: str) -> Any:
        await made(orchestrator, create_volume(name="v", store=store, size_bytes=8 * KIB))
        (before,) = await zone.rows(Capacity)
        await bound(zone, store, 1)
        assert (await scrub(orchestrator)).clean
        (after,) = await zone.rows(Capacity)
        driver = await orchestrator.stores.primary(store)
        figures = await driver.stats(behind_our_back(), GetStats())
        return (
            (before.refreshed_s, before.total_bytes == after.total_bytes == figures.total_bytes),
            (after.used_bytes == figures.used_bytes, after.physical_total_bytes > 0),
            (after.refreshed_s > 0, after.committed_bytes),
        )

    assert told(story) == ((0, True), (True, True), (True, 8 * KIB))
