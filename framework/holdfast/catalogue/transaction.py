"""The rules of a transaction, on top of any storage: versions, states by event, own writes visible.

Writes stay in a buffer until the whole commit is written, so that a function that raises costs
nothing but its buffer.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar, cast

import msgspec

from holdfast.catalogue.codec import Document, column_type
from holdfast.catalogue.port import (
    AlreadyInCatalogue,
    NotInCatalogue,
    RowDamaged,
    StaleVersion,
    StateWithoutEvent,
    Transaction,
)
from holdfast.contract.errors import UsageError
from holdfast.model.rows import Row, StatefulRow
from holdfast.model.state_machine import UndefinedTransition
from holdfast.model.state_tables import Event

RowT = TypeVar("RowT", bound=Row)

NOTHING: Final = 0
"""What a ``Write`` replaces where there was no row."""
DAMAGED: Final = -1
"""What a ``Write`` replaces where the row cannot be read and was given up."""


class Write(msgspec.Struct, frozen=True, gc=False):
    """What a commit does to one row.

    Args:
        document: the row that there will be; ``None`` where it is removed.
        replaces: the version that there is, as the first transaction of the commit that writes to
            the row read it, or ``NOTHING`` or ``DAMAGED``: where another program has written
            meanwhile, nothing is committed.
    """

    document: Document | None
    replaces: int


Writes = dict[type[Row], dict[str, Write]]
"""What a commit changes, by the rows' ids."""


_ID = "id"


