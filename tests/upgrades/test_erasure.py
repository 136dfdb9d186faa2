"""Secrets that lay in rows of an earlier catalogue are in no byte of it once it was opened."""

import asyncio
import os
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.catalogue import observer
from holdfast.catalogue.digests import digest_of, table_seed
from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.cli.open_zone import open_zone
from holdfast.concurrency.runtime import RealRuntime, use_runtime
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.model.rows import Store, Zone
from upgrade_fixtures import CATALOGUE, names, unpack

CANARY = "canary-of-a-secret-in-a-row-from-before"
SECRETS = f"{CATALOGUE}.secrets"
SPREAD = 40


def with_secrets(folder: Path) -> None:
    """Give the stores of a fixture literal secrets, long ones among them, again and again: traces
    are left in freed pages, in cells that were moved, and in the WAL.
    """
    with closing(sqlite3.connect(folder / CATALOGUE, isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete=OFF")
        columns = {row[1] for row in database.execute("PRAGMA table_info(stores)")}
        for number in range(SPREAD):
            token = CANARY * (1 + 200 * (number % 2)) + str(number)
            for row_id, body in database.execute("SELECT id, body FROM stores").fetchall():
                row: dict[str, Any] = msgspec.json.decode(body)
                row |= {"provider": "memory", "config": {"space": "none", "token": token}}
                written = msgspec.json.encode(row)
                database.execute(
                    "UPDATE stores SET body = ? WHERE id = ?", (written.decode(), row_id)
                )
                if "digest" in columns:
                    (key,) = database.execute("SELECT key FROM catalogue").fetchone()
                    digest = digest_of(written, table_seed(key, "stores"))
                    database.execute("UPDATE stores SET digest = ? WHERE id = ?", (digest, row_id))
    assert holding(folder) != []


def holding(folder: Path) -> list[str]:
    """The files of the catalogue that hold the secret, whole or in part."""
    part = CANARY[:16].encode()
    return sorted(
        file.name
        for file in folder.iterdir()
        if file.is_file() and file.name != SECRETS and part in file.read_bytes()
    )


async def open_and_look(folder: Path) -> list[str]:
    """Where the secret is while the zone is open, when the rows refer to it already."""
    async with open_zone(folder / CATALOGUE) as orchestrator:
        stores = await orchestrator.catalogue.transact(lambda tx: tx.select(Store))
        assert stores
        assert all(b"kept:" in bytes(store.config) for store in stores)
        return holding(folder)


@pytest.fixture(params=names())
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An earlier version's zone whose rows hold secrets."""
    unpack(request.param, tmp_path)
    with_secrets(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_an_opened_catalogue_of_before_holds_no_secret(folder: Path) -> None:
    """In catalogue, WAL and index there is nothing of it, while it is open and afterwards."""
    assert asyncio.run(open_and_look(folder)) == []
    assert holding(folder) == []
    assert CANARY.encode() in (folder / SECRETS).read_bytes()


class Killing:
    """Ends the process at one of its commits, before it is written or after."""

    def __init__(self, commit: int, *, written: bool) -> None:
        self._left = commit
        self._written = written

    def before(self) -> None:
        self._left -= 1
        if not self._left and not self._written:
            os.kill(os.getpid(), signal.SIGKILL)

    def after(self) -> None:
        if not self._left and self._written:
            os.kill(os.getpid(), signal.SIGKILL)


def opened_by_one_who_is_killed(folder: Path, commit: int, *, written: bool) -> bool:
    """Whether the process that opens the zone comes to that commit, where it dies."""
    child = os.fork()
    if not child:
        code = 70
        try:
            # The threads of the parent's are not here.
            dying = Killing(commit, written=written)
            with use_runtime(RealRuntime()), observer.observe(dying):
                asyncio.run(open_and_look(folder))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, -signal.SIGKILL}
    return code != 0


@pytest.mark.slow
@pytest.mark.parametrize("written", [False, True])
def test_what_was_owed_is_owed_after_a_kill(folder: Path, written: bool) -> None:
    """Whoever dies at whatever commit of it, the next who opens the catalogue erases the secret."""
    commit = 1
    while opened_by_one_who_is_killed(folder, commit, written=written):
        commit += 1
    assert commit > 1
    assert asyncio.run(open_and_look(folder)) == []
    assert holding(folder) == []


def test_a_catalogue_is_written_anew_once(tmp_path: Path) -> None:
    """A new one owes nothing, and one that was erased owes nothing until something is taken out."""

    async def story() -> list[bool]:
        async with open_catalogue(tmp_path / "new.sqlite") as catalogue:
            erased = [await catalogue.erase()]
            await catalogue.owe_erasure()
        async with open_catalogue(tmp_path / "new.sqlite") as catalogue:
            return [*erased, await catalogue.erase(), await catalogue.erase()]

    assert asyncio.run(story()) == [False, True, False]


def test_what_somebody_reads_stays_owed(tmp_path: Path) -> None:
    """While another program reads the file its WAL stays; that is said, and done when it ended."""
    path = tmp_path / "zone.sqlite"

    async def story() -> bool:
        async with open_catalogue(path) as catalogue:
            await catalogue.owe_erasure()
            with closing(sqlite3.connect(path, isolation_level=None)) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM zones").fetchone()
                with pytest.raises(EnvironmentUnavailable, match="reads it"):
                    await catalogue.erase()
                reader.execute("COMMIT")
            return await catalogue.erase()

    assert asyncio.run(story())


def test_an_erasure_that_fills_the_disk_gives_its_space_back(tmp_path: Path) -> None:
    """It is owed still, what it wrote in vain is gone from the WAL, and the zone works on."""
    path = tmp_path / "zone.sqlite"

    def rows(tx: Transaction) -> None:
        for number in range(500):
            tx.insert(Zone(id=f"zone-{number:03d}", name="n" * 2000))

    async def story() -> bool:
        async with open_catalogue(path) as catalogue:
            await catalogue.transact(rows)
            await catalogue.owe_erasure()
            assert await catalogue.erase()  # so that it becomes no smaller below
            await catalogue.owe_erasure()
        async with open_catalogue(path) as catalogue:
            # The new file fits, and the WAL of as many pages with a head each does not.
            with files_of_at_most(path.stat().st_size + 1024):
                with pytest.raises(EnvironmentUnavailable):
                    await catalogue.erase()
                assert path.with_name(f"{path.name}-wal").stat().st_size == 0
                await catalogue.transact(lambda tx: tx.insert(Zone(id="later", name="z")))
            return await catalogue.erase()

    assert asyncio.run(story())


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond that, as on a disk that is full."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
