"""Accounts, containers and objects as records in a bucket, written only over what was read.

Every change of a record is conditional on the record that it was computed from, so that two
gateways on one bucket lose no update; where the other was first, the change is computed again.
S3 has no conditional removal: a removal that meets a PUT of the same name is ordered only among the
requests of one gateway process, by its locks.
"""

import sys
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

from . import keys
from .cursor import Cursor
from .leases import Leases
from .listing import Query, Shown, select
from .records import Account, Container, Object, Record, packed, unpacked
from .s3 import Bucket, Listed, S3Error

A = TypeVar("A")
B = TypeVar("B")
_CACHED = 100_000
_TRIES = 20
_LOST_MAX = 3


class Busy(Exception):
    """Others changed the same record again and again."""


class Damaged(S3Error):
    """What is kept under a record's key is no record."""


class Together(Protocol):
    """As the built-in ``map``, and several at a time."""

    def __call__(self, function: Callable[[A], B], things: Iterable[A], /) -> Iterable[B]:
        """What the function gives for each thing, in their order."""
        ...


@dataclass(frozen=True)
class Hands:
    """What those who act at once share: locks and a way to do several things together.

    The gateway's are green, and real threads' are whoever else's: one green thread that waits for
    a lock of real threads would stop them all. So nothing here makes its own.
    """

    lock: Callable[[], AbstractContextManager[object]]
    together: Together


class _NameLock:
    """A lock that is forgotten with its last user."""

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self.lock = lock


