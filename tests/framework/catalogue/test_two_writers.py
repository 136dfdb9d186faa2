"""Two programs that write to the same tables: what one keeps in memory never hides the other's."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from holdfast.catalogue.committer import BatchCommitter
from holdfast.catalogue.port import StaleVersion, Transaction
from holdfast.catalogue.schema import METADATA, TABLES
from holdfast.catalogue.sql import SqlStorage
from holdfast.errors import HoldfastError
from holdfast.model.rows import Volume

KEY = 7


def explain(error: Exception, committing: bool) -> HoldfastError:
    raise AssertionError(f"{error} (committing: {committing})")


@contextmanager
def writer(path: Path) -> Iterator[BatchCommitter]:
    """A program with a connection, and rows in memory, of its own."""
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None})
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    with engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.text_factory = bytes
        yield BatchCommitter(SqlStorage(connection, TABLES, explain, key=KEY, watch=lambda: None))
    engine.dispose()


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[tuple[BatchCommitter, BatchCommitter]]:
    """Two of them, on one file that holds one volume, which both have read."""
    path = tmp_path / "rows.db"
    engine = sa.create_engine(f"sqlite:///{path}")
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
    writers: tuple[BatchCommitter, BatchCommitter],
) -> None:
    """A row that was fetched anew is not the one that was kept."""
    one, other = writers
    answer(other, grow)

    assert [row.size_bytes for row in answer(one, lambda tx: tx.select(Volume, store="s"))] == [10]
    assert answer(one, size) == 10
    assert [row.size_bytes for row in answer(one, lambda tx: tx.page(Volume, limit=9))] == [10]


def test_a_function_that_read_what_is_no_longer_so_is_run_again(
    writers: tuple[BatchCommitter, BatchCommitter],
) -> None:
    """Whoever is second builds on what the first wrote; nothing is lost, nobody is told."""
    one, other = writers

    sizes = [answer(program, grow) for program in (other, one, other, one)]

    assert sizes == [10, 100, 1000, 10000]


def test_a_batch_with_one_that_read_what_is_no_longer_so_is_run_again_one_by_one(
    writers: tuple[BatchCommitter, BatchCommitter],
) -> None:
    """The others of its commit do not suffer."""
    one, other = writers
    answer(other, grow)

    outcomes = one.run([grow, size, grow])

    assert [outcome.value for outcome in outcomes] == [100, 100, 1000]


def test_a_row_that_was_read_in_an_earlier_transaction_is_refused_as_before(
    writers: tuple[BatchCommitter, BatchCommitter],
) -> None:
    """A decision on old knowledge is not made again by us."""
    one, other = writers
    volume = answer(one, lambda tx: tx.get(Volume, "v"))
    answer(other, grow)
    answer(one, lambda tx: tx.select(Volume, store="s"))

    with pytest.raises(StaleVersion):
        answer(one, lambda tx: tx.update(volume))
