"""History: ended operations that have become old move from a catalogue to its archive.

What moves is copied and committed there, read back, and only then deleted here. A crash between the
two leaves it in both places, where the catalogue's is the one that counts; the next move copies it
over itself.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from holdfast.catalogue.committer import GroupCommitCatalogue
from holdfast.catalogue.observer import observed
from holdfast.catalogue.port import Archived, Retention, RowDamaged
from holdfast.catalogue.transaction import Storage, Write, Writes
from holdfast.concurrency.runtime import Lane, runtime
from holdfast.contract.errors import HoldfastError
from holdfast.model.rows import (
    ROWS,
    Involved,
    LedgerEntry,
    Operation,
    Row,
    StatefulRow,
    Step,
    Store,
)
from holdfast.model.state_sets import ENDED, GONE, UNFINISHED

AT_ONCE = 200
"""Operations in one move: what others may have to wait for."""
AT_OPENING = 2000
"""Operations that an opening moves at most."""

_TABLES = {kind.table: kind for kind in ROWS}
_log = logging.getLogger("holdfast")


class OrderedStorage(Storage, Protocol):
    """A storage that knows in what order its rows were made."""

    def oldest(self, kind: type[Row], skipped: int, limit: int) -> list[Row | None]:
        """The rows of a kind in the order they were made; ``None`` for one that is damaged."""
        ...

    def count(self, kind: type[Row], equals: Mapping[str, str | int]) -> int:
        """How many rows have these values in their columns."""
        ...


class Archive(Protocol):
    """Where history goes."""

    def put(self, rows: Sequence[tuple[str, Row]], now_s: float) -> None:
        """Have these rows, each with the operation it goes with, durably; again is harmless."""
        ...

    def page(self, after: int, limit: int) -> list[Archived]:
        """The next archived operations."""
        ...


class History:
    """Moves what is old; blocking, and alone on its storage meanwhile."""

    def __init__(self, storage: OrderedStorage, archive: Archive) -> None:
        self._storage = storage
        self._archive = archive

    def move(self, retention: Retention, now_s: float, limit: int) -> int:
        """Move so many of the oldest operations at most; the number that went."""
        try:
            chosen = self._choose(retention, now_s, limit)
            rows = self._rows_of(chosen)
            if rows:
                observed(lambda: self._archive.put(rows, now_s))
                writes: Writes = {}
                for _, row in rows:
                    writes.setdefault(type(row), {})[row.id] = Write(None, row.version)
                observed(lambda: self._storage.commit(writes))
            return len(chosen)
        finally:
            self._storage.end()

    def _choose(self, retention: Retention, now_s: float, limit: int) -> list[Operation]:
        before_s = now_s - retention.days * 86400
        spare: int | None = None
        chosen: list[Operation] = []
        skipped = 0
        while page := self._storage.oldest(Operation, skipped, 1 if spare is None else AT_ONCE):
            if spare is None:
                ended = sum(self._storage.count(Operation, {"state": s.value}) for s in ENDED)
                spare = min(limit, ended - retention.at_least)
            for row in page:
                if not isinstance(row, Operation):
                    continue
                if row.accepted_s > before_s or len(chosen) >= spare:
                    return chosen
                if row.state in ENDED and row.ended_s <= before_s and not self._is_needed(row):
                    chosen.append(row)
            skipped += len(page)
        return chosen

    def _is_needed(self, operation: Operation) -> bool:
        """Whether somebody still asks for it: its parent, which has not ended, or the ledger."""
        if operation.parent:
            try:
                parent = self._storage.find(Operation, operation.parent)
            except RowDamaged:
                return True
            if isinstance(parent, Operation) and parent.state in UNFINISHED:
                return True
        return self._is_owed(operation)

    def _is_owed(self, operation: Operation) -> bool:
        """Whether what an operation left behind still holds capacity under its id."""
        held = {"holder": operation.id}
        # What a damaged entry says of its store and amount is not needed to know whose it is.
        return bool(
            self._storage.intact(LedgerEntry, held) or self._storage.damaged(LedgerEntry, held)
        )

    def _rows_of(self, chosen: Sequence[Operation]) -> list[tuple[str, Row]]:
        """The operations, their steps, and the rows that ended with them."""
        going = {operation.id for operation in chosen}
        busy = self._busy() if chosen else frozenset[str]()
        found: dict[tuple[str, str], tuple[str, Row]] = {}
        for operation in chosen:
            rows = [operation, *self._storage.intact(Step, {"operation": operation.id})]
            for involved in operation.involved:
                row = self._intact(involved)
                if row is not None and row.id not in busy and self._has_ended(row, going):
                    rows.append(_without_settings(row))
            for row in rows:
                found.setdefault((row.table, row.id), (operation.id, row))
        return list(found.values())

    def _intact(self, involved: Involved) -> Row | None:
        """A row that an operation held; one that is damaged stays where scrub names it."""
        kind = _TABLES.get(involved.table)
        try:
            return None if kind is None else self._storage.find(kind, involved.id)
        except RowDamaged:
            return None

    def _busy(self) -> frozenset[str]:
        return frozenset(
            involved.id
            for state in UNFINISHED
            for row in self._storage.intact(Operation, {"state": state.value})
            if isinstance(row, Operation)
            for involved in row.involved
        )

    def _has_ended(self, row: Row, going: set[str]) -> bool:
        """Whether a row is gone, and no operation about it stays."""
        if not isinstance(row, StatefulRow) or row.state not in GONE:
            return False
        about = self._storage.intact(Operation, {"subject": row.id})
        return all(operation.id in going for operation in about)


def _without_settings(row: Row) -> Row:
    """A row for the archive: nobody opens its store again, whose settings may hold a secret in a
    catalogue from before those were kept apart.
    """
    return (
        msgspec.structs.replace(row, config=msgspec.Raw(b"{}")) if isinstance(row, Store) else row
    )


class ArchivingCatalogue(GroupCommitCatalogue):
    """A catalogue whose history moves to an archive."""

    def __init__(self, storage: OrderedStorage, lane: Lane, archive: Archive) -> None:
        super().__init__(storage, lane)
        self._archive = archive
        self._history = History(storage, archive)

    async def archive(
        self, retention: Retention | None = None, *, at_most: int | None = None
    ) -> int:
        """As the interface says; others are served between the moves."""
        kept = retention or Retention()
        moved = 0
        while at_most is None or moved < at_most:
            limit = AT_ONCE if at_most is None else min(AT_ONCE, at_most - moved)
            went = await self._lane.run(self._history.move, kept, runtime().wall_clock(), limit)
            moved += went
            if not went:
                break
        return moved

    async def archived(self, *, after: int = 0, limit: int = 500) -> list[Archived]:
        """As the interface says."""
        return await self._lane.run(self._archive.page, after, limit)

    async def archive_at_opening(self) -> None:
        """Move some of what is old; that it cannot be done stops nobody who opens a catalogue."""
        try:
            await self.archive(at_most=AT_OPENING)
        except HoldfastError as problem:
            _log.warning("old operations stay in the catalogue: %s", problem)
