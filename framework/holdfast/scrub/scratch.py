"""What an enumeration showed, kept on disk while it is compared, so that no store fills the memory.

A private SQLite database without a name: it is in a temporary file as soon as it outgrows its
cache, and it is gone with its connection, whatever ends the process. Blocking; used in one lane.
"""

import sqlite3
from collections.abc import Sequence

from holdfast.contract.answers import OwnedKind, OwnedThing

_CACHE_KIB = 2_048
_COLUMNS = "kind, id, key, size_bytes, unfinished, operation, reason"
_SCHEMA = """
    CREATE TABLE things (
        number INTEGER PRIMARY KEY, kind TEXT, id TEXT, key TEXT, size_bytes INTEGER,
        unfinished INTEGER, operation TEXT, reason TEXT, matched INTEGER DEFAULT 0
    );
    CREATE INDEX by_key ON things (key, kind);
    CREATE INDEX by_id ON things (id) WHERE kind = 'grant';
    CREATE INDEX unmatched ON things (number) WHERE matched = 0;
"""


class Scratch:
    """The things of one enumeration, and which of them a row accounts for."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        # Nobody will ever read it again: it needs neither a journal nor to be durable.
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def add(self, things: Sequence[OwnedThing]) -> None:
        """Keep what was seen."""
        self._db.execute("BEGIN")
        self._db.executemany(
            f"INSERT INTO things ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            [
                (
                    thing.kind.value,
                    thing.id,
                    thing.key,
                    thing.size_bytes,
                    thing.unfinished,
                    thing.operation,
                    thing.reason,
                )
                for thing in things
            ],
        )
        self._db.execute("COMMIT")

    def match(self, kind: OwnedKind, keys: Sequence[str]) -> list[int | None]:
        """The sizes of the finished things under these keys, which rows account for now."""
        self._db.execute("BEGIN")
        sizes: list[int | None] = []
        for key in keys:
            rows = self._db.execute(
                "UPDATE things SET matched = 1 WHERE key = ? AND kind = ? AND NOT unfinished "
                "RETURNING size_bytes",
                (key, kind.value),
            ).fetchall()
            sizes.append(rows[0][0] if rows else None)
        self._db.execute("COMMIT")
        return sizes

    def match_grants(self, ids: Sequence[str]) -> list[bool]:
        """Whether there are grants of these ids, which rows account for now."""
        self._db.execute("BEGIN")
        matches = [
            self._db.execute(
                "UPDATE things SET matched = 1 WHERE id = ? AND kind = 'grant'", (grant,)
            ).rowcount
            > 0
            for grant in ids
        ]
        self._db.execute("COMMIT")
        return matches

    def unmatched(self, after: int, limit: int) -> list[tuple[int, OwnedThing]]:
        """The next things that no row accounts for, each with its number."""
        rows = self._db.execute(
            f"SELECT number, {_COLUMNS} FROM things WHERE matched = 0 AND number > ? "  # noqa: S608 - a constant
            "ORDER BY number LIMIT ?",
            (after, limit),
        )
        return [
            (
                number,
                OwnedThing(
                    kind=OwnedKind(kind),
                    id=thing_id,
                    key=key,
                    size_bytes=size_bytes,
                    unfinished=bool(unfinished),
                    operation=operation,
                    reason=reason,
                ),
            )
            for number, kind, thing_id, key, size_bytes, unfinished, operation, reason in rows
        ]

    def has_prefix(self, prefix: str) -> bool:
        """Whether anything was seen whose key begins like this."""
        cursor = self._db.execute(
            "SELECT 1 FROM things WHERE key >= ? AND key < ? LIMIT 1",
            (prefix, prefix + "\U0010ffff"),
        )
        return cursor.fetchone() is not None
