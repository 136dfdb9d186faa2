"""A catalogue in one SQLite file: how it is opened, and what can be wrong with it."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from holdfast.catalogue.archive import ArchiveFile, archive_of
from holdfast.catalogue.damage import UNREADABLE, check_file, schema_digest
from holdfast.catalogue.examination import Examined, examine, name_of
from holdfast.catalogue.history import ArchivingCatalogue
from holdfast.catalogue.observer import observed
from holdfast.catalogue.owner_lock import Ownership, check_place
from holdfast.catalogue.port import (
    Catalogue,
    CatalogueDamaged,
    CatalogueHeld,
    Damage,
    StaleVersion,
)
from holdfast.catalogue.schema import CATALOGUE, REVISION, TABLES
from holdfast.catalogue.sql import CommitUncertain, SqlStorage
from holdfast.concurrency.owned import undisturbed
from holdfast.concurrency.runtime import Lane, runtime
from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable, HoldfastError
from holdfast.credentials.secret_file import FileKeeper, secrets_beside
from holdfast.credentials.secret_keeper import SecretKeeper

_BUSY_TIMEOUT_MS = 5_000
_ERASED = 1
"""SQLite's ``user_version`` of a catalogue that holds nothing but its rows; of one from before
secrets were kept apart, and while an erasure is owed, it is 0."""


@asynccontextmanager
async def open_catalogue(where: str | Path) -> AsyncIterator[Catalogue]:
    """Open the catalogue in a file (a path, or ``sqlite:///PATH``), creating or upgrading it.

    ``CatalogueHeld`` when another process has it, ``ConfigurationError`` when the file is something
    else, ``EnvironmentUnavailable`` when the place does not allow it. Then nothing was changed.
    """
    async with (
        _opened_file(_path_of(where)) as (opened, lane),
        SqliteCatalogue(opened, lane).opened() as catalogue,
    ):
        await catalogue.archive_at_opening()
        yield catalogue


@asynccontextmanager
async def _opened_file(path: Path) -> AsyncIterator[tuple["_Opened", Lane]]:
    """The file, and the lane that it is used in; closed when the context has ended.

    A thread that opens or closes it is waited for by whoever is cancelled meanwhile: it could not
    be stopped, and others would find the file in use.
    """
    lane = runtime().open_lane()
    opened: list[_Opened] = []
    try:
        try:
            await undisturbed(lane.run(lambda: opened.append(_Opened(path))))
            yield opened[0], lane
        finally:
            for one in opened:
                await undisturbed(lane.run(one.close))
    finally:
        lane.close()


class SqliteCatalogue(ArchivingCatalogue):
    """A catalogue in an owned, opened, current file."""

    def __init__(self, opened: "_Opened", lane: Lane) -> None:
        super().__init__(opened.storage, lane, opened.archive)
        self._opened = opened

    @property
    def secrets(self) -> SecretKeeper:
        """In a file beside the catalogue."""
        return self._opened.secrets

    async def check(self) -> tuple[Damage, ...]:
        """As the interface says; what is read is the state of one moment."""
        free = await self._lane.run(self._opened.check_free_pages)
        return (*free, *await runtime().run_blocking(self._opened.check))

    async def owe_erasure(self) -> bool:
        """As the interface says."""
        await self._lane.run(self._opened.owe_erasure)
        return True

    async def erase(self) -> bool:
        """As the interface says."""
        return await self._lane.run(self._opened.erase)


class _Opened:
    """An owned, opened, current catalogue file; blocking."""

    def __init__(self, path: Path) -> None:
        check_place(path)
        try:
            owned = self._ownership = Ownership(path)
        except OSError as error:
            raise EnvironmentUnavailable(f"{path}: {error.strerror}") from error
        self._engine: sa.Engine | None = None
        try:
            found = _examined(owned, path)
            self._engine = _engine(owned.path)
            self._connection, self._key = _connect(self._engine, owned, path, found)
            self._data_version = 0
            self.storage = SqlStorage(
                self._connection,
                TABLES,
                partial(_explain, path),
                key=self._key,
                watch=owned.still_there,
                changed=self._changed,
            )
            owned.watch_wal()
            self.archive = ArchiveFile(archive_of(owned.path), self._key)
            self.secrets = FileKeeper(secrets_beside(path))
            self._path = path
        except BaseException:
            if self._engine is not None:
                self._engine.dispose()
            if owned.is_new:
                owned.remove_new()
            owned.release()
            raise

    def check(self) -> tuple[Damage, ...]:
        """Everything that is not what was written."""
        path = self._ownership.path
        found = check_file(path, f"file:{name_of(path)}?mode=ro", self._key)
        return (*found, *self.archive.check())

    def owe_erasure(self) -> None:
        """Remember that an erasure is owed; between two transactions, as all below."""
        observed(lambda: self._do("PRAGMA user_version=0"))

    def erase(self) -> bool:
        """Write everything anew where that is owed, and keep no WAL of what was there before."""
        ((owed,),) = self._rows("PRAGMA user_version")
        if owed == _ERASED:
            return False
        try:
            observed(lambda: self._do("VACUUM"))
        except EnvironmentUnavailable:
            # What it wrote in vain is as large as the catalogue, and may have filled the disk.
            with suppress(HoldfastError):
                self._do("PRAGMA wal_checkpoint(TRUNCATE)")
            raise
        self._do("PRAGMA wal_checkpoint(TRUNCATE)")
        observed(lambda: self._do(f"PRAGMA user_version={_ERASED}"))
        self._do("PRAGMA wal_checkpoint(TRUNCATE)")
        return True

    def _changed(self) -> bool:
        """Whether another connection has committed since this was asked last."""
        before = self._data_version
        ((self._data_version,),) = self._driver.execute("PRAGMA data_version").fetchall()
        return before != self._data_version

    def _do(self, statement: str) -> None:
        found = self._rows(statement)
        if found and found[0][0]:
            raise EnvironmentUnavailable(
                f"{self._path}: somebody reads it, so that what was in it before stays in its -wal "
                "until it is opened again"
            )

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        try:
            return self._driver.execute(statement).fetchall()
        except sqlite3.Error as error:
            raise _explain(self._path, error, committing=False) from error

    @property
    def _driver(self) -> sqlite3.Connection:
        driver = self._connection.connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver

    def check_free_pages(self) -> tuple[Damage, ...]:
        """What is wrong with pages that hold nothing; nobody else uses the connection meanwhile."""
        driver = self._driver
        try:
            busy, written, kept = driver.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        except UNREADABLE as error:
            return (Damage(what="catalogue", key=str(self._ownership.path), detail=str(error)),)
        if busy or written != kept:
            return ()  # a check that runs beside this one has the file as it was
        return tuple(self._ownership.free_page_damage())

    def close(self) -> None:
        """Close the file and let others have it."""
        self._connection.close()
        if self._engine is not None:
            self._engine.dispose()
        self._ownership.release()


def _examined(owned: Ownership, path: Path) -> Examined:
    try:
        found = examine(owned, path)
        if not found.revision:
            _check_alone(path)
        owned.close_to_others()
    except UNREADABLE as error:
        raise _explain(path, error, committing=False) from error
    except OSError as error:
        raise EnvironmentUnavailable(f"{path}: {error.strerror}") from error
    return found


def _check_alone(path: Path) -> None:
    """See that no secrets wait for a catalogue where one is begun: it would forget them."""
    secrets = secrets_beside(path)
    if secrets.exists():
        raise CatalogueDamaged(
            f"{path}: is missing or empty, and its {secrets.name} is not; put back the catalogue "
            f"that the secrets belong to. To begin a new one, move {secrets.name} away"
        )


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


def _connect(
    engine: sa.Engine, owned: Ownership, path: Path, found: Examined
) -> tuple[sa.Connection, int]:
    """A connection to a catalogue that has the newest schema and keeps what it commits; its key."""
    try:
        connection = engine.connect()
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        (mode,) = driver.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise EnvironmentUnavailable(
                f"{path}: this file system cannot hold a catalogue (no shared memory for WAL)"
            )
        driver.execute("PRAGMA synchronous=FULL")
        # What was deleted is gone from the file, and a free page that is not blank is damaged.
        driver.execute("PRAGMA secure_delete=ON")
        key = found.key
        if key is None:
            key = runtime().random.getrandbits(64) - (1 << 63)
        name = name_of(owned.path)
        if found.revision != REVISION:
            if found.has_free_pages:
                driver.execute("VACUUM")
            _upgrade(connection, driver, key, name)
            if not found.revision:
                driver.execute(f"PRAGMA user_version={_ERASED}")
        elif found.opened_as != name:
            _write_down(connection, lambda: _rename(connection, name))
        if found.revision != REVISION or found.opened_as != name:
            # It must be in the file itself, for whoever opens that by another name.
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        driver.text_factory = bytes
    except DBAPIError as error:
        raise _explain(path, error.orig or error, committing=False) from error
    except UNREADABLE as error:
        raise _explain(path, error, committing=False) from error
    return connection, key


def _upgrade(connection: sa.Connection, driver: sqlite3.Connection, key: int, name: str) -> None:
    from holdfast.catalogue.migrations import upgrade  # noqa: PLC0415 - Alembic loads slowly

    def change() -> None:
        upgrade(connection, key)
        connection.execute(sa.update(CATALOGUE).values(schema=schema_digest(driver)))
        _rename(connection, name)

    _write_down(connection, change)


def _rename(connection: sa.Connection, name: str) -> None:
    connection.execute(sa.update(CATALOGUE).values(opened_as=name))


def _write_down(connection: sa.Connection, change: Callable[[], None]) -> None:
    transaction = connection.begin()
    try:
        change()
    except BaseException:
        transaction.rollback()
        raise
    observed(transaction.commit)


def _explain(path: Path, error: BaseException, committing: bool) -> HoldfastError:
    """An error of SQLite as a person is to read it."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return EnvironmentUnavailable(f"{path}: the disk is full; free space, then try again")
    if name == "SQLITE_BUSY_SNAPSHOT":
        return StaleVersion(f"{path}: another program wrote to the catalogue; read again")
    if name.startswith("SQLITE_BUSY"):
        return CatalogueHeld(f"{path}: another program has the database locked; let it finish")
    unreadable = isinstance(error, UnicodeDecodeError)
    if unreadable or name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return CatalogueDamaged(
            f"{path}: is damaged or no catalogue ({error}); restore it from a copy, or save what "
            f"can be read with sqlite3 {path} .recover"
        )
    if committing and name.startswith("SQLITE_IOERR"):
        return CommitUncertain(
            f"{path}: the last commit may or may not be on disk ({error}, {name}); "
            "open the catalogue again and recover"
        )
    return EnvironmentUnavailable(f"{path}: the catalogue cannot be used: {error} ({name})")
