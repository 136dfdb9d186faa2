"""What every catalogue keeps, in memory and in SQLite alike."""

from collections.abc import Awaitable, Callable
from operator import methodcaller
from typing import Any

import msgspec
import pytest

from holdfast.catalogue.port import (
    AlreadyInCatalogue,
    Catalogue,
    NotInCatalogue,
    StaleVersion,
    StateWithoutEvent,
    Transaction,
)
from holdfast.contract.errors import UsageError
from holdfast.contract.requests import Role, ScopeKind
from holdfast.model.rows import LedgerEntry, Row, Store, Volume, Zone
from holdfast.model.rows import Scope as RowScope
from holdfast.model.state_machine import UndefinedTransition
from holdfast.model.state_tables import Event, StoreState, VolumeState

Check = Callable[[Catalogue], Awaitable[None]]
Run = Callable[[Check], None]


def volume(name: str, **fields: Any) -> Volume:
    return Volume(id=name, name=name, store="st-1", key=name, size_bytes=1 << 30, **fields)


def test_a_new_row_is_stored_as_its_first_version(run: Run) -> None:
    """What is inserted is read back with version 1, whatever version it claimed."""

    async def check(catalogue: Catalogue) -> None:
        stored = await catalogue.transact(lambda tx: tx.insert(Zone(id="z", name="a", version=7)))
        read = await catalogue.transact(lambda tx: tx.get(Zone, "z"))

        assert Zone(id="z", name="a", version=1) == stored == read

    run(check)


def test_every_kind_of_field_survives(run: Run) -> None:
    """Nested structs, enumerations, JSON documents, tuples and big numbers read back as written."""
    store = Store(
        id="st",
        name="émile 漢 \x00 '\"%",
        role=Role.PRIMARY,
        provider="local",
        scope=RowScope(ScopeKind.ZONE, "z"),
        config=msgspec.Raw(b'{"root":"a","n":[1,2.5,null]}'),
        hosts=("h1", "h2"),
    )

    async def check(catalogue: Catalogue) -> None:
        await catalogue.transact(lambda tx: tx.insert(store))
        await catalogue.transact(
            lambda tx: tx.insert(msgspec.structs.replace(volume("v"), size_bytes=1 << 62))
        )
        read, big = await catalogue.transact(
            lambda tx: (tx.get(Store, "st"), tx.get(Volume, "v").size_bytes)
        )

        assert msgspec.json.encode(msgspec.structs.replace(store, version=1)) == (
            msgspec.json.encode(read)
        )
        assert big == 1 << 62

    run(check)


def test_an_id_is_taken_once(run: Run) -> None:
    """A second row of the same kind and id is refused; another kind may use the id."""

    async def check(catalogue: Catalogue) -> None:
        await catalogue.transact(lambda tx: tx.insert(Zone(id="x", name="a")))
        await catalogue.transact(lambda tx: tx.insert(volume("x")))
        with pytest.raises(AlreadyInCatalogue, match="Zone x"):
            await catalogue.transact(lambda tx: tx.insert(Zone(id="x", name="b")))
        with pytest.raises(AlreadyInCatalogue, match="Zone y"):
            await catalogue.transact(
                lambda tx: [tx.insert(Zone(id="y", name=name)) for name in "ab"]
            )

        assert [z.name for z in await catalogue.transact(lambda tx: tx.select(Zone))] == ["a"]

    run(check)


def test_an_absent_row_is_none_or_an_error(run: Run) -> None:
    """``find`` answers ``None`` for an unknown id; ``get`` and writes say what is missing."""

    async def check(catalogue: Catalogue) -> None:
        assert await catalogue.transact(lambda tx: tx.find(Zone, "nope")) is None
        ghost = LedgerEntry(id="nope", store="s", holder="v", amount_bytes=1, version=1)
        attempts: list[Callable[[Transaction], object]] = [
            lambda tx: tx.get(LedgerEntry, "nope"),
            lambda tx: tx.update(ghost),
            lambda tx: tx.remove(ghost),
        ]
        for attempt in attempts:
            with pytest.raises(NotInCatalogue, match="LedgerEntry nope"):
                await catalogue.transact(attempt)

    run(check)


