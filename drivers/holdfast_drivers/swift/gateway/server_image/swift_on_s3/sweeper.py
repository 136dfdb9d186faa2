"""Removes what nobody sees: objects whose time has come, and bytes that no record names.

Bytes without a record are left when a gateway or the S3 server dies between the two. What is
younger than the declared age may belong to a request that is under way. And nothing of it is
removed that one look alone found: what a slow request names only now is named at the second.
Servers were seen to leave things out of their lists for good, so what would name it is asked for by
its key, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from .keys import data_key, record_of
from .records import Container, Object
from .removal import forget, unmark
from .s3 import Listed, Unfinished
from .store import Damaged, Store


@dataclass
class _Found:
    """What a walk through all objects gave."""

    named: set[str] = field(default_factory=set[str])
    unknown: set[str] = field(default_factory=set[str])
    """Containers with a record that cannot be read: what it names is not known."""
    lost: set[str] = field(default_factory=set[str])
    """Records of containers that are gone."""
    expired: int = 0


class Sweeper:
    """Goes through the bucket, and remembers what it suspected the last time.

    Args:
        store: what is in the bucket.
        age_s: how old is what it removes.
    """

    def __init__(self, store: Store, age_s: float) -> None:
        self._store = store
        self._age_s = age_s
        self._suspects: set[str] = set()

    def sweep(self, now: float) -> int:
        """Go through the whole bucket once; how many things were removed."""
        before = now - self._age_s
        alive = self._containers(before)
        # Bytes first, then the records: what is written meanwhile is younger than the age.
        old = [row.key for rows in self._every("d/") for row in rows if _old(row.modified, before)]
        survey = self._objects(alive, before, now)
        # Which bytes an unreadable record names is not known: all of its container's stay.
        bytes_of = tuple(data_key(one, "") for one in survey.unknown)
        unnamed = {key for key in old if key not in survey.named and not key.startswith(bytes_of)}
        uploads = {upload.id: upload for upload in self._uploads(before)}
        suspects = unnamed | survey.lost | uploads.keys()
        # What a slow request names only now is no suspect the second time.
        again = suspects & self._suspects
        self._suspects = suspects - again
        for key in again & unnamed:
            # By its key, too: lists were seen to leave a record out for good.
            if not self._store.needed(key) and not self._is_named(key):
                self._store.bucket.delete(key)
        for key in again & survey.lost:
            self._remove_lost(key)
        for upload in (uploads[one] for one in again & uploads.keys()):
            if not self._store.needed(upload.key):
                self._store.bucket.abort(upload.key, upload.id)
        return survey.expired + len(again)

    def _containers(self, before: float) -> set[str]:
        """The ids of those that are there; marks that nobody took away are taken away."""
        alive: set[str] = set()
        for rows in self._every("c/"):
            for row, record in zip(rows, self._store.fetch(Container, rows), strict=True):
                if isinstance(record, Damaged):
                    raise record  # what is in it would be taken for lost
                if record is None:
                    continue
                if not record.deleted:
                    alive.add(record.id)
                if _old(row.modified, before):
                    self._tidy(row.key, record)
        return alive

    def _tidy(self, key: str, record: Container) -> None:
        with self._store.alone(key):
            if record.deleted:
                forget(self._store, key)
            elif record.closing:
                unmark(self._store, key, record)

    def _objects(self, alive: set[str], before: float, now: float) -> _Found:
        survey = _Found()
        for rows in self._every("o/"):
            for row, record in zip(rows, self._store.fetch(Object, rows), strict=True):
                container = row.key.split("/")[1]
                if isinstance(record, Damaged):
                    survey.unknown.add(container)
                elif record is None:
                    continue
                elif record.expired(now) and self._store.expire(row.key, now):
                    survey.expired += 1
                else:
                    survey.named.add(record.data)
                    if container not in alive and _old(row.modified, before):
                        survey.lost.add(row.key)
        return survey

    def _remove_lost(self, key: str) -> None:
        with self._store.alone(key):
            # Read again under the lock, and removed by its tag: it may be another by now.
            row_and_tag = self._store.read(Object, key)
            if row_and_tag is not None and not self._is_held(key, row_and_tag[0]):
                self._store.discard(key, *row_and_tag)

    def _is_named(self, data: str) -> bool:
        """Whether a record that no list had names these bytes, or may do so."""
        key = record_of(data)
        try:
            row_and_tag = self._store.read(Object, key) if key else None
        except Damaged:
            return True
        return row_and_tag is not None and row_and_tag[0].data == data

    def _is_held(self, key: str, record: Object) -> bool:
        """Whether the container of an object is there, or may be, though no list had it."""
        try:
            row_and_tag = (
                self._store.read(Container, record.container) if record.container else None
            )
        except Damaged:
            return True
        return (
            row_and_tag is not None
            and not row_and_tag[0].deleted
            and row_and_tag[0].id == key.split("/")[1]
        )

    def _uploads(self, before: float) -> Iterator[Unfinished]:
        """Uploads in parts that nobody goes on with."""
        for upload in self._store.bucket.unfinished("d/"):
            if _old(upload.begun, before) and _old(self._store.bucket.last_part(upload), before):
                yield upload

    def _every(self, prefix: str) -> Iterator[tuple[Listed, ...]]:
        after = ""
        while True:
            page = self._store.bucket.page(prefix, after)
            yield page.entries
            if not page.more:
                return
            after = page.entries[-1].key


def _old(stamp: str, before: float) -> bool:
    return datetime.fromisoformat(stamp).timestamp() < before
