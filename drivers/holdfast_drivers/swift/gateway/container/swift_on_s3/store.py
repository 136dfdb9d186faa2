"""Accounts, containers and objects as records in a bucket, written only over what was read.

Every change of a record is conditional on the record that it was computed from, so that two
gateways on one bucket lose no update; where the other was first, the change is computed again.
S3 has no conditional removal: a removal that meets a PUT of the same name is ordered only among the
requests of one gateway process, by its locks.
"""

import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Generic
from weakref import WeakValueDictionary

from . import keys
from .listing import Query, Shown, select
from .records import Account, Container, Object, Record, packed, unpacked
from .s3 import Bucket, Listed, S3Error

_CACHED = 100_000
_TRIES = 20
_FETCHERS = 16


class Busy(Exception):
    """Others changed the same record again and again."""


class _NameLock:
    """A lock that is forgotten with its last user."""

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self.lock = lock


class Store:
    """What is in the bucket.

    Args:
        bucket: where it is.
        lock: makes a lock for those who may act at once: threads, or the gateway's green threads,
            all of which one of them would stop by waiting for a lock of real threads.
    """

    def __init__(
        self, bucket: Bucket, lock: Callable[[], AbstractContextManager[object]] = Lock
    ) -> None:
        self.bucket = bucket
        self._lock = lock
        self._cache: OrderedDict[tuple[str, str], Account | Container | Object] = OrderedDict()
        self._locks: WeakValueDictionary[str, _NameLock] = WeakValueDictionary()
        self._fetchers = ThreadPoolExecutor(_FETCHERS)

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """One request of this process at a time changes what a key stands for."""
        held = self._locks.setdefault(key, _NameLock(self._lock()))
        with held.lock:
            yield

    def read(self, kind: type[Record], key: str) -> tuple[Record, str] | None:
        """A record and its entity tag; None where there is none."""
        try:
            data, tag = self.bucket.get(key)
        except S3Error as why:
            if why.missing:
                return None
            raise
        record = unpacked(kind, data)
        self._keep(key, tag, record)
        return record, tag

    def change(
        self, kind: type[Record], key: str, edit: Callable[[Record | None], Record | None]
    ) -> Record | None:
        """Replace a record by what ``edit`` makes of it; None leaves it, and is returned.

        ``edit`` gets None where there is no record, and may be called more than once.
        """
        for _ in range(_TRIES):
            found = self.read(kind, key)
            record = edit(found[0] if found else None)
            if record is None:
                return None
            try:
                tag = self.bucket.put(
                    key,
                    packed(record),
                    replaces=found[1] if found else None,
                    new=found is None,
                )
            except S3Error as why:
                if why.precondition or (why.missing and found):
                    continue
                raise
            self._keep(key, tag, record)
            return record
        raise Busy(key)

    def _keep(self, key: str, tag: str, record: Account | Container | Object) -> None:
        self._cache[key, tag] = record
        self._cache.move_to_end((key, tag))
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)

    def fetch(self, kind: type[Record], rows: Sequence[Listed]) -> list[Record | None]:
        """The records of listed keys; None for one that is gone meanwhile.

        A record is known again by its entity tag, so each version of it is read once.
        """

        def one(row: Listed) -> Record | None:
            known = self._cache.get((row.key, row.etag))
            if isinstance(known, kind):
                return known
            found = self.read(kind, row.key)
            return found[0] if found else None

        if all((row.key, row.etag) in self._cache for row in rows):
            return [one(row) for row in rows]
        return list(self._fetchers.map(one, rows))

    def account(self, name: str) -> Account | None:
        """The record of an account."""
        found = self.read(Account, keys.account_key(name))
        return found[0] if found else None

    def container(self, account: str, name: str) -> Container | None:
        """The record of a container."""
        found = self.read(Container, keys.container_key(account, name))
        return found[0] if found else None

    def object(self, container: Container, name: str) -> Object | None:
        """The record of an object, also of one whose time has come."""
        found = self.read(Object, keys.object_key(container.id, name))
        return found[0] if found else None

    def containers(self, account: str, query: Query) -> list[tuple[str, Container | None]]:
        """An account's containers by name; None for a rolled-up prefix."""
        return self._list(Container, keys.containers_prefix(account), query)

    def objects(
        self, container: Container, query: Query, now: float
    ) -> list[tuple[str, Object | None]]:
        """A container's objects by name, without those whose time has come."""
        while True:
            found = self._list(Object, keys.objects_prefix(container.id), query)
            left = [(name, row) for name, row in found if row is None or not row.expired(now)]
            if left or not found or query.reverse:
                return left
            query = Query(
                limit=query.limit,
                prefix=query.prefix,
                delimiter=query.delimiter,
                marker=found[-1][0],
                end_marker=query.end_marker,
                reserved=query.reserved,
                children=query.children,
            )

    def _list(
        self, kind: type[Record], prefix: str, query: Query
    ) -> list[tuple[str, Record | None]]:
        cursor = Cursor(self, kind, prefix, query.prefix)
        shown = select(cursor, query)
        return list(self._filled(kind, shown))

    def _filled(
        self, kind: type[Record], shown: list[Shown[Listed]]
    ) -> Iterator[tuple[str, Record | None]]:
        rows = [line.row for line in shown if line.row is not None]
        records = iter(self.fetch(kind, rows))
        for line in shown:
            if line.row is None:
                yield line.name, None
                continue
            record = next(records)
            if record is not None:
                yield line.name, record

    def usage(self, container: Container, now: float) -> tuple[int, int]:
        """How many objects a container has and how many bytes they have, as listings say.

        S3 counts nothing, so this reads the whole listing: a request per thousand objects.
        """
        count = size = 0
        after = ""
        prefix = keys.objects_prefix(container.id)
        while True:
            page = self.bucket.page(prefix, after)
            for record in self.fetch(Object, page.entries):
                if record is not None and not record.expired(now):
                    count += 1
                    size += record.listing.size
            if not page.more:
                return count, size
            after = page.entries[-1].key

    def empty(self, container: Container, now: float) -> bool:
        """Whether nothing is in a container; what has expired is removed on the way."""
        prefix = keys.objects_prefix(container.id)
        while page := self.bucket.page(prefix).entries:
            for row, record in zip(page, self.fetch(Object, page), strict=True):
                if record is None:
                    continue
                if not record.expired(now):
                    return False
                self.discard(row.key, record)
        return True

    def discard(self, key: str, record: Object) -> None:
        """Remove an object: first its record, by which it is seen, then its bytes."""
        self.bucket.delete(key)
        self.drop_data(record.data)

    def drop_data(self, key: str) -> None:
        """Remove the bytes of a version that no record names any more."""
        if key:
            self.bucket.delete(key)

    def new_data_key(self, container: Container) -> str:
        """A key that nothing was ever written to."""
        return keys.data_key(container.id, uuid.uuid4().hex)


