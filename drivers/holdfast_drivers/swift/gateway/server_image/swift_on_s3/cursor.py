"""A listing's names in their order, page by page, from keys that sort almost as names do."""

from collections.abc import Callable, Sequence
from typing import Generic

from . import keys
from .records import Record
from .s3 import Listed, Page


class Cursor(Generic[Record]):
    """The names under a prefix of keys, in the order of names.

    Args:
        page: lists keys with a prefix from behind one of them.
        readable: the records of listed keys, asked only where a name did not fit into its key.
        root: what the keys of all names begin with.
        prefix: what all names begin with.
    """

    def __init__(
        self,
        page: Callable[[str, str], Page],
        readable: Callable[[Sequence[Listed]], list[Record | None]],
        root: str,
        prefix: str,
    ) -> None:
        self._page, self._root = page, root
        self._readable: Callable[[Sequence[Listed]], list[Record | None]] = readable
        self._prefix = root + keys.stem(prefix)
        self._after = ""
        self._least = ""
        self._rows: list[Listed] = []
        self._at = 0
        self._more = True
        self._sorted: list[tuple[str, Listed]] = []

    def seek(self, least: str) -> None:
        """Go on with the first name that is not smaller."""
        self._least = max(self._least, least)
        place = self._root + keys.stem(self._least)
        while self._at < len(self._rows) and self._rows[self._at].key < place:
            self._at += 1
        if self._at == len(self._rows):
            self._after = max(self._after, place)

    def take(self) -> tuple[str, Listed] | None:
        """The next name and its key."""
        while True:
            if self._sorted:
                entry = self._sorted.pop(0)
            else:
                row = self._row()
                if row is None:
                    return None
                entry = self._named(row)
            if entry[0] >= self._least:
                return entry

    def _row(self) -> Listed | None:
        if self._at == len(self._rows):
            if not self._more:
                return None
            page = self._page(self._prefix, self._after)
            self._rows, self._at, self._more = list(page.entries), 0, page.more
            if not self._rows:
                return None
            self._after = max(self._after, self._rows[-1].key)
        self._at += 1
        return self._rows[self._at - 1]

    def _named(self, row: Listed) -> tuple[str, Listed]:
        """The name of a key; where names were cut, all that share the cut come sorted."""
        part = row.key[len(self._root) :]
        name = keys.name_of(part)
        family = keys.family(part)
        if family is None and name is not None:
            return name, row
        members = [row]
        while (other := self._row()) is not None:
            if keys.family(other.key[len(self._root) :]) != family:
                self._at -= 1
                break
            members.append(other)
        records = self._readable(members)
        named = [
            (record.name, member)
            for record, member in zip(records, members, strict=True)
            if record is not None
        ]
        self._sorted = sorted(named, key=lambda pair: pair[0])
        return self._sorted.pop(0) if self._sorted else (name or "", row)
