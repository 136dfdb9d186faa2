"""Rows in SQL tables, written and committed: statements compiled once, decoded rows kept."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from holdfast.catalogue.codec import Document, as_document
from holdfast.catalogue.digests import text_of
from holdfast.catalogue.port import RowDamaged, StaleVersion
from holdfast.catalogue.statements import Parameters, Statement, Statements, Writing
from holdfast.catalogue.transaction import DAMAGED, NOTHING, Write, Writes
from holdfast.contract.errors import HoldfastError
from holdfast.model.rows import Row

KEPT_MAX = 4096
"""Decoded rows kept of each kind; half of them go when there are more."""


class CommitUncertain(HoldfastError):
    """A commit failed in a way that leaves open whether it will be there after a restart."""


class SqlStorage:
    """Committed rows in SQL, for ``GroupCommitCatalogue``.

    Another program may write to them too. What is kept of them goes at the beginning of the next
    transaction, all reads of one transaction are of one moment, and each write names the version
    that it replaces.

    Args:
        connection: open, outside any transaction; everything goes through it. Its text comes as
            bytes: what is damaged may be no text.
        tables: the table of each kind of row.
        key: of the digests of rows.
        explain: turns an error of the database's driver into one for people; told whether it came
            from the commit itself, it answers ``CommitUncertain`` where that may have succeeded.
        watch: asked before each commit; what it raises, the commit does.
        changed: asked first in each transaction: whether another program has committed since the
            last one began.
    """

    def __init__(
        self,
        connection: sa.Connection,
        tables: Mapping[type[Row], sa.Table],
        explain: Callable[[Exception, bool], HoldfastError],
        *,
        key: int,
        watch: Callable[[], None],
        changed: Callable[[], bool],
    ) -> None:
        dialect = connection.dialect
        self._connection = connection
        self._explain = explain
        self._watch = watch
        self._changed = changed
        # The driver's own base of all its errors.
        self._failure: type[Exception] = dialect.loaded_dbapi.Error
        self._statements = {
            kind: Statements(kind, table, dialect, key) for kind, table in tables.items()
        }
        self._kept: dict[type[Row], dict[str, Row]] = {kind: {} for kind in tables}
        self._transaction: sa.RootTransaction | None = None
        self._cursor: Any = None
        self._uncertain = ""

    def document(self, row: Row) -> Document:
        """A row with its document."""
        return as_document(row)

    def find(self, kind: type[Row], row_id: str) -> Row | None:
        """The committed row of this id."""
        if self._transaction is None:
            self._begin()
        kept = self._kept[kind]
        row = kept.get(row_id)
        if row is None:
            statements = self._statements[kind]
            found = self._fetch(statements.find, {"row_id": row_id})
            if found:
                row = kept[row_id] = statements.row(row_id, *found[0])
        return row

    def select(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[Row]:
        """The committed rows whose columns equal these values; ``RowDamaged`` for one of them."""
        rows, damaged = self._read(kind, equals)
        if damaged:
            raise damaged[0]
        return rows

    def intact(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[Row]:
        """Those of them that are what was written."""
        return self._read(kind, equals)[0]

    def damaged(self, kind: type[Row], equals: Mapping[str, str | int]) -> list[RowDamaged]:
        """The others."""
        return self._read(kind, equals)[1]

    def _read(
        self, kind: type[Row], equals: Mapping[str, str | int]
    ) -> tuple[list[Row], list[RowDamaged]]:
        statement = self._statements[kind].select(tuple(sorted(equals)))
        return self._decoded(kind, self._fetch(statement, _wanted(equals)))

    def oldest(self, kind: type[Row], skipped: int, limit: int) -> list[Row | None]:
        """The rows of a kind in the order they were made; ``None`` for one that is damaged."""
        values = {"row_limit": limit, "row_offset": skipped}
        fetched = self._fetch(self._statements[kind].oldest(), values)
        return [next(iter(self._decoded(kind, (one,))[0]), None) for one in fetched]

    def count(self, kind: type[Row], equals: Mapping[str, str | int]) -> int:
        """How many rows have these values in their columns."""
        statement = self._statements[kind].count(tuple(sorted(equals)))
        found: int = self._fetch(statement, _wanted(equals))[0][0]
        return found

    def _decoded(
        self, kind: type[Row], fetched: Iterable[tuple[Any, ...]]
    ) -> tuple[list[Row], list[RowDamaged]]:
        """The rows that were fetched, which are kept, and what is wrong with the others."""
        kept = self._kept[kind]
        rows: list[Row] = []
        damaged: list[RowDamaged] = []
        for stored, body, digest in fetched:
            row_id = text_of(stored)
            row = kept.get(row_id)
            if row is None:
                try:
                    row = kept[row_id] = self._statements[kind].row(row_id, body, digest)
                except RowDamaged as problem:
                    damaged.append(problem)
                    continue
            rows.append(row)
        return rows, damaged

    def page(
        self, kind: type[Row], equals: Mapping[str, str | int], after: str, limit: int
    ) -> list[Row]:
        """The next of those rows that are intact, in order of ids; none is kept for that."""
        statement = self._statements[kind].page(tuple(sorted(equals)))
        values = {**_wanted(equals), "row_offset": 0}
        rows: list[Row] = []
        while len(rows) < limit:
            left = limit - len(rows)
            start = after.encode(errors="surrogateescape")
            fetched = self._fetch(statement, {**values, "after": start, "row_limit": left})
            if not fetched:
                break
            after = text_of(fetched[-1][0])
            rows += self._intact_of(kind, fetched)
        return rows

    def _intact_of(self, kind: type[Row], fetched: Iterable[tuple[Any, ...]]) -> Iterator[Row]:
        kept, statements = self._kept[kind], self._statements[kind]
        for stored, body, digest in fetched:
            row_id = text_of(stored)
            with contextlib.suppress(RowDamaged):
                yield kept.get(row_id) or statements.row(row_id, body, digest)

    def commit(self, writes: Writes) -> None:
        """Write everything in one durable commit, or nothing."""
        self._watch()
        transaction = self._begin()
        try:
            for kind, rows in writes.items():
                self._write(kind, rows)
        except Exception as error:
            self._forget()
            raise self._told(error) from error
        try:
            transaction.commit()
        except Exception as error:
            self._forget()
            told = self._told(error, committing=True)
            if isinstance(told, CommitUncertain):
                self._uncertain = str(told)
            raise told from error
        self._transaction = None
        for kind, rows in writes.items():
            kept = self._kept[kind]
            for row_id, write in rows.items():
                if write.document is None:
                    kept.pop(row_id, None)
                else:
                    kept[row_id] = write.document.row

    def end(self) -> None:
        """Leave the read transaction, and keep only so many rows."""
        transaction, self._transaction = self._transaction, None
        if self._cursor is not None:
            # An open cursor would keep the file open past the connection's end.
            self._cursor.close()
            self._cursor = None
        if transaction is not None:
            transaction.rollback()
        for kept in self._kept.values():
            if len(kept) > KEPT_MAX:
                for row_id in list(islice(kept, KEPT_MAX // 2)):
                    del kept[row_id]

    def _begin(self) -> sa.RootTransaction:
        if self._transaction is None:
            if self._uncertain:
                raise CommitUncertain(self._uncertain)
            self._transaction = self._begun()
        return self._transaction

    def _begun(self) -> sa.RootTransaction:
        """A transaction whose reads are of one moment, also those of what is kept."""
        transaction: sa.RootTransaction | None = None
        try:
            transaction = self._connection.begin()
            self._cursor = self._connection.connection.cursor()
            if self._changed():
                self._forget()
        except Exception as error:
            # Nobody may go on with what is kept where it was not seen to be of this moment.
            self._forget()
            self._cursor = None
            with contextlib.suppress(Exception):
                if transaction is not None:
                    transaction.rollback()
            raise self._told(error) from error
        return transaction

    def _fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        self._begin()
        try:
            self._cursor.execute(statement.sql, statement.bind(values))
            found: list[tuple[Any, ...]] = self._cursor.fetchall()
        except self._failure as error:
            raise self._told(error) from error
        return found

    def _write(self, kind: type[Row], rows: Mapping[str, Write]) -> None:
        """Bring one table from what was committed to ``rows``: three statements, and one for each
        row that was given up.
        """
        statements = self._statements[kind]
        insert: list[Parameters] = []
        update: list[Parameters] = []
        delete: list[Parameters] = []
        for row_id, write in rows.items():
            is_new = write.replaces in (NOTHING, DAMAGED)
            if write.replaces == DAMAGED:
                stored = {"stored": row_id.encode(errors="surrogateescape")}
                self._cursor.execute(statements.discard.sql, statements.discard.bind(stored))
            if write.document is None:
                if not is_new:
                    old = {"row_id": row_id, "old_version": write.replaces}
                    delete.append(statements.delete.bind(old))
                continue
            values = statements.values(write.document, 0 if is_new else write.replaces)
            if is_new:
                insert.append(statements.insert.bind(values))
            else:
                update.append(statements.update.bind(values))
        self._execute_many(statements.delete, delete)
        self._execute_many(statements.insert, insert)
        self._execute_many(statements.update, update)

    def _execute_many(
        self, statement: Statement | Writing, parameters: Sequence[Parameters]
    ) -> None:
        if not parameters:
            return
        self._cursor.executemany(statement.sql, parameters)
        if self._cursor.rowcount != len(parameters):
            raise StaleVersion("another program changed the catalogue; read again")

    def _forget(self) -> None:
        """What is kept may not be what is stored."""
        for kept in self._kept.values():
            kept.clear()

    def _told(self, error: Exception, *, committing: bool = False) -> Exception:
        """The error as a person is to read it."""
        for cause in _causes(error):
            if isinstance(cause, HoldfastError):
                return cause
            if isinstance(cause, self._failure):
                return self._explain(cause, committing)
        return error


def _wanted(equals: Mapping[str, str | int]) -> dict[str, str | int]:
    return {
        f"is_{name}": str(value) if isinstance(value, str) else value
        for name, value in equals.items()
    }


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
