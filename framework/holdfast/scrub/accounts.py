"""Whether the catalogue accounts for a thing that was seen: as a row has it now, and for how long.

A thing that no row accounts for is a stranger only if nothing worked on its name between two looks
at it. Each look is a transaction, and each leaves a mark of the rows around the name: equal marks
and no operation under way at either end mean that nothing did. Pure functions of a transaction.
"""

from collections.abc import Iterable

import msgspec

from holdfast.catalogue.port import RowDamaged, Transaction
from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast.model.rows import (
    Operation,
    Row,
    Snapshot,
    Store,
    StoredObject,
    Volume,
    VolumeGrant,
)
from holdfast.model.state_sets import NOT_THERE
from holdfast.model.state_tables import GrantState
from holdfast.operations import journal
from holdfast.operations.workflow import SHARED

Holder = Volume | Snapshot | StoredObject

Mark = tuple[tuple[str, str, str], ...]


class Unfinished(msgspec.Struct, frozen=True):
    """The operations without an outcome, and the rows they hold."""

    operations: frozenset[str]
    rows: frozenset[str]

    def made(self, thing: OwnedThing) -> bool:
        """Whether one of them made this thing, or named it after itself."""
        if thing.operation in self.operations:
            return True
        return any(thing.key[:length] in self.operations for length in self._lengths())

    def _lengths(self) -> set[int]:
        return {len(operation) for operation in self.operations}


class Account(msgspec.Struct, frozen=True):
    """What the catalogue says of one thing at one moment."""

    known: bool
    """A row has it, or an operation that is under way."""
    named: bool
    """A row that has, or should have, bytes in the store is of this name."""
    moving: bool
    """An operation that is under way holds a row of its name."""
    mark: Mark
    """Changes with everything that was done to its name."""


def unfinished(tx: Transaction, damaged: frozenset[str]) -> Unfinished:
    """The operations without an outcome now.

    A row that is ``damaged`` may be one, or have one: what it is about is as if work was under way.
    """
    operations = journal.unfinished(tx)
    return Unfinished(
        damaged.union(operation.id for operation in operations),
        damaged.union(
            involved.id
            for operation in operations
            for involved in operation.involved
            # Who only reads a row makes nothing under its name.
            if involved.begun != SHARED
        ),
    )


def account_of(tx: Transaction, store: str, thing: OwnedThing, work: Unfinished) -> Account:
    """What the catalogue says of a thing in this store.

    Where it cannot be read, that is as if an operation was at work on it.
    """
    if not work.rows.isdisjoint(_names(thing)):
        return Account(known=work.made(thing), named=True, moving=True, mark=())
    try:
        return _account_of(tx, store, thing, work)
    except RowDamaged:
        return Account(known=False, named=True, moving=True, mark=())


def _account_of(tx: Transaction, store: str, thing: OwnedThing, work: Unfinished) -> Account:
    rows = list(_around(tx, store, thing))
    mark = [(type(row).__name__, row.id, str(row.version)) for row in rows]
    for name in _names(thing):
        # A grant comes and goes without a change of its volume's row.
        mark += [("op", one.id, one.state) for one in tx.select(Operation, subject=name)]
    return Account(
        known=work.made(thing) or any(_has(row, store, thing) for row in rows),
        named=any(_is_of(row, store, thing.key) for row in rows),
        moving=any(row.id in work.rows for row in rows),
        mark=tuple(mark),
    )


def _around(tx: Transaction, store: str, thing: OwnedThing) -> Iterable[Row]:
    """The rows of a thing's name, whatever their state; the store itself where it has none."""
    names = _names(thing)
    if not names:
        store_row = tx.find(Store, store)
        if store_row is not None:
            yield store_row
    for name in names:
        yield from (row for kind in (Volume, Snapshot) if (row := tx.find(kind, name)) is not None)
        yield from tx.select(StoredObject, owner=name)
        yield from tx.select(VolumeGrant, volume=name)


def _names(thing: OwnedThing) -> list[str]:
    """The ids that a key may have been made of: a key is a row's id, with a generation or not.

    A grant is named after its volume, some drivers add the host.
    """
    key = thing.key.partition("|")[0] if thing.kind is OwnedKind.GRANT else thing.key
    return sorted({key, key.rpartition(".")[0]} - {""})


def _has(row: Row, store: str, thing: OwnedThing) -> bool:
    """Whether a row accounts for a thing; nothing unfinished belongs to a row."""
    match row:
        case VolumeGrant():
            return (
                thing.kind is OwnedKind.GRANT
                and row.state is not GrantState.REVOKED
                and row.driver_id == thing.id
            )
        case Volume() | Snapshot() | StoredObject():
            kind = _KINDS[type(row)]
            return thing.kind is kind and not thing.unfinished and _is_of(row, store, thing.key)
        case _:
            return False


def _is_of(row: Row, store: str, key: str) -> bool:
    """Whether a row has, or may have, bytes under a key in a store."""
    return (
        isinstance(row, Volume | Snapshot | StoredObject)
        and (row.store, row.key) == (store, key)
        and row.state not in NOT_THERE
    )


_KINDS: dict[type[Row], OwnedKind] = {
    Volume: OwnedKind.VOLUME,
    Snapshot: OwnedKind.SNAPSHOT,
    StoredObject: OwnedKind.OBJECT,
}
HOLDERS: tuple[tuple[type[Volume] | type[Snapshot] | type[StoredObject], OwnedKind], ...] = (
    (Volume, OwnedKind.VOLUME),
    (Snapshot, OwnedKind.SNAPSHOT),
    (StoredObject, OwnedKind.OBJECT),
)
"""The rows that have bytes in a store, and what a driver calls those."""
