"""A folder of things under keys, each a folder with ``row.json`` and its files.

A thing is built under ``staging/<kind>.<name>/`` and appears with one rename; it disappears with
one rename too. What a killed call left in staging, or unreferenced in the thing's folder, is
removed by the next call that changes the same key.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from holdfast import files
from holdfast.errors import Corrupt, NotFound
from holdfast_drivers.local.errors import after_the_fact
from holdfast_drivers.local.locks import Lock, LockKind
from holdfast_drivers.local.names import key_of, name_of
from holdfast_drivers.local.place import Place

ROW = "row.json"


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is recorded of every thing.

    ``operation`` is the one that made it, ``data`` the file of its bytes, where it is made of one.
    """

    key: str
    id: str
    operation: str
    data: str = "data"


R = TypeVar("R", bound=Row)
T = TypeVar("T")


class Shelf(Generic[R]):
    """All things of one kind in one store. Whoever changes anything holds the key's lock."""

    def __init__(self, place: Place, kind: LockKind, row_type: type[R]) -> None:
        self.kind = kind
        self.path = place.folder / f"{kind}s"
        self._place = place
        self._staging = place.staging
        self._row_type = row_type

    def lock(self, key: str, *, shared: bool = False) -> Lock:
        """The lock of one thing."""
        return Lock(self.kind, key, shared)

    def folder(self, key: str) -> Path:
        """Where the thing under this key is, or would be."""
        return self.path / name_of(key)

    def staged(self, key: str) -> Path:
        """Where the thing is built, and where it is taken apart."""
        return self._staging / f"{self.kind}.{name_of(key)}"

    def find(self, key: str) -> R | None:
        """The row under a key, or ``None``; ``Corrupt`` where the folder is there and no row."""
        folder = self.folder(key)
        found = self._read(folder)
        if found is not None and found.key != key:
            raise Corrupt(f"{folder / ROW} is of key {found.key!r}", object=key)
        return found

    def get(self, key: str) -> R:
        """The row under a key, or ``NotFound``."""
        found = self.find(key)
        if found is None:
            self._place.row()  # absent only where the store is there to say so
            raise NotFound(f"there is no {self.kind} under this key", object=key)
        return found

    def data(self, row: R) -> Path:
        """The file with the bytes of a thing."""
        return self.folder(row.key) / row.data

    def describe(self, key: str, look: Callable[[R], T]) -> T:
        """What ``look`` sees of a thing, without a lock: again, where it was replaced meanwhile."""
        while True:
            row = self.get(key)
            try:
                return look(row)
            except FileNotFoundError as error:
                if self.find(key) == row:
                    raise Corrupt(
                        f"{error.filename} is lost; restore it from a backup", object=key
                    ) from error

    def describe_all(self, keys: Iterable[str], look: Callable[[R], T]) -> Iterator[T]:
        """As ``describe`` for each key; what goes meanwhile is left out."""
        for key in keys:
            with contextlib.suppress(NotFound):
                yield self.describe(key, look)

    def _read(self, folder: Path) -> R | None:
        try:
            data = (folder / ROW).read_bytes()
        except FileNotFoundError:
            if folder.exists() and not (folder / ROW).exists():
                raise Corrupt(f"{folder / ROW} is lost; restore it from a backup") from None
            return None
        try:
            return msgspec.json.decode(data, type=self._row_type)
        except msgspec.MsgspecError as error:
            raise Corrupt(f"{folder / ROW} is damaged: {error}") from error

    def all_keys(self) -> list[str]:
        """All keys, in byte order."""
        found: list[str] = []
        for path in self.path.iterdir():
            key = key_of(path.name)
            if key is None:
                row = self._read(path)
                if row is None:
                    continue
                key = row.key
            found.append(key)
        return sorted(found, key=str.encode)

    def rows(self) -> list[R]:
        """All rows, in byte order of their keys; what goes meanwhile is left out."""
        found = (self.find(key) for key in self.all_keys())
        return [row for row in found if row is not None]

    def statuses(self) -> Iterator[os.stat_result]:
        """What the system says of the file of each thing; what goes meanwhile is left out."""
        yield from self.describe_all(self.all_keys(), lambda row: self.data(row).stat())

    def stage(self, key: str) -> Path:
        """An empty staging folder for this key, free of what a killed call left."""
        self.purge(key)
        staged = self.staged(key)
        files.mkdir(staged)
        return staged

    def unreferenced(self, row: R) -> list[Path]:
        """Data in a thing's folder that its row does not name: what a killed call left."""
        with contextlib.suppress(FileNotFoundError):
            return [
                path
                for path in sorted(self.folder(row.key).iterdir())
                if path.name.startswith("data") and path.name != row.data
            ]
        return []

    def leftovers(self, key: str) -> list[Path]:
        """What a killed call left of this key: in staging, and as data that no row names."""
        staged = self.staged(key)
        found = [staged] if staged.exists() else []
        with contextlib.suppress(Corrupt):  # what is damaged can still be deleted
            row = self.find(key)
            if row is not None:
                found += self.unreferenced(row)
        return found

    def purge(self, key: str) -> None:
        """Remove what a killed call left of this key, once what it did is durable.

        Raises:
            Unknown: something of it stays.
        """
        with after_the_fact(key):
            leftovers = self.leftovers(key)
            if leftovers:
                self.settle(key)
            for path in leftovers:
                files.remove_tree(path)
                if path.parent == self.folder(key):
                    files.fsync_directory(path.parent)

    def settle(self, key: str) -> None:
        """Make durable what can be seen of this key; a killed call may not have come to that."""
        with contextlib.suppress(FileNotFoundError):
            files.fsync_directory(self.folder(key))
        files.fsync_directory(self.path)

    def put(self, key: str, fill: Callable[[Path], R]) -> R:
        """Make a thing appear: ``fill`` writes its files, durably, and gives its row."""
        final = self.folder(key)
        try:
            staged = self.stage(key)
            new = staged / "new"
            files.mkdir(new)
            row = fill(new)
            files.write_new(new / ROW, msgspec.json.encode(row))
            files.fsync_directory(new)
            files.publish(new, final)
        except BaseException:
            with after_the_fact(key):
                files.remove_tree(final)
                files.remove_tree(self.staged(key))
            raise
        with after_the_fact(key):
            files.rmdir(staged)
        return row

    def replace_row(self, key: str, row: R) -> None:
        """Record something else of a thing, durably and at once; ``stage`` was called before."""
        staged = self.staged(key)
        files.write_new(staged / ROW, msgspec.json.encode(row))
        files.rename(staged / ROW, self.folder(key) / ROW)
        with after_the_fact(key):
            files.fsync_directory(self.folder(key))
            files.rmdir(staged)

    def remove(self, key: str) -> None:
        """Make a thing disappear, and everything it is made of; an absent one is fine."""
        self.purge(key)
        if not self.folder(key).exists():
            self._place.row()  # absent only where the store is there to say so
            return
        staged = self.stage(key)
        files.rename(self.folder(key), staged / "gone")
        with after_the_fact(key):
            files.fsync_directory(self.path)
            files.remove_tree(staged)
