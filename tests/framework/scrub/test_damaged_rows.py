"""A row of the catalogue that cannot be read keeps nothing else from being compared."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.capacity import ledger
from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.concurrency.runtime import runtime
from holdfast.contract.requests import CallContext, CreateVolume, DeleteVolume, Role
from holdfast.contract.testbed import TestbedKind
from holdfast.model.rows import (
    Capacity,
    LedgerEntry,
    Operation,
    Quarantined,
    Row,
    Snapshot,
    Store,
    Volume,
)
from holdfast.scrub import FindingKind, scrub
from holdfast.workflows import create_snapshot, create_volume
from holdfast_drivers.memory import MemoryProvider
from zones import Zone


def behind_our_back() -> CallContext:
    return CallContext(operation="elsewhere", deadline=runtime().now() + 60)


@asynccontextmanager
async def kept_zone(path: Path, testbed: Any) -> AsyncIterator[Zone]:
    """A new zone whose catalogue is a file."""
    async with open_catalogue(path) as catalogue:
        zone = Zone(testbed, catalogue, "memory")
        await zone.prepare()
        yield zone


async def spoiled(path: Path, testbed: Any, kinds: tuple[type[Row], ...], ids: list[str]) -> Any:
    """Scrub a zone whose catalogue has the rows of these ids overwritten with noise."""
    database = sqlite3.connect(path)
    for kind in kinds:
        for one in ids:
            database.execute(
                f"UPDATE {kind.table} SET body = '{{' || substr(body, 3) WHERE id = ?",
                (one,),
            )
    database.commit()
    database.close()
    async with open_catalogue(path) as catalogue:
        zone = Zone(testbed, catalogue, "memory")
        async with zone.orchestrator() as scrubbing:
            report = await scrub(scrubbing, deep=True)
        return report, await catalogue.transact(lambda tx: len(tx.intact(Quarantined)))


@pytest.mark.parametrize("kind", [Volume, LedgerEntry, Operation])
def test_a_row_that_cannot_be_read_is_one_finding(tmp_path: Path, kind: type[Row]) -> None:
    """It is named; what it may account for is neither lost nor unknown; all else is compared."""
    path = tmp_path / "zone.sqlite"

    async def story() -> Any:
        async with MemoryProvider().testbeds()[TestbedKind.EMBEDDED]("damage") as testbed:
            async with kept_zone(path, testbed) as zone, zone.orchestrator() as orchestrator:
                store = await zone.add(orchestrator, "primary", Role.PRIMARY)
                made = [
                    (await orchestrator.run(create_volume(name=n, store=store, size_bytes=1)))
                    for n in "abc"
                ]
                driver = await orchestrator.stores.primary(store)
                ctx = behind_our_back()
                await driver.create_volume(ctx, CreateVolume(key="stranger", size_bytes=4096))
                await driver.delete_volume(ctx, DeleteVolume(key=made[1].subject))
            ids: dict[type[Row], str] = {
                Volume: made[0].subject,
                LedgerEntry: ledger.entry_id(made[0].subject, store),
                Operation: made[0].operation,
            }
            report, quarantined = await spoiled(path, testbed, (kind,), [ids[kind]])
            return report, quarantined, ids[kind], made[1].subject

    report, quarantined, damaged, lost = asyncio.run(story())

    assert sorted((one.kind, one.key) for one in report.findings) == [
        (FindingKind.DAMAGED, damaged),
        (FindingKind.LOST, lost),
        (FindingKind.UNKNOWN, "stranger"),
    ]
    assert quarantined == 1


def as_before(tx: Transaction) -> None:
    """The accounts as an earlier version kept them."""
    for account in tx.select(Capacity):
        tx.update(msgspec.structs.replace(account, definition=0))
    for entry in tx.select(LedgerEntry):
        tx.remove(entry)
        tx.insert(msgspec.structs.replace(entry, id=entry.holder))


@pytest.mark.parametrize("kind", [Store, Snapshot])
def test_an_earlier_ledger_with_a_row_that_cannot_be_read_is_opened(
    tmp_path: Path, kind: type[Row]
) -> None:
    """The row is named by a scrub; the accounts of all other stores are brought up to date."""
    path = tmp_path / "zone.sqlite"

    async def story() -> Any:
        async with MemoryProvider().testbeds()[TestbedKind.EMBEDDED]("damage") as testbed:
            async with kept_zone(path, testbed) as zone:
                async with zone.orchestrator() as orchestrator:
                    stores = [
                        await zone.add(orchestrator, name, Role.PRIMARY) for name in ("one", "two")
                    ]
                    made = await orchestrator.run(
                        create_volume(name="v", store=stores[0], size_bytes=1)
                    )
                    kept = await orchestrator.run(create_snapshot(made.subject, name="s"))
                await zone.catalogue.transact(as_before)
            damaged = stores[0] if kind is Store else kept.subject
            report, _ = await spoiled(path, testbed, (kind,), [damaged])
            async with open_catalogue(path) as catalogue:
                accounts = await catalogue.transact(lambda tx: tx.select(Capacity))
            outdated = [one.id for one in accounts if one.definition < ledger.DEFINITION]
            wanted = [stores[0]] if kind is Store else []
            found = [(one.kind, one.key) for one in report.findings]
            return found == [(FindingKind.DAMAGED, damaged)], outdated == wanted

    assert asyncio.run(story()) == (True, True)
