"""Every format that was ever landed opens, migrates and recovers: nothing lost, nothing leaked."""

import asyncio
import json
from pathlib import Path

import pytest

from crashing.looking import command, look, store_folder
from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.cli.open_zone import open_zone
from holdfast.cli.recover import run_recover
from holdfast.cli.scrub import run_scrub
from holdfast.contract.answers import OwnedKind
from holdfast.model.rows import Snapshot, Store, StoredObject, Volume
from holdfast.operations.journal import unfinished
from holdfast.workflows import delete_volume
from holdfast_drivers.local.inspector import LocalInspector
from upgrade_fixtures import CATALOGUE, Known, names, unpack

GONE = {"Allocated", "Expunged"}


@pytest.fixture(params=names())
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Known]:
    """The folder of an earlier version's zone, as its killed process left it, and what is known."""
    return tmp_path, unpack(request.param, tmp_path)


def held_in_rows(tx: Transaction) -> set[tuple[str, str, str]]:
    rows: list[tuple[OwnedKind, Volume | Snapshot | StoredObject]] = [
        *((OwnedKind.VOLUME, volume) for volume in tx.select(Volume)),
        *((OwnedKind.SNAPSHOT, snapshot) for snapshot in tx.select(Snapshot)),
        *((OwnedKind.OBJECT, stored) for stored in tx.select(StoredObject)),
    ]
    return {(row.store, kind.value, row.key) for kind, row in rows if row.state not in GONE}


async def held_in_folders(folder: Path, stores: list[Store]) -> set[tuple[str, str, str]]:
    """What is in the stores' folders, read without the driver."""
    return {
        (store.id, thing.kind.value, thing.key)
        for store in stores
        for thing in (
            await LocalInspector(folder, store_folder(store), store.role).inventory()
        ).things
        if thing.kind not in (OwnedKind.STORE, OwnedKind.GRANT)
    }


async def disagreements(folder: Path) -> set[tuple[str, str, str]]:
    async with open_catalogue(folder / CATALOGUE) as catalogue:
        rows, stores = await catalogue.transact(lambda tx: (held_in_rows(tx), tx.select(Store)))
    return rows ^ await held_in_folders(folder, stores)


async def delete(folder: Path, volumes: tuple[str, ...]) -> None:
    async with open_zone(folder / CATALOGUE) as orchestrator:
        for volume in volumes:
            (await orchestrator.run(delete_volume(volume))).expect()


def findings(folder: Path) -> list[str]:
    _, printed = command(run_scrub, folder / CATALOGUE, deep=True, as_json=True)
    return [finding["key"] for finding in json.loads(printed)["findings"]]


def test_there_is_a_fixture() -> None:
    """Somebody looks after earlier formats."""
    assert names()


@pytest.mark.slow
def test_an_earlier_version_is_recovered(kept: tuple[Path, Known]) -> None:
    """What an earlier version left when it was killed is recovered; every promise is kept."""
    folder, known = kept
    assert {"Running", "Compensating", "Uncertain"} <= set(known.in_flight.values())

    code, printed = command(run_recover, folder / CATALOGUE, as_json=True)
    recovered = {one["operation"]: one["found"] for one in json.loads(printed)}
    assert (0, known.in_flight) == (code, recovered)

    assert asyncio.run(look(folder, {one.id: one for one in known.promises})) == []
    assert set(findings(folder)) == set(known.in_error)
    asyncio.run(delete(folder, known.in_error))
    assert findings(folder) == []
    assert asyncio.run(disagreements(folder)) == set()


@pytest.mark.slow
def test_an_earlier_version_goes_on(kept: tuple[Path, Known]) -> None:
    """Opening alone loses no row, and what is unfinished waits for recovery."""
    folder, known = kept

    async def run() -> set[str]:
        async with open_catalogue(folder / CATALOGUE) as catalogue:
            return {one.id for one in await catalogue.transact(unfinished)}

    assert asyncio.run(run()) == set(known.in_flight)