class Cursor(Generic[Record]):
    """The names under a prefix of keys, in the order of names."""

    def __init__(self, store: Store, kind: type[Record], root: str, prefix: str) -> None:
        self._store, self._root = store, root
        self._kind: type[Record] = kind
        self._prefix = root + keys.stem(prefix)
        self._after = ""
        self._least = ""
        self._rows: list[Listed] = []
        self._at = 0
        self._more = True
        self._sorted: list[tuple[str, Listed]] = []

    def seek(self, least: str) -> None:
        """Go on with the first name that is not smaller."""
        self._least = max(self._least, least)
        place = self._root + keys.stem(self._least)
        while self._at < len(self._rows) and self._rows[self._at].key < place:
            self._at += 1
        if self._at == len(self._rows):
            self._after = max(self._after, place)

    def take(self) -> tuple[str, Listed] | None:
        """The next name and its key."""
        while True:
            if self._sorted:
                found = self._sorted.pop(0)
            else:
                row = self._row()
                if row is None:
                    return None
                found = self._named(row)
            if found[0] >= self._least:
                return found

    def _row(self) -> Listed | None:
        if self._at == len(self._rows):
            if not self._more:
                return None
            page = self._store.bucket.page(self._prefix, self._after)
            self._rows, self._at, self._more = list(page.entries), 0, page.more
            if not self._rows:
                return None
            self._after = max(self._after, self._rows[-1].key)
        self._at += 1
        return self._rows[self._at - 1]

    def _named(self, row: Listed) -> tuple[str, Listed]:
        """The name of a key; where names were cut, all that share the cut come sorted."""
        part = row.key[len(self._root) :]
        name = keys.name_of(part)
        family = keys.family(part)
        if family is None and name is not None:
            return name, row
        members = [row]
        while (other := self._row()) is not None:
            if keys.family(other.key[len(self._root) :]) != family:
                self._at -= 1
                break
            members.append(other)
        records = self._store.fetch(self._kind, members)
        named = [
            (record.name, member)
            for record, member in zip(records, members, strict=True)
            if record is not None
        ]
        self._sorted = sorted(named, key=lambda pair: pair[0])
        return self._sorted.pop(0) if self._sorted else (name or "", row)
