"""A folder of things under keys, each a folder with ``row.json`` and its files.

A thing is built under ``staging/<kind>.<name>/`` and appears with one rename; it disappears with
one rename too. What a killed call left in staging, or unreferenced in the thing's folder, is
removed by the next call that changes the same key. What cannot be read under one name is set apart:
calls about that key say ``Corrupt``, and all others go on.
"""

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, TypeVar

import msgspec

from holdfast.contract.errors import Corrupt, DriverError, NotFound
from holdfast.files import mutations
from holdfast.files.trees import Strange, TreePath
from holdfast_drivers.local.errors import FULL, SET_APART, after_the_fact, driver_error
from holdfast_drivers.local.locks import Lock, LockKind, Locks
from holdfast_drivers.local.names import key_of, name_of, shown
from holdfast_drivers.local.records import decoded
from holdfast_drivers.local.store_folder import Place

ROW: Final = "row.json"
_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_DATA: Final = re.compile(r"(data[A-Za-z0-9_.-]*)?")


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is recorded of every thing.

    ``operation`` is the one that made it, ``data`` the file of its bytes, where it is made of one,
    ``fence`` that of the last call that wrote the row.
    """

    key: str
    id: str
    operation: str
    data: str = "data"
    fence: int = 0


class Unreadable(msgspec.Struct, frozen=True):
    """An entry that is set apart: where it is, the key its name stands for, and what is wrong."""

    path: TreePath
    key: str
    reason: str


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

    @contextlib.contextmanager
    def acting(self, fence: int, key: str, *others: Lock, frees: bool = False) -> Iterator[Locks]:
        """Hold the locks of a call that changes a thing, unless a later one was made on it.

        ``frees``: the call gives space back, and must work where there is none.
        """
        with (
            self._place.locked(self.lock(key), *others) as held,
            self.turn(held, fence, key, frees=frees),
        ):
            yield held

    def turn(
        self, held: Locks, fence: int, key: str, *, frees: bool = False
    ) -> contextlib.AbstractContextManager[None]:
        """The turn of a call whose locks are held already."""
        return self._place.fences.turn(
            held, self.lock(key), fence, recorded=lambda: self._recorded(key), frees=frees
        )

    def refuse_late(self, held: Locks, fence: int, row: R) -> None:
        """Refuse a call that is later than a change of a thing that it only reads."""
        self._place.fences.refuse_late(held, self.lock(row.key), fence, row.fence)

    def _recorded(self, key: str) -> int:
        with contextlib.suppress(DriverError, OSError):  # what is damaged can still be deleted
            row = self.find(key)
            return row.fence if row is not None else 0
        return 0

    def folder(self, key: str) -> TreePath:
        """Where the thing under this key is, or would be."""
        return self.path / name_of(key)

    def staged(self, key: str) -> TreePath:
        """Where the thing is built, and where it is taken apart."""
        return self._staging / f"{self.kind}.{name_of(key)}"

    def find(self, key: str) -> R | None:
        """The row under a key, or ``None``; ``Corrupt`` where the folder is there and no row."""
        folder = self.folder(key)
        row = self._read(folder)
        if row is not None and row.key != key:
            raise Corrupt(f"{folder / ROW} is of key {row.key!r}", object=key)
        return row

    def get(self, key: str) -> R:
        """The row under a key, or ``NotFound``."""
        row = self.find(key)
        if row is None:
            self._check_there()
            raise NotFound(f"there is no {self.kind} under this key", object=key)
        return row

    def _check_there(self) -> None:
        """Absent is a thing only where the store and this folder of it are there to say so."""
        self._place.row()
        if not self.path.is_dir():
            raise Corrupt(f"{self.path} is lost, or no folder; restore it from a backup")

    def data(self, row: R) -> TreePath:
        """The file with the bytes of a thing."""
        return self.folder(row.key) / row.data

    def size_of(self, key: str, measure: Callable[[R, TreePath], int]) -> int | None:
        """The size of a thing; 0 where there is none, ``None`` where it cannot be said."""
        try:
            row = self.find(key)
            return 0 if row is None else measure(row, self.data(row))
        except (Corrupt, OSError):
            return None

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
        """As ``describe`` for each key; what goes meanwhile, or cannot be read, is left out."""
        for key in keys:
            result = self._apart(self.folder(key), key, look)
            if result is not None and not isinstance(result, Unreadable):
                yield result

    def survey(self, look: Callable[[R], T]) -> Iterator[T | Unreadable]:
        """As ``describe`` for each name there is, in order, and what cannot be read beside it."""
        for path in sorted(self.path.iterdir()):
            result = self._apart(path, key_of(path.name), look)
            if result is not None:
                yield result

    def _apart(
        self, path: TreePath, key: str | None, look: Callable[[R], T]
    ) -> T | Unreadable | None:
        """What ``look`` sees of one thing, and what is wrong where that is this thing's alone."""
        try:
            return self.describe(self._recorded_key(path) if key is None else key, look)
        except NotFound:
            return None
        except Corrupt as error:
            cause = error.cause
        except OSError as error:
            if error.errno not in SET_APART:
                raise
            cause = driver_error(error).cause
        self._place.row()  # unreadable alone only where the store itself is there to say so
        return Unreadable(path, key or "", shown(cause))

    def _recorded_key(self, path: TreePath) -> str:
        """The key of a name that holds only its digest."""
        row = self._read(path)
        if row is None:
            raise NotFound(f"{path} is gone")
        if name_of(row.key) != path.name:
            raise Corrupt(f"{path / ROW} is of key {row.key!r}")
        return row.key

    def _read(self, folder: TreePath) -> R | None:
        try:
            data = (folder / ROW).read_bytes()
        except FileNotFoundError:
            # Looked at once more: between two looks the whole thing may have been published.
            if folder.exists() and not (folder / ROW).exists():
                raise Corrupt(f"{folder / ROW} is lost; restore it from a backup") from None
            return None
        except (NotADirectoryError, Strange) as error:
            raise driver_error(error) from error
        row = decoded(folder / ROW, data, self._row_type)
        if not _ID.fullmatch(row.id):
            raise Corrupt(f"{folder / ROW} has {shown(row.id)} as id, which no driver has given")
        if not _DATA.fullmatch(row.data):
            raise Corrupt(f"{folder / ROW} names {shown(row.data)}, which is no file of its own")
        return row

    def all_keys(self) -> list[str]:
        """All keys that names stand for, in byte order; a thing may turn out to be unreadable."""
        keys: list[str] = []
        for path in self.path.iterdir():
            key = key_of(path.name)
            if key is None:
                with contextlib.suppress(DriverError, OSError):  # set apart by whoever surveys
                    key = self._recorded_key(path)
            if key is not None:
                keys.append(key)
        return sorted(keys, key=str.encode)

    def rows(self) -> list[R]:
        """All rows, in byte order of their keys, but of what goes meanwhile or is damaged."""
        return list(self.describe_all(self.all_keys(), lambda row: row))

    def statuses(self) -> Iterator[os.stat_result]:
        """What the system says of the file of each thing; what goes meanwhile is left out."""
        yield from self.describe_all(self.all_keys(), lambda row: self.data(row).regular())

    def left_bytes(self, unreadable: Unreadable) -> int:
        """How large the data is that is still there of something unreadable."""
        size_bytes = 0
        with contextlib.suppress(OSError):
            for path in unreadable.path.iterdir():
                status = path.stat()
                if path.name.startswith("data") and stat.S_ISREG(status.st_mode):
                    size_bytes += status.st_size
        return size_bytes

    def is_whole(self, key: str) -> bool:
        """Whether anything there has a row; without, it is half deleted, or no thing of ours."""
        try:
            return (self.folder(key) / ROW).exists()
        except OSError:
            return False

    def stage(self, key: str) -> TreePath:
        """An empty staging folder for this key, free of what a killed call left."""
        self.purge(key)
        staged = self.staged(key)
        mutations.mkdir(staged)
        return staged

    def unreferenced(self, row: R) -> list[TreePath]:
        """Data in a thing's folder that its row does not name: what a killed call left."""
        return [path for path in self._others(row) if path.name.startswith("data")]

    def strangers(self, row: R) -> list[TreePath]:
        """What is in a thing's folder and was never put there by a driver."""
        return [path for path in self._others(row) if not path.name.startswith(("data", "part."))]

    def _others(self, row: R) -> list[TreePath]:
        with contextlib.suppress(FileNotFoundError):
            known = {ROW, row.data}
            paths = sorted(self.folder(row.key).iterdir())
            return [path for path in paths if path.name not in known]
        return []

    def leftovers(self, key: str) -> list[TreePath]:
        """What a killed call left of this key: in staging, and as data that no row names."""
        staged = self.staged(key)
        paths = [staged] if staged.exists() else []
        with contextlib.suppress(Corrupt, OSError):  # what is damaged can still be deleted
            row = self.find(key)
            if row is not None:
                paths += self.unreferenced(row)
        return paths

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
                mutations.remove_tree(path)
                if path.parent == self.folder(key):
                    mutations.fsync_directory(path.parent)

    def settle(self, key: str) -> None:
        """Make durable what can be seen of this key; a killed call may not have come to that."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, Strange):
            mutations.fsync_directory(self.folder(key))
        mutations.fsync_directory(self.path)

    def put(self, key: str, fill: Callable[[TreePath], R]) -> R:
        """Make a thing appear: ``fill`` writes its files, durably, and gives its row."""
        final = self.folder(key)
        try:
            staged = self.stage(key)
            new = staged / "new"
            mutations.mkdir(new)
            row = fill(new)
            mutations.write_new(new / ROW, msgspec.json.encode(row))
            mutations.fsync_directory(new)
            mutations.publish(new, final)
        except BaseException:
            with after_the_fact(key):
                mutations.remove_tree(final)
                mutations.remove_tree(self.staged(key))
            raise
        with after_the_fact(key):
            mutations.rmdir(staged)
        return row

    def replace_row(self, key: str, row: R) -> None:
        """Record something else of a thing, durably and at once; ``stage`` was called before."""
        staged = self.staged(key)
        mutations.write_new(staged / ROW, msgspec.json.encode(row))
        mutations.rename(staged / ROW, self.folder(key) / ROW)
        with after_the_fact(key):
            mutations.fsync_directory(self.folder(key))
            mutations.rmdir(staged)

    def remove(self, key: str) -> None:
        """Make a thing disappear, and everything it is made of; an absent one is fine.

        It needs no space but for one name, and where there is none, not even that.
        """
        self.purge(key)
        folder, staged = self.folder(key), self.staged(key)
        if not folder.exists():
            self._check_there()
            return
        try:
            mutations.rename(folder, staged)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._take_apart(key, folder)
            return
        with after_the_fact(key):
            mutations.fsync_directory(self.path)
            mutations.remove_tree(staged)

    def _take_apart(self, key: str, folder: TreePath) -> None:
        """Remove a thing where it is: its row first, without which it is nothing but leftovers."""
        with contextlib.suppress(NotADirectoryError, Strange):
            mutations.remove_tree(folder / ROW)
            with after_the_fact(key):
                mutations.fsync_directory(folder)
        with after_the_fact(key):
            mutations.remove_tree(folder)
            mutations.fsync_directory(self.path)