def test_a_write_names_the_version_it_read(run: Run) -> None:
    """Of two writers who read the same version, the second is told to read again."""

    async def check(catalogue: Catalogue) -> None:
        first = await catalogue.transact(lambda tx: tx.insert(Zone(id="z", name="a")))
        rename = msgspec.structs.replace(first, name="b")
        second = await catalogue.transact(lambda tx: tx.update(rename))
        assert Zone(id="z", name="b", version=2) == second
        attempts: list[Callable[[Transaction], object]] = [
            lambda tx: tx.update(rename),
            lambda tx: tx.remove(first),
            lambda tx: [tx.update(second), tx.update(second)],
        ]
        for attempt in attempts:
            with pytest.raises(StaleVersion, match="Zone z"):
                await catalogue.transact(attempt)

        assert second == await catalogue.transact(lambda tx: tx.get(Zone, "z"))

    run(check)


def test_a_state_changes_only_by_an_event(run: Run) -> None:
    """A state written by update, by insert or as a field of an event is refused."""

    async def check(catalogue: Catalogue) -> None:
        stored = await catalogue.transact(lambda tx: tx.insert(volume("v")))
        ready = msgspec.structs.replace(stored, state=VolumeState.READY)
        attempts: list[Callable[[Transaction], object]] = [
            lambda tx: tx.update(ready),
            lambda tx: tx.fire(ready, Event.EXPUNGE_REQUESTED),
            lambda tx: tx.insert(volume("w", state=VolumeState.READY)),
            lambda tx: tx.remove(stored),
        ]
        for attempt in attempts:
            with pytest.raises(StateWithoutEvent):
                await catalogue.transact(attempt)
        forbidden: list[dict[str, Any]] = [
            {"state": VolumeState.READY},
            {"version": 9},
            {"id": "w"},
        ]
        for changes in forbidden:
            fire = methodcaller("fire", stored, Event.CREATE_REQUESTED, **changes)
            with pytest.raises(UsageError):
                await catalogue.transact(fire)

        assert [stored] == await catalogue.transact(lambda tx: tx.select(Volume))

    run(check)


def test_an_event_moves_a_row_and_its_fields(run: Run) -> None:
    """An event takes the row to its machine's next state, with the changes that come with it."""

    async def check(catalogue: Catalogue) -> None:
        stored = await catalogue.transact(lambda tx: tx.insert(volume("v")))
        moved = await catalogue.transact(
            lambda tx: tx.fire(stored, Event.CREATE_REQUESTED, driver_id="d-1")
        )

        assert (moved.state, moved.driver_id, moved.version) == (VolumeState.CREATING, "d-1", 2)
        assert moved == await catalogue.transact(lambda tx: tx.get(Volume, "v"))
        with pytest.raises(UndefinedTransition, match="Creating"):
            await catalogue.transact(lambda tx: tx.fire(moved, Event.RESIZE_REQUESTED))
        with pytest.raises(StaleVersion):
            await catalogue.transact(lambda tx: tx.fire(stored, Event.CREATE_REQUESTED))

    run(check)


def test_a_row_without_a_machine_knows_no_event(run: Run) -> None:
    """An event for a kind that has no states is an undefined transition."""

    async def check(catalogue: Catalogue) -> None:
        zone = await catalogue.transact(lambda tx: tx.insert(Zone(id="z", name="a")))
        with pytest.raises(UndefinedTransition, match="Zone"):
            await catalogue.transact(lambda tx: tx.fire(zone, Event.CONNECTED))

    run(check)