class Store:
    """What is in the bucket.

    Args:
        bucket: where it is.
        hands: how those who act at once keep out of each other's way.
    """

    def __init__(self, bucket: Bucket, hands: Hands) -> None:
        self.bucket = bucket
        self._hands = hands
        self._cache: OrderedDict[tuple[str, str], Account | Container | Object] = OrderedDict()
        self._locks: WeakValueDictionary[str, _NameLock] = WeakValueDictionary()
        self.leases = Leases(self._free)
        self._writing: Counter[str] = Counter()

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """One request of this process at a time changes what a key stands for."""
        held = self._locks.setdefault(key, _NameLock(self._hands.lock()))
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
        try:
            record = unpacked(kind, data)
        except ValueError as why:
            raise Damaged(500, "NoRecord", key) from why
        self._keep(key, tag, record)
        return record, tag

    def change(
        self, kind: type[Record], key: str, edit: Callable[[Record | None], Record | None]
    ) -> Record | None:
        """Replace a record by what ``edit`` makes of it; None leaves it, and is returned.

        ``edit`` gets None where there is no record, and may be called more than once.
        """
        for _ in range(_TRIES):
            row_and_tag = self.read(kind, key)
            edited = edit(row_and_tag[0] if row_and_tag else None)
            if edited is None:
                return None
            record = replace(edited, write=uuid.uuid4().hex)
            tag = self._put(kind, key, record, row_and_tag[1] if row_and_tag else None)
            if tag is not None:
                self._keep(key, tag, record)
                return record
        raise Busy(key)

    def _put(
        self, kind: type[Record], key: str, record: Record, replaces: str | None
    ) -> str | None:
        """Write a record over the version with this tag, or where none is; None: it was another's.

        Whether a refusal or silence means that it is not there is only seen by looking: the answer
        may be lost, and whatever stands between may have repeated the request. To repeat it here
        is safe, as all repetitions have one condition, which one of them can meet. But who removed
        what was written has removed the bytes that it names, so where that may have happened,
        nothing is repeated that would name them again.
        """
        lost: S3Error | None = None
        unknown: S3Error | None = None
        for _ in range(_LOST_MAX):
            try:
                return self.bucket.put(key, packed(record), replaces=replaces, new=replaces is None)
            except S3Error as why:
                refused = why.precondition or (why.missing and replaces is not None)
                if not refused and not why.uncertain:
                    raise
                lost = why
                unknown = why if why.uncertain else unknown
            there = self.read(kind, key)
            # Each write has a mark of its own: an equal record of another request is not this one.
            if there is not None and there[0].write == record.write:
                return there[1]
            if unknown is not None and _may_be_gone(record, there, replaces):
                raise unknown
            if refused:
                return None
            if lost.status is not None:
                break
        raise lost or Busy(key)

    def remove(self, kind: type[Record], key: str, tag: str) -> bool:
        """Remove the version of a record that has this tag; False where it is another by now."""
        lost: S3Error | None = None
        for _ in range(_LOST_MAX):
            try:
                self.bucket.delete_only(key, tag)
            except S3Error as why:
                if not why.missing and not why.precondition and not why.uncertain:
                    raise
                lost = why
            else:
                return True
            there = self.read(kind, key)
            # A removal whose answer was lost looks the same, and so does another's: gone is gone.
            if there is None:
                return True
            if there[1] != tag:
                return False
        raise lost or Busy(key)

    def _keep(self, key: str, tag: str, record: Account | Container | Object) -> None:
        self._cache[key, tag] = record
        self._cache.move_to_end((key, tag))
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)

    def fetch(self, kind: type[Record], rows: Sequence[Listed]) -> list[Record | Damaged | None]:
        """The records of listed keys; None for one that is gone meanwhile.

        A record is known again by its entity tag, so each version of it is read once.
        """

        def one(row: Listed) -> Record | Damaged | None:
            known = self._cache.get((row.key, row.etag))
            if isinstance(known, kind):
                return known
            try:
                row_and_tag = self.read(kind, row.key)
            except Damaged as why:
                return why
            return row_and_tag[0] if row_and_tag else None

        if all((row.key, row.etag) in self._cache for row in rows):
            return [one(row) for row in rows]
        return list(self._hands.together(one, rows))

    def readable(self, kind: type[Record], rows: Sequence[Listed]) -> list[Record | None]:
        """As ``fetch``; also None for what is damaged, so that all others are seen."""
        records = self.fetch(kind, rows)
        return [None if isinstance(one, Damaged) else one for one in records]

    def account(self, name: str) -> Account | None:
        """The record of an account."""
        row_and_tag = self.read(Account, keys.account_key(name))
        return row_and_tag[0] if row_and_tag else None

    def container(self, account: str, name: str) -> Container | None:
        """The record of a container that is there."""
        row_and_tag = self.read(Container, keys.container_key(account, name))
        return row_and_tag[0] if row_and_tag and not row_and_tag[0].deleted else None

    def object(self, container: Container, name: str) -> Object | None:
        """The record of an object, also of one whose time has come."""
        row_and_tag = self.read(Object, keys.object_key(container.id, name))
        return row_and_tag[0] if row_and_tag else None

    def containers(self, account: str, query: Query) -> list[tuple[str, Container | None]]:
        """An account's containers by name; None for a rolled-up prefix."""
        prefix = keys.containers_prefix(account)
        return self._list(Container, prefix, query, lambda row: not row.deleted)

    def objects(
        self, container: Container, query: Query, now: float
    ) -> list[tuple[str, Object | None]]:
        """A container's objects by name, without those whose time has come."""
        prefix = keys.objects_prefix(container.id)
        return self._list(Object, prefix, query, lambda row: not row.expired(now))

    def _list(
        self, kind: type[Record], prefix: str, query: Query, there: Callable[[Record], bool]
    ) -> list[tuple[str, Record | None]]:
        """What a query shows. What is not there takes no place: a short page means the end."""
        cursor: Cursor[Record] = Cursor(
            self.bucket.page, lambda rows: self.readable(kind, rows), prefix, query.prefix
        )
        # Backwards, all lines are known before the first one is.
        known = select(cursor, replace(query, limit=sys.maxsize)) if query.reverse else None
        result: list[tuple[str, Record | None]] = []
        while (missing := query.limit - len(result)) > 0:
            if known is None:
                lines = select(cursor, replace(query, limit=missing))
            else:
                lines, known = known[:missing], known[missing:]
            filled = self._filled(kind, lines)
            result += [(name, row) for name, row in filled if row is None or there(row)]
            if len(lines) < missing:
                break
        return result

    def _filled(
        self, kind: type[Record], lines: list[Shown[Listed]]
    ) -> Iterator[tuple[str, Record | None]]:
        rows = [line.row for line in lines if line.row is not None]
        records = iter(self.readable(kind, rows))
        for line in lines:
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
            for record in self.readable(Object, page.entries):
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
                if isinstance(record, Damaged) or not self.expire(row.key, now):
                    return False
        return True

    def expire(self, key: str, now: float) -> bool:
        """Remove an object whose time has come, as it is now; whether it is not there any more."""
        with self.alone(key):
            row_and_tag = self.read(Object, key)
            if row_and_tag is None:
                return True
            return row_and_tag[0].expired(now) and self.discard(key, *row_and_tag)

    def discard(self, key: str, record: Object, tag: str) -> bool:
        """Remove an object: first its record, by which it is seen, then its bytes.

        False where its record is another by now.
        """
        if not self.remove(Object, key, tag):
            return False
        self.drop_data(key, record.data)
        return True

    def take_back(self, key: str, record: Object) -> None:
        """Remove an object that was just written into a container that is gone."""
        row_and_tag = self.read(Object, key)
        if row_and_tag is not None and row_and_tag[0].write == record.write:
            self.discard(key, *row_and_tag)

    def put_back(self, key: str, record: Object, before: Object | None) -> None:
        """Undo a write that is the last one still: the version before is there again."""
        if before is None:
            self.take_back(key, record)
            return

        def edit(old: Object | None) -> Object | None:
            return before if old is not None and old.write == record.write else None

        if self.change(Object, key, edit) is not None:
            self.drop_data(key, record.data)

    def drop_data(self, key: str, data: str) -> None:
        """Remove the bytes of a version that the record with this key names no more."""
        if data:
            self.leases.drop(key, data)

    def _free(self, data: str) -> None:
        with suppress(S3Error):  # what is done is done, and the sweeper finds what is left
            self.bucket.delete(data)

    @contextmanager
    def new_data(self, container: Container, name: str) -> Iterator[str]:
        """A key that nothing was ever written to; nobody sweeps it before its writer has ended."""
        key = keys.data_key(container.id, uuid.uuid4().hex, name)
        with self.sparing() as spare:
            spare(key)
            yield key

    @contextmanager
    def sparing(self) -> Iterator[Callable[[str], None]]:
        """Have nobody sweep the bytes that are told meanwhile: a record is to name them (again)."""
        names: list[str] = []

        def spare(data: str) -> None:
            names.append(data)
            self._writing[data] += 1

        try:
            yield spare
        finally:
            self._writing -= Counter(names)

    def needed(self, data: str) -> bool:
        """Whether a request of this process writes, reads or may name these bytes again."""
        return data in self._writing or self.leases.waits(data)


def _may_be_gone(
    record: Account | Container | Object,
    there: tuple[Account | Container | Object, str] | None,
    replaces: str | None,
) -> bool:
    """Whether a record may have been stored and be gone since, and the bytes that it names, too.

    ``there`` is what is in its place, ``replaces`` the tag of what it was to be written over.
    """
    if not isinstance(record, Object) or not record.data:
        return False
    if there is None:
        return True
    other, tag = there
    return tag != replaces and isinstance(other, Object) and other.data != record.data
