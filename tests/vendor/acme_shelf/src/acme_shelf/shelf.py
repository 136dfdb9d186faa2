"""The shelf itself: a database in WAL mode, volumes as files, and a name for each grant."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from acme_shelf.config import ShelfConfig
from holdfast.contract.answers import StoreInfo, StoreState
from holdfast.contract.errors import Busy, Exhausted, Invalid, NotFound, Unavailable, Unknown
from holdfast.contract.identity import ANY_STORE
from holdfast.files import mutations

SCHEMA = """
create table store (id text, name text, maintenance integer, identity text);
create table hosts (name text primary key);
create table volumes (
    key text primary key, id text, size integer, requested text, operation text
);
create table grants (volume text, host text, id text, operation text, primary key (volume, host));
"""


class Shelf:
    """One shelf's folder; every method blocks."""

    def __init__(self, config: ShelfConfig) -> None:
        self.config = config
        self.expected = ANY_STORE
        self.parent = Path(config.folder)
        self.folder = self.parent / config.namespace
        self.database = self.folder / "shelf.db"

    def check(self) -> None:
        """Refuse a configuration that names no place for a shelf."""
        if not self.parent.is_absolute() or not self.parent.is_dir():
            raise Invalid(f"{self.parent} is no folder; give the absolute path of one")
        if not self.config.namespace.replace("-", "").replace("_", "").isalnum():
            raise Invalid(
                f"namespace {self.config.namespace!r} has other characters than a-z 0-9 - _"
            )

    def volume(self, volume_id: str) -> Path:
        """The file of a volume."""
        return self.folder / f"{volume_id}.raw"

    def handle(self, grant_id: str) -> Path:
        """The name that a grant gives a volume's file."""
        return self.folder / "granted" / grant_id

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The database inside one transaction, which is durable when the context ends."""
        if not self.parent.is_dir():
            raise Unavailable(f"{self.parent} cannot be reached")
        if not self.database.exists():
            missing = NotFound(f"there is no shelf in {self.folder}; initialize it first")
            raise self.expected.missing(missing)
        with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as database:
            with _typed():
                database.execute("pragma synchronous = full")
                database.execute("begin immediate")
            try:
                self.expected.check(store_info(database))
                yield database
            except BaseException:
                database.execute("rollback")
                raise
            with _typed():
                database.execute("commit")

    def build(self, store_id: str, name: str, identity: str) -> None:
        """Make the folder a shelf; it appears whole."""
        coming = self.parent / f".{self.config.namespace}.coming"
        mutations.remove_tree(coming)
        mutations.mkdir(coming)
        mutations.mkdir(coming / "granted")
        with contextlib.closing(sqlite3.connect(coming / "shelf.db")) as database:
            database.executescript(SCHEMA)
            row = (store_id, name, identity)
            database.execute("insert into store values (?, ?, 0, ?)", row)
            database.commit()
        mutations.fsync_directory(coming)
        mutations.publish(coming, self.folder)

    def remove(self) -> None:
        """Give the folder back."""
        mutations.remove_tree(self.folder)
        mutations.fsync_directory(self.parent)

    def make_file(self, volume_id: str, size_bytes: int) -> None:
        """Create a volume's sparse file, durably."""
        with _typed(), mutations.create_exclusive(self.volume(volume_id)) as file:
            mutations.truncate(file, size_bytes)
            mutations.fsync_file(file)
        mutations.fsync_directory(self.folder)

    def used_bytes(self) -> int:
        """What all volumes occupy."""
        return sum(path.stat().st_blocks * 512 for path in self.folder.glob("*.raw"))

    def total_bytes(self) -> int:
        """What the file system has."""
        system = os.statvfs(self.folder)
        return system.f_blocks * system.f_frsize


def store_info(database: sqlite3.Connection) -> StoreInfo:
    """What the shelf says of itself."""
    store_id, name, rests, identity = database.execute("select * from store").fetchone()
    hosts = sorted((row[0] for row in database.execute("select name from hosts")), key=str.encode)
    state = StoreState.MAINTENANCE if rests else StoreState.UP
    return StoreInfo(id=store_id, name=name, state=state, hosts=tuple(hosts), identity=identity)


@contextlib.contextmanager
def _typed() -> Iterator[None]:
    """Turn what the database and the system say into what Holdfast says."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise Busy("another call is at work on the shelf; try again") from error
        raise Unknown(f"the shelf's database: {error}") from error
    except OSError as error:
        raise Exhausted(f"the file system: {error.strerror}") from error