@pytest.mark.parametrize("run", ["memory", "sqlite", "sqlite inline"], indirect=True)
def test_a_field_of_the_wrong_type_is_refused_when_written(run: Run) -> None:
    """What could not be read back is refused, with the field's name; nothing is stored."""
    wrong: list[Row] = [
        Zone(id="z", name=5),  # type: ignore[arg-type]  # what the test is about
        Zone(id="z", name="\ud800"),
        LedgerEntry(id="l", store="s", holder="v", amount_bytes="1"),  # type: ignore[arg-type]  # likewise
    ]

    async def check(catalogue: Catalogue) -> None:
        for row in wrong:
            with pytest.raises(UsageError, match="cannot be stored"):
                await catalogue.transact(methodcaller("insert", row))
            assert await catalogue.transact(methodcaller("select", type(row))) == []

    run(check)


def test_a_transaction_reads_its_own_writes(run: Run) -> None:
    """Inserted, changed and removed rows show in ``find`` and ``select`` of the same function."""

    async def check(catalogue: Catalogue) -> None:
        await catalogue.transact(lambda tx: [tx.insert(Zone(id=i, name="old")) for i in "abc"])

        def function(tx: Transaction) -> list[list[str]]:
            tx.insert(Zone(id="d", name="old"))
            tx.remove(tx.get(Zone, "a"))
            tx.update(msgspec.structs.replace(tx.get(Zone, "b"), name="new"))
            tx.remove(tx.insert(Zone(id="e", name="old")))
            assert tx.find(Zone, "a") is None
            return [[zone.id for zone in tx.select(Zone, name=name)] for name in ("old", "new")]

        assert await catalogue.transact(function) == [["c", "d"], ["b"]]
        assert [z.id for z in await catalogue.transact(lambda tx: tx.select(Zone))] == [
            "b",
            "c",
            "d",
        ]

    run(check)


def test_a_function_that_raises_leaves_nothing(run: Run) -> None:
    """The exception itself reaches the caller, and none of several rows is written."""

    async def check(catalogue: Catalogue) -> None:
        kept = await catalogue.transact(lambda tx: tx.insert(Zone(id="kept", name="a")))
        problem = LookupError("mine")

        def function(tx: Transaction) -> None:
            tx.insert(Zone(id="x", name="b"))
            tx.insert(volume("v"))
            tx.remove(kept)
            raise problem

        with pytest.raises(LookupError) as raised:
            await catalogue.transact(function)

        assert problem is raised.value
        assert ([kept], []) == await catalogue.transact(
            lambda tx: (tx.select(Zone), tx.select(Volume))
        )

    run(check)


def test_selecting_is_by_columns_only(run: Run) -> None:
    """Only a kind's columns select, only by their own type; rows come in the order of their ids."""

    async def check(catalogue: Catalogue) -> None:
        names = ["b", "B", "a", "ä", "Z", "漢", "10", "9"]
        await catalogue.transact(lambda tx: [tx.insert(volume(name)) for name in names])
        await catalogue.transact(lambda tx: tx.fire(tx.get(Volume, "b"), Event.CREATE_REQUESTED))

        def ids(**equals: str) -> Callable[[Transaction], list[str]]:
            return lambda tx: [row.id for row in tx.select(Volume, **equals)]

        assert sorted(names) == await catalogue.transact(ids())
        assert await catalogue.transact(ids(state=VolumeState.CREATING, store="st-1")) == ["b"]
        assert await catalogue.transact(ids(name="10")) == ["10"]
        assert await catalogue.transact(ids(store="ST-1")) == []
        impossible: list[dict[str, Any]] = [{"key": "a"}, {"size_bytes": 1}, {"name": 10}]
        for equals in impossible:
            with pytest.raises(UsageError, match="Volume"):
                await catalogue.transact(methodcaller("select", Volume, **equals))

    run(check)