class Storage(Protocol):
    """Committed rows, and a way to commit more; used by one thread at a time."""

    def document(self, row: Row) -> Document:
        """What it will keep of a row; ``UsageError`` when a field holds what it may not."""
        ...

    def find(self, kind: type[Row], row_id: str) -> Row | None:
        """The committed row of this id."""
        ...

    def select(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[Row]:
        """The committed rows whose columns equal these values, in any order."""
        ...

    def intact(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[Row]:
        """As ``select``, without the rows that are damaged."""
        ...

    def damaged(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[RowDamaged]:
        """What ``intact`` leaves out."""
        ...

    def page(
        self, kind: type[Row], equals: Mapping[str, str | int], after: str, limit: int
    ) -> list[Row]:
        """The first ``limit`` of those rows with an id after ``after``, in byte order of ids.

        What it reads is not kept: who walks through a table needs no more memory than for a page.
        """
        ...

    def commit(self, writes: Writes) -> None:
        """Make all of these writes durable, or raise and make none of them.

        Every id in ``writes`` was looked up with ``find`` or ``select`` since the last commit.
        """
        ...

    def end(self) -> None:
        """No more reads before the next commit; what a storage held for them may go."""
        ...


class Buffer(Transaction):
    """One transaction: its own writes, over those of the commit it is part of, over a storage."""

    def __init__(self, storage: Storage, earlier: Writes) -> None:
        self._storage = storage
        self._earlier = earlier
        self._own: Writes = {}

    def keep(self) -> None:
        """Let the commit, and the transactions after this one in it, have these writes."""
        for kind, rows in self._own.items():
            self._earlier.setdefault(kind, {}).update(rows)

    def find(self, kind: type[RowT], row_id: str) -> RowT | None:
        """The row as this transaction sees it."""
        for writes in (self._own, self._earlier):
            rows = writes.get(kind)
            if rows is not None and row_id in rows:
                document = rows[row_id].document
                return None if document is None else document.row  # type: ignore[return-value]  # the rows of a kind are of it
        return self._storage.find(kind, row_id)  # type: ignore[return-value]  # likewise

    def select(self, kind: type[RowT], /, **equals: str | int) -> list[RowT]:
        """The rows as this transaction sees them; ``UsageError`` for what is no column."""
        _check_columns(kind, equals)
        return self._over(kind, equals, self._storage.select(kind, equals))

    def intact(self, kind: type[RowT], /, **equals: str | int) -> list[RowT]:
        """As ``select``, without what is damaged."""
        _check_columns(kind, equals)
        return self._over(kind, equals, self._storage.intact(kind, equals))

    def damaged(self, kind: type[Row], /, **equals: str | int) -> list[RowDamaged]:
        """What is damaged among those rows; nothing that is written, or given up, is."""
        _check_columns(kind, equals)
        changed = {*self._earlier.get(kind, ()), *self._own.get(kind, ())}
        return [one for one in self._storage.damaged(kind, equals) if one.row_id not in changed]

    def _over(
        self, kind: type[RowT], equals: Mapping[str, str | int], committed: list[Row]
    ) -> list[RowT]:
        """The committed rows under what was written since, in the order of their ids."""
        found = {row.id: row for row in committed}
        (column, value), *others = equals.items() or ((_ID, None),)
        for writes in (self._earlier, self._own):
            for row_id, write in writes.get(kind, {}).items():
                # Most rows of a batch differ in the first column already: a create looks for its
                # name among all that are made with it.
                row = None if write.document is None else write.document.row
                if row is not None and (
                    value is None
                    or (getattr(row, column) == value and (not others or _is_equal(row, equals)))
                ):
                    found[row_id] = row
                elif row_id in found:
                    del found[row_id]
        return cast("list[RowT]", [found[row_id] for row_id in sorted(found)])

    def page(
        self, kind: type[RowT], /, *, after: str = "", limit: int, **equals: str | int
    ) -> list[RowT]:
        """The next rows as this transaction sees them; ``UsageError`` for what is no column."""
        _check_columns(kind, equals)
        if limit < 1:
            raise UsageError(f"a page of {limit} rows would end before the end")
        while True:
            stored = self._storage.page(kind, equals, after, limit)
            last = stored[-1].id if len(stored) == limit else None
            found = {row.id: row for row in stored}
            for writes in (self._earlier, self._own):
                for row_id, write in writes.get(kind, {}).items():
                    # What comes after a full page belongs to a later one.
                    if row_id <= after or (last is not None and row_id > last):
                        continue
                    document = write.document
                    if document is not None and _is_equal(document.row, equals):
                        found[row_id] = document.row
                    else:
                        found.pop(row_id, None)
            if found or last is None:
                return cast("list[RowT]", [found[row_id] for row_id in sorted(found)][:limit])
            after = last

    def insert(self, row: RowT) -> RowT:
        """Add a row; whatever its version says, it becomes 1."""
        kind = type(row)
        if self.find(kind, row.id) is not None:
            raise AlreadyInCatalogue(f"the catalogue already has a {kind.__name__} {row.id}")
        if isinstance(row, StatefulRow) and row.state != row.machine.initial:
            raise StateWithoutEvent(
                f"a new {row.machine.name} is {row.machine.initial}, not {row.state}"
            )
        return self._write(msgspec.structs.replace(row, version=1), NOTHING)

    def update(self, row: RowT) -> RowT:
        """Replace a row whose version and state are the stored ones."""
        self._unchanged_since(row)
        changed = msgspec.structs.replace(row, version=row.version + 1)
        return self._write(changed, row.version)

    def fire(self, row: RowT, event: Event, **changes: Any) -> RowT:
        """Move a row by an event; ``row`` may carry changes of its own beside ``changes``."""
        if not isinstance(row, StatefulRow):
            kind = type(row).__name__
            raise UndefinedTransition(f"a {kind} has no states; {event} means nothing")
        if not changes.keys().isdisjoint(("id", "version", "state")):
            raise UsageError("an event sets state and version itself, and an id never changes")
        self._unchanged_since(row)
        after = row.machine.next(row.state, event)
        moved = msgspec.structs.replace(row, version=row.version + 1, state=after, **changes)
        return self._write(moved, row.version)

    def remove(self, row: Row) -> None:
        """Drop a row that has no states, or has come to its last one."""
        if isinstance(row, StatefulRow) and row.state not in row.machine.terminal:
            raise StateWithoutEvent(
                f"a {row.machine.name} that is {row.state} is not removed; "
                "an event brings it to its last state first"
            )
        self._unchanged_since(row)
        self._put(type(row), row.id, None, row.version)

    def discard(self, kind: type[Row], row_id: str) -> None:
        """Drop a row that is damaged."""
        # Not looked up: what has become of its id may be no text.
        if all(one.row_id != row_id for one in self.damaged(kind)):
            raise UsageError(f"{kind.__name__} {row_id} is not damaged, and is not discarded")
        self._put(kind, row_id, None, DAMAGED)

    def _unchanged_since(self, row: Row) -> None:
        """The stored row still has the version and the state that ``row`` was read with."""
        kind = type(row)
        stored = self.find(kind, row.id)
        if stored is None:
            raise NotInCatalogue(f"the catalogue has no {kind.__name__} {row.id}")
        if stored.version != row.version:
            raise StaleVersion(
                f"{kind.__name__} {row.id} was changed since it was read "
                f"(version {row.version}, now {stored.version}); read it again"
            )
        if (
            isinstance(row, StatefulRow)
            and isinstance(stored, StatefulRow)
            and stored.state != row.state
        ):
            raise StateWithoutEvent(
                f"{kind.__name__} {row.id} is {stored.state}; only an event makes it {row.state}"
            )

    def _write(self, row: RowT, replaces: int) -> RowT:
        document = self._storage.document(row)
        self._put(type(row), row.id, document, replaces)
        return document.row  # type: ignore[return-value]  # a row is read back as what it was

    def _put(self, kind: type[Row], row_id: str, document: Document | None, replaces: int) -> None:
        """Write over what this transaction sees; the first of a commit knows what is committed."""
        own = self._own.get(kind)
        if own is None:
            own = self._own[kind] = {}
        before = own.get(row_id)
        if before is None and (earlier := self._earlier.get(kind)) is not None:
            before = earlier.get(row_id)
        own[row_id] = Write(document, replaces if before is None else before.replaces)


def _check_columns(kind: type[Row], equals: Mapping[str, str | int]) -> None:
    """``UsageError`` where a kind of row cannot be selected by these."""
    for column, value in equals.items():
        if column not in kind.columns:
            known = ", ".join(kind.columns) or "no column"
            raise UsageError(
                f"{kind.__name__} cannot be selected by {column}; it can be by {known}"
            )
        if not isinstance(value, column_type(kind, column)):
            raise UsageError(f"{kind.__name__}.{column} never equals {value!r}: another type")


def _is_equal(row: Row, equals: Mapping[str, str | int]) -> bool:
    return all(getattr(row, column) == value for column, value in equals.items())
