"""The catalogue in memory: for simulations and tests, with the rules and yields of the SQL one."""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import islice

from holdfast.catalogue.archive import MemoryArchive
from holdfast.catalogue.codec import Document, as_row
from holdfast.catalogue.history import ArchivingCatalogue
from holdfast.catalogue.port import RowDamaged
from holdfast.catalogue.transaction import Writes
from holdfast.concurrency.runtime import InlineLane
from holdfast.model.rows import Operation, Row

_Index = dict[str | int, set[str]]
"""The ids of the rows that have each value in one column."""


class _Rows:
    """A storage that is a dictionary; it ends with the process.

    A column is indexed when rows are first selected by it. That of the operations' states is from
    the start: recovery asks for those that have not ended, among all that have.
    """

    def __init__(self) -> None:
        self._rows: dict[type[Row], dict[str, Row]] = {}
        self._ids: dict[type[Row], list[str]] = {}
        self._indexes: dict[type[Row], dict[str, _Index]] = {Operation: {"state": {}}}

    def document(self, row: Row) -> Document:
        return as_row(row)

    def find(self, kind: type[Row], row_id: str) -> Row | None:
        return self._rows.get(kind, {}).get(row_id)

    def select(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[Row]:
        rows = self._rows.get(kind, {})
        if not equals:
            return list(rows.values())
        sets = [self._index(kind, column).get(value, ()) for column, value in equals.items()]
        found = [rows[row_id] for row_id in min(sets, key=len)]
        if len(equals) == 1:
            return found
        return [row for row in found if _is_equal(row, equals)]

    def intact(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[Row]:
        return self.select(kind, equals)

    def damaged(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[RowDamaged]:
        del kind, equals
        return []

    def _index(self, kind: type[Row], column: str) -> _Index:
        indexes = self._indexes.setdefault(kind, {})
        index = indexes.get(column)
        if index is None:
            index = indexes[column] = {}
            for row_id, row in self._rows.get(kind, {}).items():
                index.setdefault(getattr(row, column), set()).add(row_id)
        return index

    def page(
        self, kind: type[Row], equals: Mapping[str, str | int], after: str, limit: int
    ) -> list[Row]:
        ids = self._ordered(kind)
        found: list[Row] = []
        for at in range(bisect_right(ids, after), len(ids)):
            row = self._rows[kind][ids[at]]
            if _is_equal(row, equals):
                found.append(row)
                if len(found) == limit:
                    break
        return found

    def _ordered(self, kind: type[Row]) -> list[str]:
        """The ids of a kind in order, sorted once for all pages between two changes of them."""
        ids = self._ids.get(kind)
        if ids is None:
            ids = self._ids[kind] = sorted(self._rows.get(kind, {}))
        return ids

    def oldest(self, kind: type[Row], skipped: int, limit: int) -> list[Row | None]:
        return list(islice(self._rows.get(kind, {}).values(), skipped, skipped + limit))

    def count(self, kind: type[Row], equals: Mapping[str, str | int]) -> int:
        return len(self.select(kind, equals))

    def commit(self, writes: Writes) -> None:
        for kind, rows in writes.items():
            held = self._rows.setdefault(kind, {})
            indexes = self._indexes.get(kind)
            for row_id, write in rows.items():
                before = held.get(row_id)
                after = None if write.document is None else write.document.row
                if before is None or after is None:
                    self._ids.pop(kind, None)
                if after is None:
                    held.pop(row_id, None)
                else:
                    held[row_id] = after
                if indexes:
                    for column, index in indexes.items():
                        _move(index, column, before, after)

    def end(self) -> None:
        """Nothing is held for reads."""


def _move(index: _Index, column: str, before: Row | None, after: Row | None) -> None:
    """Keep an index right when a row changes from ``before`` to ``after``."""
    if before is not None:
        old = getattr(before, column)
        if after is not None and getattr(after, column) == old:
            return
        ids = index[old]
        ids.discard(before.id)
        if not ids:
            del index[old]
    if after is not None:
        index.setdefault(getattr(after, column), set()).add(after.id)


def _is_equal(row: Row, equals: Mapping[str, str | int]) -> bool:
    return all(getattr(row, column) == value for column, value in equals.items())


class MemoryCatalogue(ArchivingCatalogue):
    """A catalogue that is gone with the process; what ``opened`` closed can be opened again."""

    def __init__(self) -> None:
        super().__init__(_Rows(), InlineLane(), MemoryArchive())
