"""The full check of a catalogue's file: its structure, its indexes, and every row by its digest."""

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import xxhash

from holdfast.catalogue.digests import damage_of, table_seed, text_of
from holdfast.catalogue.port import Damage
from holdfast.model.rows import ROWS, Row

_FREE_AT = 32
"""Where a SQLite file has the first trunk of its free pages, and their number."""
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What tells that SQLite cannot read a file; the second where what is damaged is text that stands
in the message of the first."""
LINES_MAX = 20
"""Lines of SQLite's own check that are told; a torn page makes thousands."""


def check_file(path: Path, uri: str, key: int) -> tuple[Damage, ...]:
    """Everything in a catalogue that is not what was written; in a snapshot, beside its owner."""
    found: list[Damage] = []
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.text_factory = text_of
            connection.execute("BEGIN")
            found += structure_damage(connection, path)
            (kept,) = connection.execute("SELECT schema FROM catalogue").fetchone()
            if kept != schema_digest(connection):
                found.append(_of_file(path, "its schema is not what was written"))
            found += read_rows(connection, key)
    except (*UNREADABLE, TypeError) as error:
        found.append(_of_file(path, f"it cannot be read: {error}"))
    return tuple(found)


def structure_damage(connection: sqlite3.Connection, path: Path) -> Iterator[Damage]:
    """What SQLite's own full check says."""
    lines = connection.execute(f"PRAGMA integrity_check({LINES_MAX})").fetchall()
    for (line,) in lines:
        text = text_of(line)
        if text != "ok":
            yield _of_file(path, text.replace("\n", " "))


def schema_digest(connection: sqlite3.Connection) -> int:
    """A digest of every table and index, to be kept in the catalogue itself."""
    digest = xxhash.xxh3_64()
    # An operator's ANALYZE makes tables of its own.
    names = (
        "SELECT type, name, tbl_name, sql FROM sqlite_master "
        "WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name"
    )
    for row in connection.execute(names):
        digest.update(repr(row).encode())
    return digest.intdigest() >> 1


def read_rows(connection: sqlite3.Connection, key: int) -> Iterator[Damage]:
    """Every damaged row; with an empty key, a table that cannot be read to its end."""
    connection.text_factory = bytes
    for kind in ROWS:
        seed = table_seed(key, kind.table)
        columns = ("id", "version", *kind.columns, "body", "digest")
        # In the order of the table itself: an index may be what is damaged.
        statement = f"SELECT {', '.join(columns)} FROM {kind.table} NOT INDEXED"  # noqa: S608 - the names are those of the schema
        try:
            for stored in connection.execute(statement):
                problem = _problem(kind, stored, seed)
                if problem:
                    yield Damage(what=kind.__name__, key=text_of(stored[0]), detail=problem)
        except UNREADABLE as error:
            yield Damage(what=kind.__name__, key="", detail=f"the table cannot be read: {error}")


def _problem(kind: type[Row], stored: tuple[object, ...], seed: int) -> str:
    row_id, version, *columns, body, digest = stored
    row = damage_of(kind, text_of(row_id), body, digest, seed)
    if isinstance(row, str):
        return row
    if version != row.version:
        return f"its version is {version!r} beside a body that says {row.version}"
    for name, value in zip(kind.columns, columns, strict=True):
        expected = getattr(row, name)
        if isinstance(expected, str):
            if value != str(expected).encode():
                return f"its {name} is {text_of(value)!r} beside a body that says {expected!r}"
        elif value != expected:
            return f"its {name} is {value!r} beside a body that says {expected!r}"
    return ""


def _of_file(path: Path, detail: str) -> Damage:
    return Damage(what="catalogue", key=str(path), detail=detail)


def free_page_damage(path: Path, fd: int) -> Iterator[Damage]:
    """Free pages that are not blank, which SQLite itself does not look at.

    The file is to hold all that is in its WAL, and nobody may write meanwhile.
    """
    head = os.pread(fd, 100, 0)
    (size,) = struct.unpack_from(">H", head, 16)
    page_size = 65536 if size == 1 else size
    trunk, count = struct.unpack_from(">II", head, _FREE_AT)
    seen = 0
    while trunk and seen < count:
        page = os.pread(fd, page_size, (trunk - 1) * page_size)
        if len(page) < page_size:
            return  # SQLite's own check names a list that leads nowhere
        trunk, leaves = struct.unpack_from(">II", page)
        seen += 1
        for leaf in struct.unpack_from(f">{min(leaves, page_size // 4 - 2)}I", page, 8):
            seen += 1
            if any(os.pread(fd, page_size, (leaf - 1) * page_size)):
                yield _of_file(path, f"page {leaf} is free, and not blank")
