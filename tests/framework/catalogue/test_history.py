"""History: what ended long ago moves to the archive of its catalogue, and nothing is lost."""

import os
import signal
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec
import pytest

from catalogue_files import harm_of, transacted, within
from crashing.looking import command
from holdfast.capacity import ledger
from holdfast.catalogue.archive import archive_of
from holdfast.catalogue.observer import observe
from holdfast.catalogue.port import Archived, Catalogue, Retention, Transaction
from holdfast.cli.archive import run_archive
from holdfast.cli.operations import run_operations
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import HoldfastError
from holdfast.model.rows import Involved, LedgerEntry, Operation, Step, Volume
from holdfast.model.state_tables import Event
from holdfast.operations.journal import unfinished

Check = Callable[[Catalogue], Awaitable[None]]
Run = Callable[[Check], None]
LONG_AGO_S = 1000.0
KEEP_TEN = Retention(at_least=10)
PLAN = msgspec.Raw(b'[{"kind":"noop","version":1,"inputs":{}}]')


def ended(
    tx: Transaction,
    name: str,
    ended_s: float,
    *involved: Involved,
    event: Event = Event.OPERATION_SUCCEEDED,
) -> None:
    """An operation with one step that has ended."""
    row = tx.insert(
        Operation(
            id=name,
            kind="noop",
            subject=involved[0].id if involved else "nothing",
            plan=PLAN,
            involved=involved,
            accepted_s=ended_s,
        )
    )
    tx.insert(Step(id=f"{name}.000", operation=name, index=0))
    tx.fire(row, event, ended_s=ended_s)


def fill(tx: Transaction, count: int = 30, ended_s: float = LONG_AGO_S) -> None:
    for number in range(count):
        ended(tx, f"op-{number:04d}", ended_s)


def operations(tx: Transaction) -> list[str]:
    return [row.id for row in tx.select(Operation)]


async def archive_rows(catalogue: Catalogue) -> list[Archived]:
    found: list[Archived] = []
    while page := await catalogue.archived(after=found[-1].number if found else 0, limit=7):
        found += page
    return found


async def archived_ids(catalogue: Catalogue) -> list[str]:
    return [one.operation.id for one in await archive_rows(catalogue)]


def test_what_ended_long_ago_moves_to_the_archive(run: Run) -> None:
    """The oldest move, in their order, with their steps; so many stay in any case."""

    async def check(catalogue: Catalogue) -> None:
        await catalogue.transact(fill)
        before = await catalogue.transact(lambda tx: tx.get(Operation, "op-0003"))
        all_but_ten = Retention(days=-1, at_least=10)
        assert await catalogue.archive(all_but_ten) == 20
        assert await catalogue.archive(all_but_ten) == 0

        expected = [f"op-{number:04d}" for number in range(30)]
        assert expected[20:] == await catalogue.transact(operations)
        rows = await archive_rows(catalogue)
        assert expected[:20] == [one.operation.id for one in rows]
        assert msgspec.json.encode(before) == msgspec.json.encode(rows[3].operation)
        assert [f"{name}.000" for name in expected[:20]] == [one.steps[0].id for one in rows]
        steps = await catalogue.transact(lambda tx: tx.select(Step))
        assert [f"{name}.000" for name in expected[20:]] == [step.id for step in steps]

    run(check)


def test_what_ended_lately_stays(run: Run) -> None:
    """Operations that ended within the days to be kept stay, however many."""

    async def check(catalogue: Catalogue) -> None:
        now = runtime().wall_clock()
        # The clock of virtual time starts at the epoch.
        await catalogue.transact(partial(fill, ended_s=now))
        assert await catalogue.archive(Retention(at_least=0)) == 0
        assert len(await catalogue.transact(operations)) == 30
        assert await archive_rows(catalogue) == []
        assert await catalogue.archive(Retention(days=-1, at_least=29)) == 1

    run(check)


EVERYTHING = Retention(days=-1, at_least=0)
"""Also in virtual time, whose clock starts at the epoch."""


