"""A catalogue in one SQLite file: how it is opened, and what can be wrong with it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from holdfast.catalogue.committer import GroupCommitCatalogue
from holdfast.catalogue.observer import observed
from holdfast.catalogue.ownership import Ownership
from holdfast.catalogue.port import Catalogue, CatalogueHeld
from holdfast.catalogue.schema import REVISION, TABLES
from holdfast.catalogue.sql import CommitUncertain, SqlStorage
from holdfast.errors import ConfigurationError, EnvironmentUnavailable, HoldfastError
from holdfast.runtime import runtime

_MAGIC = b"SQLite format 3\0"
_BUSY_TIMEOUT_MS = 5_000


@asynccontextmanager
async def open_catalogue(where: str | Path) -> AsyncIterator[Catalogue]:
    """Open the catalogue in a file (a path, or ``sqlite:///PATH``), creating or upgrading it.

    ``CatalogueHeld`` when another process has it, ``ConfigurationError`` when the file is something
    else, ``EnvironmentUnavailable`` when the place does not allow it. Then nothing was changed.
    """
    path = _path_of(where)
    lane = runtime().open_lane()
    try:
        opened = await lane.run(_Opened, path)
        try:
            catalogue = GroupCommitCatalogue(opened.storage, lane)
            try:
                yield catalogue
            finally:
                await catalogue.aclose()
        finally:
            await lane.run(opened.close)
    finally:
        lane.close()


class _Opened:
    """An owned, opened, current catalogue file; blocking."""

    def __init__(self, path: Path) -> None:
        _check_place(path)
        try:
            self._ownership = Ownership(path)
            # Asked by the owner: an earlier look may be from before another made the catalogue.
            is_new = not path.exists()
        except OSError as error:
            raise EnvironmentUnavailable(f"{path}: {error.strerror}") from error
        self._engine = _engine(path)
        try:
            self._connection = _connect(self._engine, path)
            self.storage = SqlStorage(self._connection, TABLES, partial(_explain, path))
        except BaseException:
            self._engine.dispose()
            if is_new:
                for ending in ("", "-wal", "-shm", "-journal"):
                    path.with_name(path.name + ending).unlink(missing_ok=True)
            self._ownership.release()
            raise

    def close(self) -> None:
        """Close the file and let others have it."""
        self._connection.close()
        self._engine.dispose()
        self._ownership.release()


def _path_of(where: str | Path) -> Path:
    text = str(where)
    scheme, colon, rest = text.partition("://")
    if not colon:
        return Path(text)
    if scheme != "sqlite" or not rest.startswith("/"):
        raise ConfigurationError(
            f"{text}: a catalogue is a SQLite file, given by its path or as sqlite:///PATH"
        )
    return Path(rest[1:])


def _check_place(path: Path) -> None:
    """Refuse what cannot be a catalogue, by looking only."""
    try:
        if path.is_dir():
            raise ConfigurationError(f"{path}: is a directory; a catalogue is a file")
        if not path.parent.is_dir():
            raise EnvironmentUnavailable(f"{path}: there is no folder {path.parent}; create it")
        if not path.exists():
            return
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise EnvironmentUnavailable(f"{path}: {error.strerror}") from error
    if head and head != _MAGIC:
        raise ConfigurationError(f"{path}: is not a catalogue (not a SQLite database)")


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        # The driver's own transactions start too late; ours start with the first read.
        connect_args={"isolation_level": None, "check_same_thread": False},
        poolclass=sa.StaticPool,
    )

    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    event.listen(engine, "begin", begin)
    return engine


def _connect(engine: sa.Engine, path: Path) -> sa.Connection:
    """A connection to a catalogue that has the newest schema and keeps what it commits."""
    try:
        connection = engine.connect()
        with connection.begin():
            revision = _revision(connection, path)
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        (mode,) = driver.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise EnvironmentUnavailable(
                f"{path}: this file system cannot hold a catalogue (no shared memory for WAL)"
            )
        driver.execute("PRAGMA synchronous=FULL")
        if revision != REVISION:
            _upgrade(connection)
    except DBAPIError as error:
        raise _explain(path, error.orig or error, committing=False) from error
    except sqlite3.Error as error:
        raise _explain(path, error, committing=False) from error
    return connection


def _revision(connection: sa.Connection, path: Path) -> str:
    """The schema's revision: empty for a new file."""
    names = set(sa.inspect(connection).get_table_names())
    if not names:
        return ""
    if "alembic_version" not in names:
        raise ConfigurationError(f"{path}: is a SQLite database of something else, no catalogue")
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or ""
    if found != REVISION:
        from holdfast.catalogue.migrations import revisions  # noqa: PLC0415 - Alembic loads slowly

        known = revisions()
        if found not in known:
            raise ConfigurationError(
                f"{path}: was written by a newer Holdfast (schema {found}; "
                f"this one knows up to {REVISION}); upgrade Holdfast"
            )
    return str(found)


def _upgrade(connection: sa.Connection) -> None:
    from holdfast.catalogue.migrations import upgrade  # noqa: PLC0415 - Alembic loads slowly

    transaction = connection.begin()
    try:
        upgrade(connection)
    except BaseException:
        transaction.rollback()
        raise
    observed(transaction.commit)


def _explain(path: Path, error: BaseException, committing: bool) -> HoldfastError:
    """An error of SQLite as a person is to read it."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return EnvironmentUnavailable(f"{path}: the disk is full; free space, then try again")
    if name.startswith("SQLITE_BUSY"):
        return CatalogueHeld(f"{path}: another program has the database locked; let it finish")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return ConfigurationError(f"{path}: is damaged or no catalogue ({error}); restore a copy")
    if committing and name.startswith("SQLITE_IOERR"):
        return CommitUncertain(
            f"{path}: the last commit may or may not be on disk ({error}, {name}); "
            "open the catalogue again and recover"
        )
    return EnvironmentUnavailable(f"{path}: the catalogue cannot be used: {error} ({name})")
