"""The archive of a catalogue in a SQLite file beside it: made when the first row goes there."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from holdfast.catalogue.codec import decode, encode
from holdfast.catalogue.damage import UNREADABLE, structure_damage
from holdfast.catalogue.digests import damage_of, digest_of, table_seed, text_of
from holdfast.catalogue.port import Archived, CatalogueDamaged, Damage
from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable
from holdfast.files.private import (
    close_to_others,
    create,
    look_at,
    open_existing,
    refuse_shared,
)
from holdfast.model.rows import ROWS, Operation, Row, Step

VERSION = 1
_TABLES = {kind.table: kind for kind in ROWS}
_SCHEMA = (
    "CREATE TABLE about (id INTEGER PRIMARY KEY, key INTEGER NOT NULL)",
    (
        "CREATE TABLE archived (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, "
        "operation TEXT NOT NULL, archived_s REAL NOT NULL, body TEXT NOT NULL, "
        "digest INTEGER NOT NULL, UNIQUE (kind, id))"
    ),
    "CREATE INDEX archived_by_operation ON archived (operation)",
)
_PUT = """
INSERT INTO archived (kind, id, operation, archived_s, body, digest) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body, digest = excluded.digest
"""


def archive_of(catalogue: Path) -> Path:
    """Where the archive of a catalogue is."""
    return catalogue.with_name(catalogue.name + ".archive")


class ArchiveFile:
    """The archive of one catalogue; blocking, and open only while it is used.

    Args:
        path: of the archive.
        key: of the catalogue; an archive with another key is another catalogue's.
    """

    def __init__(self, path: Path, key: int) -> None:
        self._path = path
        self._key = key

    def put(self, rows: Sequence[tuple[str, Row]], now_s: float) -> None:
        """Have these rows durably, and see that they are there as they were given."""
        given: list[tuple[str, str, str, float, str, int]] = []
        for operation, row in rows:
            body = encode(row)
            digest = digest_of(body, table_seed(self._key, row.table))
            given.append((row.table, row.id, operation, now_s, body.decode(), digest))
        with self._opened(making=True) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_PUT, given)
            connection.execute("COMMIT")
            for kind, row_id, _, _, text, digest in given:
                kept = connection.execute(
                    "SELECT body, digest FROM archived WHERE kind = ? AND id = ?", (kind, row_id)
                ).fetchone()
                if kept != (text.encode(), digest):
                    raise CatalogueDamaged(f"{self._path}: does not keep what is put into it")

    def page(self, after: int, limit: int) -> list[Archived]:
        """The next archived operations, in the order they went; none that is damaged."""
        if look_at(self._path) is None:
            return []
        with self._opened() as connection:
            found: list[Archived] = []
            seed, step_seed = (table_seed(self._key, kind.table) for kind in (Operation, Step))
            for number, row_id, body, digest in connection.execute(
                "SELECT number, id, body, digest FROM archived "
                "WHERE kind = ? AND number > ? ORDER BY number LIMIT ?",
                (Operation.table, after, limit),
            ).fetchall():
                operation = damage_of(Operation, text_of(row_id), body, digest, seed)
                if isinstance(operation, str):
                    continue
                steps = [
                    damage_of(Step, text_of(step_id), step, step_digest, step_seed)
                    for step_id, step, step_digest in connection.execute(
                        "SELECT id, body, digest FROM archived "
                        "WHERE kind = ? AND operation = ? ORDER BY id",
                        (Step.table, operation.id),
                    )
                ]
                found.append(
                    Archived(
                        number=number,
                        operation=operation,
                        steps=tuple(step for step in steps if isinstance(step, Step)),
                    )
                )
            return found

    def check(self) -> Iterator[Damage]:
        """Everything in the archive that is not what was written."""
        try:
            if look_at(self._path) is None:
                return
            with self._opened() as connection:
                connection.execute("BEGIN")
                yield from structure_damage(connection, self._path)
                yield from self._damaged_rows(connection)
        except (*UNREADABLE, ConfigurationError, EnvironmentUnavailable) as error:
            yield Damage(what="archive", key=str(self._path), detail=str(error))

    def _damaged_rows(self, connection: sqlite3.Connection) -> Iterator[Damage]:
        for stored_kind, stored_id, body, digest in connection.execute(
            "SELECT kind, id, body, digest FROM archived NOT INDEXED"
        ):
            kind, row_id = _TABLES.get(text_of(stored_kind)), text_of(stored_id)
            problem: object = "there is no such kind of row"
            if kind is not None:
                problem = damage_of(kind, row_id, body, digest, table_seed(self._key, kind.table))
            if isinstance(problem, str):
                yield Damage(what=f"archived {text_of(stored_kind)}", key=row_id, detail=problem)

    @contextmanager
    def _opened(self, *, making: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection to the archive.

        Raises:
            CatalogueDamaged: it is another catalogue's, or no archive.
            EnvironmentUnavailable: the place does not allow it.
        """
        try:
            self._prepare(making=making)
            with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                # One file, durable with its name, whatever dies: no WAL that could be left behind.
                connection.execute("PRAGMA synchronous=EXTRA")
                connection.execute("PRAGMA secure_delete=ON")
                self._recognize(connection, making=making)
                connection.text_factory = bytes
                yield connection
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            name = getattr(error, "sqlite_errorname", "") or ""
            unreadable = isinstance(error, UnicodeDecodeError)
            if unreadable or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
                raise self._foreign(f"is damaged or no archive ({error})") from error
            raise EnvironmentUnavailable(f"{self._path}: cannot be used: {error}") from error
        except OSError as error:
            raise EnvironmentUnavailable(f"{self._path}: {error.strerror}") from error

    def _prepare(self, *, making: bool) -> None:
        for ending in ("", "-wal", "-shm", "-journal"):
            refuse_shared(self._path.with_name(self._path.name + ending))
        if making and look_at(self._path) is None:
            os.close(create(self._path))
        fd = open_existing(self._path)
        try:
            close_to_others(self._path, fd)
        finally:
            os.close(fd)

    def _recognize(self, connection: sqlite3.Connection, *, making: bool) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version > VERSION:
            raise ConfigurationError(f"{self._path}: was written by a newer Holdfast; upgrade it")
        if version == VERSION:
            about = connection.execute("SELECT key FROM about").fetchone()
            if about is None or about[0] != self._key:
                raise self._foreign("is the archive of another catalogue")
            return
        if tables:
            raise self._foreign("is a database of something else")
        if making:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO about VALUES (1, ?)", (self._key,))
            connection.execute(f"PRAGMA user_version={VERSION}")
            connection.execute("COMMIT")
        else:  # made by one who died before anything went there
            connection.execute(_SCHEMA[1].replace("TABLE", "TEMP TABLE"))

    def _foreign(self, problem: str) -> CatalogueDamaged:
        return CatalogueDamaged(
            f"{self._path}: {problem}; move it away (a new one is begun), or put back the right one"
        )


class MemoryArchive:
    """The archive of a catalogue in memory."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[str, bytes]] = {}

    def put(self, rows: Sequence[tuple[str, Row]], now_s: float) -> None:
        """Keep them."""
        del now_s
        for operation, row in rows:
            self._rows[row.table, row.id] = (operation, encode(row))

    def page(self, after: int, limit: int) -> list[Archived]:
        """The next archived operations, in the order they went."""
        operations = [
            (number, decode(Operation, body))
            for number, ((table, _), (_, body)) in enumerate(self._rows.items(), 1)
            if table == Operation.table and number > after
        ]
        return [
            Archived(number=number, operation=operation, steps=self._steps_of(operation.id))
            for number, operation in operations[:limit]
        ]

    def _steps_of(self, operation: str) -> tuple[Step, ...]:
        return tuple(
            decode(Step, body)
            for (table, _), (owner, body) in self._rows.items()
            if table == Step.table and owner == operation
        )
