"""The catalogue in memory: for simulations and tests, with the rules and yields of the SQL one."""

from bisect import bisect_right
from collections.abc import Mapping

from holdfast.catalogue.buffer import Writes
from holdfast.catalogue.committer import GroupCommitCatalogue
from holdfast.model.rows import Row
from holdfast.runtime import InlineLane


class _Rows:
    """A storage that is a dictionary; it ends with the process."""

    def __init__(self) -> None:
        self._rows: dict[type[Row], dict[str, Row]] = {}
        self._ids: dict[type[Row], list[str]] = {}

    def find(self, kind: type[Row], row_id: str) -> Row | None:
        return self._rows.get(kind, {}).get(row_id)

    def select(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[Row]:
        return [
            row
            for row in self._rows.get(kind, {}).values()
            if all(getattr(row, column) == value for column, value in equals.items())
        ]

    def page(
        self, kind: type[Row], equals: Mapping[str, str | int], after: str, limit: int
    ) -> list[Row]:
        ids = self._ordered(kind)
        found: list[Row] = []
        for at in range(bisect_right(ids, after), len(ids)):
            row = self._rows[kind][ids[at]]
            if all(getattr(row, column) == value for column, value in equals.items()):
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

    def commit(self, writes: Writes) -> None:
        for kind, rows in writes.items():
            held = self._rows.setdefault(kind, {})
            for row_id, row in rows.items():
                if row is None or row_id not in held:
                    self._ids.pop(kind, None)
                if row is None:
                    held.pop(row_id, None)
                else:
                    held[row_id] = row

    def end(self) -> None:
        """Nothing is held for reads."""


class MemoryCatalogue(GroupCommitCatalogue):
    """A catalogue that is gone with the process; ``MemoryCatalogue()`` is open at once."""

    def __init__(self) -> None:
        super().__init__(_Rows(), InlineLane())
