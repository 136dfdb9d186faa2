"""A look at a catalogue before it is opened: nothing is written, whatever is found.

What was closed gets a short look. What a killed owner left is read whole once, with its WAL, before
SQLite brings the WAL into the file.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from holdfast.catalogue import wal
from holdfast.catalogue.damage import read_rows, schema_digest
from holdfast.catalogue.digests import text_of
from holdfast.catalogue.owner_lock import Ownership
from holdfast.catalogue.port import CatalogueDamaged
from holdfast.catalogue.schema import REVISION
from holdfast.contract.errors import ConfigurationError

QUICK_MAX_BYTES = 8 << 20
"""A larger catalogue that was closed has its history (most of it) looked at by scrub only."""

_HISTORY = frozenset({"operations", "steps"})
_WAL_VERSIONS = b"\x02\x02"
_VERSIONS_AT = 18


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a catalogue told: its revision (empty for a new one) and its digests' key."""

    revision: str = ""
    key: int | None = None
    opened_as: str = ""
    has_free_pages: bool = False


def name_of(path: Path) -> str:
    """A path as a catalogue keeps it."""
    return quote_from_bytes(str(path).encode(errors="surrogateescape"))


def examine(owned: Ownership, told: Path) -> Examined:
    """Look at the catalogue that was just locked.

    Raises:
        CatalogueDamaged: it, or its WAL, is not what was written.
        ConfigurationError: it is no catalogue, or one of a newer Holdfast.
        sqlite3.Error: SQLite cannot read it.
    """
    path = owned.path
    index = wal.read_index(_beside(path, "-shm"))
    wal.check_presence(path, index)
    if wal.is_empty(_beside(path, "-wal")):
        if path.stat().st_size == 0:
            return Examined()
        with closing(_connect(path, "immutable=1")) as connection:
            found = _read(connection, told)
            _check_journal(path)
            if found.revision == REVISION:
                _check_name(path, found.opened_as)
                _check_schema(connection, told)
            _check_structure(connection, told, whole=path.stat().st_size <= QUICK_MAX_BYTES)
        return found
    if path.stat().st_size == 0:
        # SQLite would remove the WAL, unread.
        raise CatalogueDamaged(
            f"{told}: is empty, and its -wal is not; put back what the WAL belongs to, or restore "
            "both from a copy"
        )
    with closing(_connect(path, "mode=ro")) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        wal.check_frames(path, wal.frames_in(_beside(path, "-shm")), index)
        found = _read(connection, told)
        _check_structure(connection, told, whole=True)
        if found.revision == REVISION and found.key is not None:
            _check_schema(connection, told)
            _check_rows(connection, path, found.key)
    return found


def _connect(path: Path, how: str) -> sqlite3.Connection:
    uri = f"file:{name_of(path)}?{how}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    connection.text_factory = text_of  # damaged text is compared too, and then told
    return connection


def _read(connection: sqlite3.Connection, told: Path) -> Examined:
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not names:
        return Examined()
    if "alembic_version" not in names:
        raise ConfigurationError(f"{told}: is a SQLite database of something else, no catalogue")
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    revision = str(row[0]) if row else ""
    if revision != REVISION:
        _check_known(revision, told)
    key, opened_as = None, ""
    if "catalogue" in names:
        about = connection.execute("SELECT key, opened_as FROM catalogue").fetchone()
        if about is None or not isinstance(about[0], int):
            raise _damaged(told, "it does not know its own key")
        key, opened_as = about[0], str(about[1])
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return Examined(revision=revision, key=key, opened_as=opened_as, has_free_pages=free > 0)


def _check_known(revision: str, told: Path) -> None:
    from holdfast.catalogue.migrations import revisions  # noqa: PLC0415 - Alembic loads slowly

    if revision not in revisions():
        raise ConfigurationError(
            f"{told}: was written by a newer Holdfast (schema {revision}; "
            f"this one knows up to {REVISION}); upgrade Holdfast"
        )


def _check_name(path: Path, opened_as: str) -> None:
    """See that no WAL waits beside another name of this very file."""
    if opened_as in ("", name_of(path)):
        return
    kept = opened_as.encode(errors="surrogateescape")
    before = Path(unquote_to_bytes(kept).decode(errors="surrogateescape"))
    left = _beside(before, "-wal")
    try:
        same = before.samefile(path)
    except ValueError:
        return  # damaged: no file can be called so
    except OSError:
        same = True  # it was moved; what it left behind was not
    if same and not wal.is_empty(left):
        raise CatalogueDamaged(
            f"{path}: was last open as {before}, and its last commits are in {left}; open it by "
            f"that name, or move {left.name} here as {path.name}-wal"
        )


def _check_journal(path: Path) -> None:
    """A journal that is played back changes what is there, and a catalogue in WAL mode has none."""
    journal = _beside(path, "-journal")
    if wal.is_empty(journal) or path.stat().st_size <= 1 << 16:
        return
    with path.open("rb") as file:
        file.seek(_VERSIONS_AT)
        in_wal_mode = file.read(2) == _WAL_VERSIONS
    if in_wal_mode:
        raise CatalogueDamaged(
            f"{journal}: is not of this catalogue, which keeps no such journal; move it away"
        )


def _check_schema(connection: sqlite3.Connection, told: Path) -> None:
    (kept,) = connection.execute("SELECT schema FROM catalogue").fetchone()
    if kept != schema_digest(connection):
        raise _damaged(told, "its schema is not what was written")


def _check_structure(connection: sqlite3.Connection, told: Path, *, whole: bool) -> None:
    for problem in _structure(connection, whole=whole):
        raise _damaged(told, problem)


def _structure(connection: sqlite3.Connection, *, whole: bool) -> Iterator[str]:
    if whole:
        checks = ["PRAGMA quick_check(1)"]
    else:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        checks = [f"PRAGMA quick_check('{name}')" for (name,) in tables if name not in _HISTORY]
    for check in checks:
        for (line,) in connection.execute(check):
            if line != "ok":
                yield str(line).replace("\n", " ")


def _check_rows(connection: sqlite3.Connection, path: Path, key: int) -> None:
    """See that the WAL damages no row; one that is damaged without it too is a finding of scrub."""
    damaged = {(one.what, one.key) for one in read_rows(connection, key)}
    if not damaged:
        return
    with closing(_connect(path, "immutable=1")) as without:
        before = {(one.what, one.key) for one in read_rows(without, key)}
    new = sorted(damaged - before)
    if new and all(row_id for _, row_id in before):
        what, row_id = new[0]
        raise CatalogueDamaged(
            f"{_beside(path, '-wal')}: is not that of this catalogue, or damaged: with it "
            f"{len(new)} rows are not what was written, first {what} {row_id}; restore the "
            "catalogue with its -wal from a copy. To go on without it, move it away"
        )


def _damaged(told: Path, problem: str) -> CatalogueDamaged:
    return CatalogueDamaged(
        f"{told}: is damaged ({problem}); restore it from a copy, or save what can be read with "
        f"sqlite3 {told} .recover"
    )


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
