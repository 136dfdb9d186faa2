"""Two programs that write to the same tables: what one keeps in memory never hides the other's."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from holdfast.catalogue.committer import BatchCommitter
from holdfast.catalogue.port import StaleVersion, Transaction
from holdfast.catalogue.schema import METADATA, TABLES
from holdfast.catalogue.sql import SqlStorage
from holdfast.contract.errors import HoldfastError
from holdfast.model.rows import LedgerEntry, Volume

KEY = 7


def explain(error: Exception, committing: bool) -> HoldfastError:
    assert getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY_SNAPSHOT", (error, committing)
    return StaleVersion(str(error))


class DataVersion:
    """What a connection knows of the commits of others."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver
        self._known = 0
        self.fails = False

    def changed(self) -> bool:
        if self.fails:
            self.fails = False
            raise OSError("nobody can be asked")
        before = self._known
        ((self._known,),) = self._driver.execute("PRAGMA data_version").fetchall()
        return before != self._known


def begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


class Program(BatchCommitter):
    """One of them, and what it knows of the other."""

    def __init__(self, storage: SqlStorage, version: DataVersion) -> None:
        super().__init__(storage)
        self.version = version


@contextmanager
def writer(path: Path) -> Iterator[Program]:
    """A program with a connection, and rows in memory, of its own."""
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None})
    event.listen(engine, "begin", begin)
    with engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.text_factory = bytes
        version = DataVersion(driver)
        storage = SqlStorage(
            connection, TABLES, explain, key=KEY, watch=lambda: None, changed=version.changed
        )
        yield Program(storage, version)
    engine.dispose()


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[tuple[Program, Program]]:
    """Two of them, on one file that holds one volume, which both have read."""
    path = tmp_path / "rows.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    METADATA.create_all(engine)
    engine.dispose()
    with ExitStack() as stack:
        one, other = (stack.enter_context(writer(path)) for _ in range(2))
        volume = Volume(id="v", name="v", store="s", key="v.1", size_bytes=1)
        answer(one, lambda tx: tx.insert(volume))
        for program in (one, other):
            answer(program, size)
        yield one, other


def answer(program: BatchCommitter, function: Callable[[Transaction], Any]) -> Any:
    """What one transaction comes to."""
    (outcome,) = program.run([function])
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


def size(tx: Transaction) -> int:
    return tx.get(Volume, "v").size_bytes


def grow(tx: Transaction) -> int:
    """Read and write in one function, as all orchestration does."""
    volume = tx.get(Volume, "v")
    return tx.update(msgspec.structs.replace(volume, size_bytes=volume.size_bytes * 10)).size_bytes


def test_a_select_shows_what_another_program_wrote(
    writers: tuple[Program, Program],
) -> None:
    """A row that was fetched anew is not the one that was kept."""
    one, other = writers
    answer(other, grow)

    assert [row.size_bytes for row in answer(one, lambda tx: tx.select(Volume, store="s"))] == [10]
    assert answer(one, size) == 10
    assert [row.size_bytes for row in answer(one, lambda tx: tx.page(Volume, limit=9))] == [10]


def test_a_function_that_read_what_is_no_longer_so_is_run_again(
    writers: tuple[Program, Program],
) -> None:
    """Whoever is second builds on what the first wrote; nothing is lost, nobody is told."""
    one, other = writers

    sizes = [answer(program, grow) for program in (other, one, other, one)]

    assert sizes == [10, 100, 1000, 10000]


def test_a_batch_with_one_that_read_what_is_no_longer_so_is_run_again_one_by_one(
    writers: tuple[Program, Program],
) -> None:
    """The others of its commit do not suffer."""
    one, other = writers
    answer(other, grow)

    outcomes = one.run([grow, size, grow])

    assert [outcome.value for outcome in outcomes] == [100, 100, 1000]


def look_then_grow(tx: Transaction) -> int:
    """Read a row twice, by its id and by a column, and write what the first told."""
    volume = tx.get(Volume, "v")
    assert tx.select(Volume, store="s") == [volume]
    return tx.update(msgspec.structs.replace(volume, size_bytes=volume.size_bytes * 10)).size_bytes


def grow_then_look(tx: Transaction) -> int:
    grown = grow(tx)
    assert [row.size_bytes for row in tx.select(Volume, store="s")] == [grown]
    return grown


@pytest.mark.parametrize("function", [grow, look_then_grow, grow_then_look])
def test_nothing_is_lost_however_a_function_reads(
    writers: tuple[Program, Program], function: Callable[[Transaction], int]
) -> None:
    """What one program keeps in memory is of the moment at which its transaction began."""
    one, other = writers
    answer(other, grow)

    assert (answer(one, function), answer(other, size)) == (100, 100)


@pytest.mark.parametrize("function", [grow, look_then_grow, grow_then_look])
def test_nothing_is_lost_that_is_written_in_the_middle(
    writers: tuple[Program, Program], function: Callable[[Transaction], int]
) -> None:
    """Another program commits after a function has read and before it is committed."""
    one, other = writers
    others = iter([grow])

    def disturbed(tx: Transaction) -> int:
        grown = function(tx)
        for write in others:
            answer(other, write)
        return grown

    assert (answer(one, disturbed), answer(other, size)) == (100, 100)


def raise_to_99(tx: Transaction) -> LedgerEntry:
    return tx.update(msgspec.structs.replace(tx.get(LedgerEntry, "e"), amount_bytes=99))


def test_a_row_that_another_program_changed_is_not_removed(
    writers: tuple[Program, Program],
) -> None:
    """What was to be dropped is looked at again; here it is worth keeping now."""
    one, other = writers
    entry = LedgerEntry(id="e", store="s", holder="h", amount_bytes=1)
    answer(one, lambda tx: tx.insert(entry))
    answer(other, lambda tx: tx.get(LedgerEntry, "e"))
    others = iter([raise_to_99])

    def drop_if_small(tx: Transaction) -> bool:
        found = tx.get(LedgerEntry, "e")
        if found.amount_bytes > 1:
            return False
        tx.remove(found)
        for change in others:
            answer(other, change)
        tx.select(LedgerEntry, store="s")
        return True

    assert answer(one, drop_if_small) is False
    assert answer(other, lambda tx: tx.get(LedgerEntry, "e")).amount_bytes == 99


def test_a_row_that_was_read_in_an_earlier_transaction_is_refused_as_before(
    writers: tuple[Program, Program],
) -> None:
    """A decision on old knowledge is not made again by us."""
    one, other = writers
    volume = answer(one, lambda tx: tx.get(Volume, "v"))
    answer(other, grow)
    answer(one, lambda tx: tx.select(Volume, store="s"))

    with pytest.raises(StaleVersion):
        answer(one, lambda tx: tx.update(volume))


def test_a_batch_that_cannot_see_what_changed_reads_nothing_that_was_kept(
    writers: tuple[Program, Program],
) -> None:
    """The first function is told; the second begins anew, and sees what is there."""
    one, other = writers
    answer(other, grow)
    one.version.fails = True

    failed, seen = one.run([size, size])

    assert (type(failed.error), seen.value, answer(one, size)) == (OSError, 10, 10)
