"""A storage that fails: everybody who waits is told, and nobody else is harmed."""

import asyncio
import gc
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

import pytest

from holdfast.catalogue.codec import Document, as_row
from holdfast.catalogue.committer import CatalogueFailed, GroupCommitCatalogue
from holdfast.catalogue.port import RowDamaged, Transaction
from holdfast.catalogue.transaction import Writes
from holdfast.concurrency.runtime import InlineLane
from holdfast.contract.errors import UsageError
from holdfast.model.rows import Row, Zone

P = ParamSpec("P")
T = TypeVar("T")


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
    async with GroupCommitCatalogue(storage, InlineLane()).opened() as catalogue:
        asked = [catalogue.transact(partial(insert, number=number)) for number in range(4)]
        found: list[object] = list(await asyncio.gather(*asked, return_exceptions=True))
        found.append(await catalogue.transact(partial(insert, number=9)))
    return found


async def keep_open(catalogue: GroupCommitCatalogue, opened: asyncio.Event) -> None:
    """Own a catalogue until cancelled."""
    async with catalogue.opened():
        opened.set()
        await asyncio.Event().wait()


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


def test_a_commit_that_ends_as_if_cancelled_cancels_nobody() -> None:
    """Nobody asked for it: those who wait have an error with its reason, and later work goes on."""
    storage = Rows()
    storage.in_commit = asyncio.CancelledError()

    found = asyncio.run(four(storage))

    assert kinds(found) == [CatalogueFailed.__name__] * 4 + ["z9"]


def test_who_is_cancelled_while_closing_cancels_no_commit() -> None:
    """A transaction that waits is committed, although the one who closes is cancelled."""

    async def story() -> tuple[list[str], bool, list[str]]:
        storage, opened = Rows(), asyncio.Event()
        catalogue = GroupCommitCatalogue(storage, InlineLane())
        owner = asyncio.create_task(keep_open(catalogue, opened))
        await opened.wait()
        asked = asyncio.ensure_future(catalogue.transact(partial(insert, number=1)))
        await asyncio.sleep(0)
        owner.cancel()
        await asyncio.wait([owner])
        return [asked.result()], owner.cancelled(), [row.id for row in storage.rows.values()]

    assert asyncio.run(story()) == (["z1"], True, ["z1"])


def test_when_all_who_wait_give_up_nothing_is_committed_and_nothing_breaks() -> None:
    """The commit that finds nobody left ends quietly, and serves whoever comes meanwhile."""

    async def story() -> tuple[list[object], list[dict[str, object]]]:
        problems: list[dict[str, object]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, problem: problems.append(problem))
        async with GroupCommitCatalogue(Rows(), InlineLane()).opened() as catalogue:
            asked = [
                asyncio.ensure_future(catalogue.transact(partial(insert, number=number)))
                for number in (0, 1)
            ]
            await asyncio.sleep(0)
            for one in asked:
                one.cancel()
            later = asyncio.ensure_future(catalogue.transact(partial(insert, number=9)))
            found: list[object] = list(await asyncio.gather(*asked, later, return_exceptions=True))
        gc.collect()
        return found, problems

    found, problems = asyncio.run(story())

    assert kinds(found) == ["CancelledError", "CancelledError", "z9"]
    assert problems == []


class LosesAnswers(InlineLane):
    """A defect: nothing comes back."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        await super().run(function, *args, **kwargs)
        nothing: Any = []
        return cast("T", nothing)


def test_a_defect_of_the_committing_ends_its_owner_and_is_told_to_all_who_wait() -> None:
    """The owner is not left working on a catalogue that answers nobody."""

    async def story() -> tuple[list[object], str]:
        catalogue = GroupCommitCatalogue(Rows(), LosesAnswers())
        opened = asyncio.Event()
        owner = asyncio.create_task(keep_open(catalogue, opened))
        await opened.wait()
        asked = [catalogue.transact(partial(insert, number=number)) for number in range(3)]
        found: list[object] = list(await asyncio.gather(*asked, return_exceptions=True))
        await asyncio.wait([owner])
        with pytest.raises(UsageError, match="closed"):
            await catalogue.transact(partial(insert, number=9))
        return found, type(owner.exception()).__name__

    found, owners = asyncio.run(story())

    assert kinds(found) == [CatalogueFailed.__name__] * 3
    assert owners == "ValueError"


def test_what_its_user_raises_comes_out_of_a_catalogue_as_it_is() -> None:
    """In no group, and after what waits was committed."""

    async def use(storage: Rows) -> None:
        async with GroupCommitCatalogue(storage, InlineLane()).opened() as catalogue:
            asked.append(asyncio.ensure_future(catalogue.transact(partial(insert, number=1))))
            await asyncio.sleep(0)
            raise KeyError("mine")

    async def story() -> list[str]:
        storage = Rows()
        with pytest.raises(KeyError, match="mine"):
            await use(storage)
        return [asked[0].result(), *(row.id for row in storage.rows.values())]

    asked: list[asyncio.Future[str]] = []
    assert asyncio.run(story()) == ["z1", "z1"]


def test_a_catalogue_is_used_only_while_it_is_open() -> None:
    """Before and after that, and by a second owner, it is refused; opened again it goes on."""

    async def story() -> list[str]:
        storage = Rows()
        catalogue = GroupCommitCatalogue(storage, InlineLane())
        for number in (3, 4):
            with pytest.raises(UsageError, match="closed"):
                await catalogue.transact(partial(insert, number=number))
            async with catalogue.opened():
                await catalogue.transact(partial(insert, number=number))
                with pytest.raises(UsageError, match="open already"):
                    await catalogue.opened().__aenter__()
        return [row.id for row in storage.rows.values()]

    assert asyncio.run(story()) == ["z3", "z4"]


def test_no_task_is_left_where_a_catalogue_is_closed() -> None:
    """Neither one that works nor one that waits for work."""

    async def story() -> list[int]:
        left: list[int] = []
        for asked in (0, 1):
            async with GroupCommitCatalogue(Rows(), InlineLane()).opened() as catalogue:
                for number in range(asked):
                    await catalogue.transact(partial(insert, number=number))
                left.append(len(asyncio.all_tasks()))
            left.append(len(asyncio.all_tasks()))
        return left

    assert asyncio.run(story()) == [2, 1, 2, 1]


def test_the_end_of_the_loop_ends_whoever_waits_for_a_commit() -> None:
    """Nothing is waited for that will not come any more."""

    class Stuck(InlineLane):
        async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
            await asyncio.Event().wait()
            return await super().run(function, *args, **kwargs)

    async def story() -> list[asyncio.Task[Any]]:
        catalogue = GroupCommitCatalogue(Rows(), Stuck())
        opened = asyncio.Event()
        owner = asyncio.create_task(keep_open(catalogue, opened))
        await opened.wait()
        asked = asyncio.create_task(catalogue.transact(partial(insert, number=1)))
        await asyncio.sleep(0)
        return [owner, asked]

    assert [task.cancelled() for task in asyncio.run(story())] == [True, True]
