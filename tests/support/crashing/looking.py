"""What must hold after a crash: ``recover`` and ``scrub`` end well, and every promise is kept."""

import asyncio
import contextlib
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import typer

from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.cli.recover import run_recover
from holdfast.cli.scrub import run_scrub
from holdfast.contract.answers import OwnedKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Inspected
from holdfast.demo.acknowledgement import Promise, Promised
from holdfast.demo.play import CATALOGUE
from holdfast.model.rows import (
    ROWS,
    Backup,
    Row,
    Snapshot,
    StatefulRow,
    Store,
    StoredObject,
    Template,
    Volume,
)
from holdfast_drivers.inspection.readers.disk_content import disk_of
from holdfast_drivers.local.inspector import LocalInspector

_KINDS: dict[Promised, type[Row]] = {
    Promised.TEMPLATE: Template,
    Promised.VOLUME: Volume,
    Promised.SNAPSHOT: Snapshot,
    Promised.BACKUP: Backup,
}


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was found after recovery; it is well when there are no problems."""

    recovered: int = 0
    """Operations that the crash had interrupted."""
    problems: tuple[str, ...] = ()


def command(run: Callable[..., None], *args: Any, **kwargs: Any) -> tuple[int, str]:
    """A command of the program: its exit code and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            run(*args, **kwargs)
        except typer.Exit as leaving:
            return leaving.exit_code, printed.getvalue()
    return 0, printed.getvalue()


def recover_and_look(folder: Path, promises: Iterable[Promise]) -> Seen:
    """Recover the demo in ``folder``, then compare it with the last promise about each row."""
    kept = {promise.id: promise for promise in promises}
    catalogue = folder / CATALOGUE
    if not catalogue.exists():
        return Seen(problems=tuple(f"promised without a catalogue: {one}" for one in kept))
    code, printed = command(run_recover, catalogue, as_json=True)
    recovered = json.loads(printed)
    problems = [f"recovery ended with {code}: {printed}"] * (code != 0)
    code, printed = command(run_scrub, catalogue, deep=True)
    problems += [f"scrub ended with {code}: {printed}"] * (code != 0)
    problems += asyncio.run(look(folder, kept))
    code, printed = command(run_recover, catalogue, as_json=True)
    problems += [f"a second recovery found {printed}"] * (printed.strip() != "[]")
    return Seen(recovered=len(recovered), problems=tuple(problems))


async def look(folder: Path, kept: dict[str, Promise]) -> list[str]:
    """What is wrong with rows and bytes, by the promises and by another path than the driver."""
    async with open_catalogue(folder / CATALOGUE) as catalogue:
        rows = await catalogue.transact(_all_rows)
    by_id = {(type(row), row.id): row for row in rows}
    problems = [
        f"{type(row).__name__} {row.id} is still {row.state}"
        for row in rows
        if isinstance(row, StatefulRow) and row.state in row.machine.transitional
    ]
    for store in rows:
        if isinstance(store, Store) and store.state == "Up":
            things = await _things(folder, store)
            problems += [f"left in {store.name}: {one}" for one in things if one.unfinished]
            problems += _wrong_digests(store, rows, things)
    for promise in kept.values():
        row = by_id.get((_KINDS[promise.promised], promise.id))
        if row is None:
            problems.append(f"acknowledged and not in the catalogue: {promise}")
            continue
        found = await _contents(folder, row, rows)
        if not found:
            problems.append(f"acknowledged and not Ready with its bytes: {promise}")
        elif promise.contents and not found <= set(promise.contents):
            problems.append(f"{promise} has the bytes {found}")
    return problems


def _all_rows(tx: Transaction) -> list[Row]:
    return [row for kind in ROWS for row in tx.select(kind)]


def store_folder(store: Store) -> Path:
    config: dict[str, str] = json.loads(bytes(store.config))
    return Path(config["root"]) / config["namespace"] / store.role.value


async def _things(folder: Path, store: Store) -> tuple[Inspected, ...]:
    inspector = LocalInspector(folder, store_folder(store), store.role)
    return (await inspector.inventory()).things


def _wrong_digests(store: Store, rows: list[Row], things: tuple[Inspected, ...]) -> list[str]:
    """Ready objects whose bytes, read by another path, do not have the digest in the catalogue."""
    sha256 = {one.key: one.digest for one in things if one.kind is OwnedKind.OBJECT}
    return [
        f"object {row.key} has SHA-256 {sha256.get(row.key)}, not {row.sha256}"
        for row in rows
        if isinstance(row, StoredObject) and row.store == store.id and row.state == "Ready"
        if sha256.get(row.key) != row.sha256
    ]


async def _contents(folder: Path, row: Row, rows: list[Row]) -> set[str]:
    """The digests of what a promise is about, wherever it is Ready, read without the driver."""
    stores = {store.id: store for store in rows if isinstance(store, Store)}
    if isinstance(row, Template | Backup):
        return {
            disk_of(data)[1]
            for one in rows
            if isinstance(one, StoredObject) and one.owner == row.id and one.state == "Ready"
            for data in _object_data(store_folder(stores[one.store]), one.key)
        }
    assert isinstance(row, Volume | Snapshot)
    kind = OwnedKind.VOLUME if isinstance(row, Volume) else OwnedKind.SNAPSHOT
    things = await _things(folder, stores[row.store])
    return {
        one.digest
        for one in things
        if (one.kind, one.key, row.state) == (kind, row.key, "Ready")
        if one.size_bytes == row.size_bytes
    }


def _object_data(folder: Path, key: str) -> list[Path]:
    assert folder.name == Role.IMAGE.value
    known = [(path, json.loads((path / "row.json").read_bytes())) for path in folder.glob("*/*")]
    return [path / row["data"] for path, row in known if row["key"] == key]
