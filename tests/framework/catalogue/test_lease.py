"""A row of the catalogue's own bookkeeping that cannot be read: named, and never guessed at."""

import asyncio
import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.cli.open_zone import open_zone
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable, HoldfastError, UsageError
from holdfast.model.rows import ROWS, Lease, Operation, Store, Zone
from holdfast.operations.lease import OWNER, LeaseDamaged, renew_lease, take_lease
from holdfast.workflows import create_volume
from upgrade_fixtures import CATALOGUE, names, unpack
from zone_program import Program, adding

DAMAGED = (
    "UPDATE leases SET body = 'noise'",
    "UPDATE leases SET body = x'ff00', id = x'ff00'",
    "UPDATE leases SET body = replace(body, '\"fence\":', '\"fence\":-')",
    "UPDATE leases SET digest = digest + 1",
    "UPDATE leases SET id = 'catalogud'",
    "UPDATE leases SET id = 7",
    "DELETE FROM leases",
)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A zone with a volume, and another that was cut off in the making."""
    made = Program(tmp_path)
    made.done("zone", "create", "zone-1")
    made.done("host", "add", "host-1", "--zone", "zone-1")
    made.done(*adding(made, "fast", "primary"))
    made.done("volume", "create", "disk", "--store", "fast", "--bytes", "8192")

    async def cut_off() -> None:
        async with open_zone(made.catalogue) as orchestrator:
            (store,) = await orchestrator.catalogue.transact(lambda tx: tx.select(Store))
            work = create_volume(name="late", store=store.id, size_bytes=8192)
            await orchestrator.engine.accept(work, "op-cut-off")

    asyncio.run(cut_off())
    return made


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()


async def fence_of(path: Path) -> int:
    async with open_catalogue(path) as catalogue:
        return (await catalogue.transact(lambda tx: tx.get(Lease, OWNER))).fence


def places(folder: Path) -> dict[str, bytes]:
    """What lies in the stores."""
    found = (file for file in (folder / "fast").rglob("*") if file.is_file())
    return {str(file): file.read_bytes() for file in found}


@pytest.mark.slow
@pytest.mark.parametrize("statement", DAMAGED)
def test_a_zone_whose_lease_cannot_be_read_is_looked_at_and_not_changed(
    program: Program, statement: str
) -> None:
    """Scrub names the lease and what to do, work is refused with the same; then all goes on."""
    before = asyncio.run(fence_of(program.catalogue))
    change(program.catalogue, statement)
    there = places(program.folder)

    answer = program("scrub", "--json")
    findings = json.loads(answer.stdout)["findings"]
    assert answer.exit_code == 1
    assert sorted(one["kind"] for one in findings) == ["damaged", "unfinished"]
    assert [one["what"] for one in findings if "--renew-lease" in one["detail"]] == ["Lease"]
    assert "op-cut-off" in program.done("operations")
    for command in (
        ("recover",),
        ("volume", "create", "new", "--store", "fast", "--bytes", "8192"),
        ("volume", "delete", "disk"),
    ):
        told = program.refused(*command)
        assert "holdfast recover --renew-lease" in told
        assert "\n" not in told
    assert places(program.folder) == there

    program.done("recover", "--renew-lease")
    assert program.done("scrub").startswith("clean")
    program.done("volume", "delete", "disk")
    assert asyncio.run(fence_of(program.catalogue)) > max(before, runtime().wall_clock() / 4)


@pytest.mark.parametrize(
    "statements",
    [
        ("DELETE FROM operations", "DELETE FROM steps"),  # as when all of them are in the archive
        ("DELETE FROM stores", "UPDATE operations SET digest = digest + 1"),
        ("DELETE FROM operations", "UPDATE stores SET digest = digest + 1"),
    ],
)
def test_no_fence_begins_anew_where_some_were_given_out(
    program: Program, statements: tuple[str, ...]
) -> None:
    """A zone that is not new has no first lease, whatever became of its operations."""
    for statement in ("DELETE FROM leases", *statements):
        change(program.catalogue, statement)

    async def story() -> None:
        async with open_catalogue(program.catalogue) as catalogue:
            taken = await catalogue.transact(lambda tx: take_lease(tx, "me"))
            assert isinstance(taken, LeaseDamaged)

    asyncio.run(story())


def test_a_lease_that_can_be_read_is_never_renewed(program: Program) -> None:
    """Its fence rises as at any opening, whoever asks for a new one."""
    before = asyncio.run(fence_of(program.catalogue))
    program.done("recover", "--renew-lease")
    assert before < asyncio.run(fence_of(program.catalogue)) < before + 5


def test_no_lease_is_made_by_a_clock_that_is_behind(program: Program) -> None:
    """A fence that may be lower than one that was given out is made by nobody."""
    change(program.catalogue, DAMAGED[0])

    async def story() -> None:
        async with open_catalogue(program.catalogue) as catalogue:
            last = max(
                one.accepted_s for one in await catalogue.transact(lambda tx: tx.select(Operation))
            )
            for now_s in (0.0, last - 1):
                with pytest.raises(EnvironmentUnavailable, match="clock"):
                    await catalogue.transact(partial(renew_lease, now_s=now_s))
            assert isinstance(
                await catalogue.transact(lambda tx: take_lease(tx, "me")), LeaseDamaged
            )

    asyncio.run(story())


def test_only_what_is_damaged_is_discarded(program: Program) -> None:
    """A row that can be read goes with its version, in memory as in a file."""

    def discard(tx: Transaction) -> None:
        if tx.find(Zone, "zone") is None:
            tx.insert(Zone(id="zone", name="zone"))
        for row_id in ("zone", "none"):
            with pytest.raises(UsageError, match="not damaged"):
                tx.discard(Zone, row_id)

    async def story() -> None:
        async with MemoryCatalogue().opened() as in_memory:
            await in_memory.transact(discard)
        async with open_catalogue(program.catalogue) as catalogue:
            await catalogue.transact(discard)

    asyncio.run(story())


CHANGES = (
    "body = 'noise'",
    "digest = digest + 1",
    "body = x'ff00'",
    "id = x'ff00'",
    "id = CAST(x'ff00' AS TEXT)",
    "id = CAST(id AS BLOB), digest = 0",
)


@pytest.fixture(scope="module")
def recovered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An earlier version's zone after its recovery, with a row of each kind."""
    folder = tmp_path_factory.mktemp("recovered")
    unpack(names()[-1], folder)
    program = Program(folder)
    program.catalogue = folder / CATALOGUE
    program("recover")
    with closing(sqlite3.connect(program.catalogue)) as database:
        for kind in ROWS:
            columns = "".join(f", '{name}'" for name in kind.columns)
            there = f"(SELECT 1 FROM {kind.table})"
            database.execute(
                f"INSERT INTO {kind.table} SELECT 'odd', 1{columns}, 'noise', 0 "
                f"WHERE NOT EXISTS {there}"
            )
        database.commit()
    return program.catalogue


@pytest.mark.slow
@pytest.mark.parametrize("changed", CHANGES)
def test_a_damaged_row_of_any_kind_keeps_no_zone_from_being_opened(
    recovered: Path, tmp_path: Path, changed: str
) -> None:
    """Scrub names a damaged row of each kind, once, and compares what needs none of them."""
    program = Program(tmp_path)
    with closing(sqlite3.connect(recovered)) as database:
        database.execute("VACUUM INTO ?", (str(program.catalogue),))
    for kind in ROWS:
        change(
            program.catalogue,
            f"UPDATE {kind.table} SET {changed} "
            f"WHERE rowid = (SELECT min(rowid) FROM {kind.table})",
        )

    answer = program("scrub", "--json")

    assert isinstance(answer.exception, SystemExit), answer.exc_info
    findings = json.loads(answer.stdout)["findings"]
    damaged = [one["what"] for one in findings if one["kind"] == "damaged"]
    assert sorted({*damaged}) == sorted(kind.__name__ for kind in ROWS)
    for command in (("operations",), ("operations", "--json"), ("recover",), ("archive",)):
        problem = program(*command).exception
        assert problem is None or isinstance(problem, HoldfastError), (command, problem)
