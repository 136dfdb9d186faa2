"""A storage that fails: everybody who waits is told, and nobody else is harmed."""

import asyncio
import gc
from collections.abc import Mapping
from functools import partial

from holdfast.catalogue.buffer import Writes
from holdfast.catalogue.codec import Document, as_row
from holdfast.catalogue.committer import CatalogueFailed, GroupCommitCatalogue
from holdfast.catalogue.port import RowDamaged, Transaction
from holdfast.errors import UsageError
from holdfast.model.rows import Row, Zone
from holdfast.runtime import InlineLane


class Rows:
    """Rows in a dictionary; raises what it is told to, once, at the end or in a commit."""

    def __init__(self) -> None:
        self.rows: dict[tuple[type[Row], str], Row] = {}
        self.at_end: BaseException | None = None
        self.in_commit: BaseException | None = None

    def document(self, row: Row) -> Document:
        return as_row(row)

    def find(self, kind: type[Row], row_id: str) -> Row | None:
        return self.rows.get((kind, row_id))

    def select(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[Row]:
        found = [row for (table, _), row in self.rows.items() if table is kind]
        return [row for row in found if all(getattr(row, c) == v for c, v in equals.items())]

    def intact(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[Row]:
        return self.select(kind, equals)

    def damaged(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[RowDamaged]:
        del kind, equals
        return []

    def page(
        self, kind: type[Row], equals: Mapping[str, str | int], after: str, limit: int
    ) -> list[Row]:
        found = sorted(self.select(kind, equals), key=lambda row: row.id)
        return [row for row in found if row.id > after][:limit]

    def commit(self, writes: Writes) -> None:
        failure, self.in_commit = self.in_commit, None
        if failure is not None:
            raise failure
        for kind, rows in writes.items():
            for row_id, write in rows.items():
                if write.document is not None:
                    self.rows[kind, row_id] = write.document.row

    def end(self) -> None:
        failure, self.at_end = self.at_end, None
        if failure is not None:
            raise failure


def insert(tx: Transaction, number: int) -> str:
    if number == 2:
        raise UsageError("mine")
    return tx.insert(Zone(id=f"z{number}", name=f"z{number}")).id


async def four(storage: Rows) -> list[object]:
    """What four transactions that are committed together come to, and one after them."""
    catalogue = GroupCommitCatalogue(storage, InlineLane())
    asked = [catalogue.transact(partial(insert, number=number)) for number in range(4)]
    found: list[object] = list(await asyncio.gather(*asked, return_exceptions=True))
    found.append(await catalogue.transact(partial(insert, number=9)))
    await catalogue.aclose()
    return found


def kinds(found: list[object]) -> list[str]:
    return [one if isinstance(one, str) else type(one).__name__ for one in found]


def test_an_end_that_fails_is_told_to_all_who_wait() -> None:
    """Nobody is cancelled, each gets an error that says what failed, and later work goes on."""
    storage = Rows()
    storage.at_end = OSError("the cable")

    found = asyncio.run(four(storage))

    failed = CatalogueFailed.__name__
    assert kinds(found) == [failed, failed, "UsageError", failed, "z9"]
    assert "OSError: the cable" in str(found[0])


def test_an_end_that_fails_after_a_commit_that_failed_is_told_to_all() -> None:
    """Both at once: still everybody has an error, and later work goes on."""
    storage = Rows()
    storage.in_commit, storage.at_end = ValueError("first"), OSError("second")

    found = asyncio.run(four(storage))

    assert kinds(found) == [CatalogueFailed.__name__] * 4 + ["z9"]


def test_what_ends_a_thread_is_raised_where_the_commit_was_waited_for() -> None:
    """Even what is no ordinary exception reaches those who wait, and only them."""

    class Ended(BaseException):
        pass

    storage = Rows()
    storage.in_commit = Ended()

    assert kinds(asyncio.run(four(storage))) == ["Ended"] * 4 + ["z9"]


def test_who_is_cancelled_while_closing_cancels_no_commit() -> None:
    """A transaction that waits is committed, although the one who closes is cancelled."""

    async def story() -> list[object]:
        storage = Rows()
        catalogue = GroupCommitCatalogue(storage, InlineLane())
        asked = asyncio.ensure_future(catalogue.transact(partial(insert, number=1)))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(catalogue.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        return [await asked, [row.id for row in storage.rows.values()]]

    assert asyncio.run(story()) == ["z1", ["z1"]]


def test_when_all_who_wait_give_up_nothing_is_committed_and_nothing_breaks() -> None:
    """The commit that finds nobody left ends quietly, and serves whoever comes meanwhile."""

    async def story() -> tuple[list[object], list[dict[str, object]]]:
        problems: list[dict[str, object]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, problem: problems.append(problem))
        catalogue = GroupCommitCatalogue(Rows(), InlineLane())
        asked = [
            asyncio.ensure_future(catalogue.transact(partial(insert, number=number)))
            for number in (0, 1)
        ]
        await asyncio.sleep(0)
        for one in asked:
            one.cancel()
        later = asyncio.ensure_future(catalogue.transact(partial(insert, number=9)))
        found: list[object] = list(await asyncio.gather(*asked, later, return_exceptions=True))
        await catalogue.aclose()
        gc.collect()
        return found, problems

    found, problems = asyncio.run(story())

    assert kinds(found) == ["CancelledError", "CancelledError", "z9"]
    assert problems == []