def test_what_is_not_settled_stays(run: Run) -> None:
    """An operation without an outcome stays, and one whose leftovers still hold capacity."""

    async def check(catalogue: Catalogue) -> None:
        def prepare(tx: Transaction) -> None:
            tx.insert(Operation(id="running", kind="k", subject="s", plan=PLAN))
            fill(tx, count=5, ended_s=0.0)
            ended(tx, "owed", 0.0, event=Event.OPERATION_FAILED_DIRTY)
            ledger.open_account(tx, "st")
            ledger.reserve(tx, store="st", holder="owed", amount_bytes=1)
            ended(tx, "owed by older rules", 0.0, event=Event.OPERATION_FAILED_DIRTY)
            older = "owed by older rules"
            tx.insert(LedgerEntry(id=older, store="st", holder=older, amount_bytes=1))
            ended(tx, "dirty", 0.0, event=Event.OPERATION_FAILED_DIRTY)

        await catalogue.transact(prepare)
        assert await catalogue.archive(EVERYTHING) == 6
        assert await catalogue.transact(operations) == ["owed", "owed by older rules", "running"]
        assert [one.id for one in await catalogue.transact(unfinished)] == ["running"]

    run(check)


def test_rows_that_are_gone_go_with_their_last_operation(run: Run) -> None:
    """An expunged row leaves with the last operation about it; a living one stays."""

    def volume(tx: Transaction, name: str, *events: Event) -> None:
        row = tx.insert(Volume(id=name, name=name, store="st", key=name, size_bytes=1))
        for event in events:
            row = tx.fire(row, event)

    created = (Event.CREATE_REQUESTED, Event.OPERATION_SUCCEEDED)
    deleted = (*created, Event.EXPUNGE_REQUESTED, Event.OPERATION_SUCCEEDED)

    async def check(catalogue: Catalogue) -> None:
        now = runtime().wall_clock()

        def prepare(tx: Transaction) -> None:
            volume(tx, "living", *created)
            volume(tx, "gone", *deleted)
            volume(tx, "lately gone", *deleted)
            for name in ("living", "gone", "lately gone"):
                ended(tx, f"create {name}", now - 100.0, Involved("volumes", name, "Creating"))
            ended(tx, "delete gone", now - 50.0, Involved("volumes", "gone", "Expunging"))
            ended(tx, "delete it", now, Involved("volumes", "lately gone", "Expunging"))

        await catalogue.transact(prepare)
        assert await catalogue.archive(Retention(days=20 / 86400, at_least=0)) == 4
        rows = await catalogue.transact(lambda tx: tx.select(Volume))
        assert [row.id for row in rows] == ["lately gone", "living"]
        assert await catalogue.transact(operations) == ["delete it"]

    run(check)


def test_a_damaged_row_keeps_no_history_back(tmp_path: Path) -> None:
    """Old operations move although a row that one of them held cannot be read; it stays."""
    path = tmp_path / "zone.db"

    def prepare(tx: Transaction) -> None:
        tx.insert(Volume(id="torn", name="torn", store="st", key="torn", size_bytes=1))
        ended(tx, "create torn", 0.0, Involved("volumes", "torn", "Creating"))
        fill(tx, count=5, ended_s=0.0)

    transacted(path, prepare)
    with closing(sqlite3.connect(path)) as catalogue, catalogue:
        catalogue.execute("UPDATE volumes SET body = '{}'")

    assert within(path, lambda catalogue: catalogue.archive(Retention(days=1, at_least=0))) == 6
    assert transacted(path, lambda tx: [one.row_id for one in tx.damaged(Volume)]) == ["torn"]


def test_opening_a_catalogue_moves_what_is_old(tmp_path: Path) -> None:
    """Past 1,000 operations of more than 30 days ago an opening moves the rest, 0600."""
    path = tmp_path / "zone.db"
    transacted(path, partial(fill, count=1050))

    assert len(transacted(path, operations)) == 1000
    assert len(within(path, archived_ids)) == 50
    assert stat.S_IMODE(archive_of(path).stat().st_mode) == 0o600
    assert harm_of(path) == ()


