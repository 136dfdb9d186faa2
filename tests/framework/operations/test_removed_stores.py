"""A store that was removed leaves nothing behind: no thread, no open port, no row of its own."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.capacity import ledger
from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.concurrency.runtime import runtime
from holdfast.contract.answers import OwnedKind
from holdfast.contract.requests import (
    CallContext,
    DeleteObject,
    DeleteSnapshot,
    DeleteVolume,
    EnumerateOwned,
    Revoke,
    Role,
)
from holdfast.model.rows import (
    Backup,
    Capacity,
    LedgerEntry,
    Row,
    Snapshot,
    Store,
    StoredObject,
    Template,
    Volume,
    VolumeGrant,
)
from holdfast.model.state_tables import Event
from holdfast.operations.orchestrator import Orchestrator
from holdfast.scrub import scrub
from holdfast.workflows import attach_volume, remove_store
from stories import Props, script, write_image
from zone_program import Program, adding
from zones import HOST, Zone, memory_zone, run_inline

HELD: tuple[type[Row], ...] = (
    Template,
    Volume,
    Snapshot,
    StoredObject,
    VolumeGrant,
    Backup,
    LedgerEntry,
    Capacity,
)


_LONG_S = 60.0
"""How long a thread that should end is waited for."""


def lanes() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name.startswith("holdfast-lane")}


async def make_and_remove(zone: Zone, orchestrator: Orchestrator, name: str) -> None:
    store = await zone.add(orchestrator, name, Role.PRIMARY)
    lane = orchestrator.stores.lane(store)
    await lane.run(threading.get_ident)
    (await orchestrator.run(remove_store(store))).expect()


def test_stores_that_come_and_go_leave_no_thread_and_no_open_port() -> None:
    """After each removal there is what was there before; a later one is opened as the first."""

    async def story() -> None:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            before = lanes()
            tasks = len(asyncio.all_tasks())
            for number in range(20):
                await make_and_remove(zone, orchestrator, f"store-{number}")
                for thread in lanes() - before:
                    thread.join(_LONG_S)
                assert lanes() == before
                assert len(asyncio.all_tasks()) == tasks

    asyncio.run(story())


@pytest.mark.slow
def test_hundreds_of_stores_that_come_and_go_leave_nothing_open() -> None:
    async def story() -> None:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            tasks = len(asyncio.all_tasks())
            for number in range(200):
                store = await zone.add(orchestrator, f"store-{number}", Role.PRIMARY)
                (await orchestrator.run(remove_store(store))).expect()
            assert len(asyncio.all_tasks()) == tasks

    run_inline(story())


async def lose_everything(props: Props, orchestrator: Orchestrator) -> None:
    """Take all that the stores hold away from them, and have scrub notice."""
    ctx = CallContext(operation="elsewhere", deadline=runtime().now() + 600)
    images = await orchestrator.stores.image(props.ids["images"])
    for name in ("primary", "second"):
        primary = await orchestrator.stores.primary(props.ids[name])
        things = [one async for one in primary.enumerate(ctx, EnumerateOwned())]
        for one in things:
            if one.kind is OwnedKind.GRANT:
                await primary.revoke(ctx, Revoke(volume=one.key.partition("|")[0], host=HOST))
        for one in things:
            if one.kind is OwnedKind.SNAPSHOT:
                await primary.delete_snapshot(ctx, DeleteSnapshot(key=one.key))
        for one in things:
            if one.kind is OwnedKind.VOLUME:
                await primary.delete_volume(ctx, DeleteVolume(key=one.key))
    for one in [one async for one in images.enumerate(ctx, EnumerateOwned())]:
        if one.kind is OwnedKind.OBJECT:
            await images.delete(ctx, DeleteObject(key=one.key))
    await scrub(orchestrator)


async def kept(zone: Zone) -> list[Row]:
    return [row for kind in HELD for row in await zone.rows(kind)]


def test_what_was_lost_in_a_store_goes_with_it(tmp_path: Path) -> None:
    """Rows, grants, what was spoken for, and backups and templates that nothing else holds."""

    async def story() -> None:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            props = Props(zone, write_image(tmp_path))
            await script(props, 8)(orchestrator)
            await orchestrator.run(attach_volume(props.ids["root"], host=HOST))
            await lose_everything(props, orchestrator)
            assert {row.state.value for row in await zone.rows(Volume)} == {"Lost"}
            for name in ("primary", "second", "images"):
                (await orchestrator.run(remove_store(props.ids[name]))).expect()
            assert await kept(zone) == []
            assert (await scrub(orchestrator)).clean

    run_inline(story())


def test_what_outlived_its_store_before_goes_at_the_next_scrub() -> None:
    """A row that an earlier version left of a store that was removed is dropped, and no other."""

    async def story() -> tuple[list[str], list[str]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            gone = await zone.add(orchestrator, "gone", Role.PRIMARY)
            there = await zone.add(orchestrator, "there", Role.PRIMARY)
            (await orchestrator.run(remove_store(gone))).expect()

            def as_before(tx: Transaction) -> None:
                for store in (gone, there):
                    for ending in (Event.FOUND_LOST, None):
                        name = f"{ending}-{store}"
                        row = Volume(id=name, name=name, store=store, key=name, size_bytes=0)
                        made = tx.fire(tx.insert(row), Event.CREATE_REQUESTED)
                        if ending is None:
                            tx.fire(made, Event.OPERATION_FAILED_DIRTY)
                        else:
                            tx.fire(tx.fire(made, Event.OPERATION_SUCCEEDED), ending)

            await zone.catalogue.transact(as_before)
            await scrub(orchestrator)
            return [row.store for row in await zone.rows(Volume)], [there, there]

    left, wanted = run_inline(story())
    assert left == wanted


def in_a_store(program: Program, ending: Event) -> str:
    """A volume of a store of this program, in the state that this event makes of it; its store."""

    async def story() -> str:
        async with open_catalogue(program.catalogue) as catalogue:

            def insert(tx: Transaction) -> str:
                (store,) = tx.select(Store)
                row = Volume(id="vol-1", name="v", store=store.id, key="k", size_bytes=4096)
                made = tx.fire(tx.insert(row), Event.CREATE_REQUESTED)
                if ending is Event.FOUND_LOST:
                    made = tx.fire(made, Event.OPERATION_SUCCEEDED)
                tx.fire(made, ending)
                entry = ledger.entry_id(row.id, store.id)
                tx.insert(LedgerEntry(id=entry, store=store.id, holder=row.id, amount_bytes=0))
                return store.id

            return await catalogue.transact(insert)

    program.done("zone", "create", "zone-1")
    program.done("host", "add", "host-1", "--zone", "zone-1")
    program.done(*adding(program, "fast", "primary"))
    return asyncio.run(story())


def change(program: Program, statement: str) -> None:
    with closing(sqlite3.connect(program.catalogue)) as database:
        database.execute(statement)
        database.commit()


def volumes(program: Program) -> list[str]:
    with closing(sqlite3.connect(program.catalogue)) as database:
        return [row_id for (row_id,) in database.execute("SELECT id FROM volumes")]


def test_damage_beside_a_lost_row_keeps_no_store_from_being_removed(tmp_path: Path) -> None:
    """The operation ends; what cannot be read is scrub's to name, and the row waits for that."""
    program = Program(tmp_path)
    in_a_store(program, Event.FOUND_LOST)
    change(program, "UPDATE ledger SET digest = digest + 1")

    program.done("store", "remove", "fast")

    assert volumes(program) == ["vol-1"]
    assert "nothing to recover" in program.done("recover")


def test_a_store_whose_id_is_damaged_was_not_removed(tmp_path: Path) -> None:
    """What failed in it may have bytes there, and stays."""
    program = Program(tmp_path)
    in_a_store(program, Event.OPERATION_FAILED_DIRTY)
    change(program, "UPDATE stores SET id = 'store-damaged'")

    program("scrub")

    assert volumes(program) == ["vol-1"]