def test_a_store_row_starts_where_its_machine_starts(run: Run) -> None:
    """A whole path through a machine is a version per event."""

    async def check(catalogue: Catalogue) -> None:
        def function(tx: Transaction) -> Store:
            row = tx.insert(
                Store(
                    id="st",
                    name="a",
                    role=Role.IMAGE,
                    provider="memory",
                    scope=RowScope(ScopeKind.ZONE, "z"),
                    config=msgspec.Raw(b"{}"),
                )
            )
            for event in (Event.CREATE_REQUESTED, Event.OUTCOME_UNKNOWN, Event.RECOVERED_READY):
                row = tx.fire(row, event)
            return row

        row = await catalogue.transact(function)

        assert (row.state, row.version) == (StoreState.UP, 4)

    run(check)


def test_pages_are_what_select_gives_bit_by_bit(run: Run) -> None:
    """Pages of any size, one after another, are the rows of ``select``, own writes among them."""

    async def check(catalogue: Catalogue) -> None:
        names = ["b", "B", "a", "ä", "Z", "漢", "10", "9", "a\x00", "c"]
        await catalogue.transact(lambda tx: [tx.insert(volume(name)) for name in names])
        await catalogue.transact(
            lambda tx: [
                tx.insert(LedgerEntry(id=n, store=n, holder="v", amount_bytes=1)) for n in names
            ]
        )

        def walk(tx: Transaction, kind: type[Row], limit: int, **equals: str) -> list[Row]:
            found: list[Row] = []
            while page := tx.page(kind, after=found[-1].id if found else "", limit=limit, **equals):
                assert len(page) <= limit
                found += page
            return found

        def with_own_writes(tx: Transaction) -> None:
            for limit in range(1, len(names) + 2):
                assert walk(tx, Volume, limit) == tx.select(Volume)
            tx.fire(tx.get(Volume, "a"), Event.CREATE_REQUESTED)
            tx.insert(volume("aa"))
            for name in ("9", "b", "c"):
                tx.remove(tx.get(LedgerEntry, name))
            tx.insert(LedgerEntry(id="zz", store="c", holder="v", amount_bytes=1))
            moved = msgspec.structs.replace(tx.get(LedgerEntry, "B"), holder="w")
            tx.update(moved)
            for limit in range(1, len(names) + 2):
                assert walk(tx, Volume, limit) == tx.select(Volume)
                for equals in ({"holder": "v"}, {"store": "c"}, {"store": "c", "holder": "v"}):
                    assert walk(tx, LedgerEntry, limit, **equals) == tx.select(
                        LedgerEntry, **equals
                    )
                for state in VolumeState:
                    wanted = tx.select(Volume, state=state)
                    assert walk(tx, Volume, limit, state=state) == wanted

        await catalogue.transact(with_own_writes)
        with pytest.raises(UsageError, match="Volume"):
            await catalogue.transact(lambda tx: tx.page(Volume, limit=1, key="a"))
        with pytest.raises(UsageError, match="page of 0"):
            await catalogue.transact(lambda tx: tx.page(Volume, limit=0))

    run(check)


def test_a_row_in_its_last_state_may_go(run: Run) -> None:
    """A row with states is removed in a terminal one, and in no other."""

    async def check(catalogue: Catalogue) -> None:
        def live(tx: Transaction) -> None:
            tx.fire(tx.insert(volume("v")), Event.CREATE_REQUESTED)

        await catalogue.transact(live)
        with pytest.raises(StateWithoutEvent, match="volume that is Creating is not removed"):
            await catalogue.transact(lambda tx: tx.remove(tx.get(Volume, "v")))

        def end(tx: Transaction) -> None:
            tx.remove(tx.fire(tx.get(Volume, "v"), Event.OPERATION_FAILED_CLEAN))

        await catalogue.transact(end)
        assert await catalogue.transact(lambda tx: tx.find(Volume, "v")) is None

        def come_and_go(tx: Transaction) -> None:
            row = tx.fire(tx.insert(volume("w")), Event.CREATE_REQUESTED)
            tx.remove(tx.fire(row, Event.OPERATION_FAILED_CLEAN))

        await catalogue.transact(come_and_go)
        assert await catalogue.transact(lambda tx: tx.select(Volume)) == []

    run(check)