class Kills:
    """Ends the process at the n-th point of its commits."""

    def __init__(self, at: int) -> None:
        self.left = at

    def before(self) -> None:
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    after = before


async def move(catalogue: Catalogue) -> int:
    return await catalogue.archive(KEEP_TEN)


def die_moving(path: Path, point: int) -> bool:
    """Move history in a process that dies at a point; whether there was such a point."""
    child = os.fork()
    if not child:
        code = 70
        try:

            async def use(catalogue: Catalogue) -> None:
                with observe(Kills(point)):
                    await move(catalogue)

            within(path, use)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return status != 0


@pytest.mark.slow
def test_a_kill_at_any_point_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Wherever a move dies, every operation is in the catalogue or the archive, and a later move
    ends what it began.
    """
    expected = {f"op-{number:04d}" for number in range(30)}
    points = 0
    while True:
        path = tmp_path / f"zone-{points}.db"
        transacted(path, fill)
        if not die_moving(path, points):
            break
        here, there = transacted(path, operations), within(path, archived_ids)
        assert expected == {*here, *there}
        assert harm_of(path) == ()
        within(path, move)
        here, moved = transacted(path, operations), within(path, archived_ids)
        assert (len(here), len(moved)) == (10, 20)
        assert expected == {*here, *moved}
        assert harm_of(path) == ()
        points += 1

    assert points == 4


def test_an_archive_that_was_changed_is_named(tmp_path: Path) -> None:
    """A row of the archive that is not what was written is damage of the catalogue."""
    path = tmp_path / "zone.db"
    transacted(path, fill)
    within(path, move)
    connection = sqlite3.connect(archive_of(path), isolation_level=None)
    connection.execute("UPDATE archived SET body = replace(body, 'noop', 'boom') WHERE number = 5")
    connection.close()

    found = harm_of(path)
    assert not isinstance(found, HoldfastError)
    assert [(one.what, one.key) for one in found] == [("archived operations", "op-0002")]


@pytest.mark.parametrize("odd", ["link", "fifo", "text", "other"])
def test_what_is_no_archive_of_it_is_left_alone(tmp_path: Path, odd: str) -> None:
    """Nothing moves to a file that is something else's, and everybody goes on."""
    path, archive = tmp_path / "zone.db", tmp_path / "zone.db.archive"
    transacted(path, fill)
    target = tmp_path / "precious"
    target.write_text("precious")
    if odd == "link":
        archive.symlink_to(target)
    elif odd == "fifo":
        os.mkfifo(archive)
    elif odd == "text":
        archive.write_text("somebody's notes, and many of them")
    else:
        transacted(tmp_path / "other.db", fill)
        within(tmp_path / "other.db", move)
        archive_of(tmp_path / "other.db").rename(archive)

    async def use(catalogue: Catalogue) -> None:
        with pytest.raises(HoldfastError, match=r"zone\.db\.archive"):
            await catalogue.archive(KEEP_TEN)
        assert len(await catalogue.transact(operations)) == 30

    within(path, use)
    assert target.read_text() == "precious"
    assert harm_of(path) != ()


def test_old_operations_are_shown_with_the_archive(tmp_path: Path) -> None:
    """``holdfast archive`` moves, ``operations`` shows what is left, with ``--archived`` all."""
    path = tmp_path / "zone.db"
    transacted(path, fill)
    code, told = command(run_archive, path, days=30.0, at_least=10)
    assert (code, told) == (0, f"20 operations moved to {archive_of(path)}\n")
    assert command(run_archive, path, days=30.0, at_least=10)[1].startswith("nothing is old")

    _, shown = command(run_operations, path)
    assert shown.endswith("10 operations\n")
    _, shown = command(run_operations, path, archived=True)
    assert shown.endswith("30 operations\n")
    assert [line.split()[2] for line in shown.splitlines()[:-1]] == [
        f"op-{number:04d}" for number in range(30)
    ]
