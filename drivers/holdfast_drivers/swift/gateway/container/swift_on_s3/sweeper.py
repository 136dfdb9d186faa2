"""Removes what nobody sees: objects whose time has come, and bytes that no record names.

Bytes without a record are left when a gateway or the S3 server dies between the two. Bytes younger
than the grace time may belong to a PUT that is under way and stay.
"""

from collections.abc import Iterator
from datetime import datetime

from .records import Container, Object
from .s3 import Listed
from .store import Store


def _every(store: Store, prefix: str) -> Iterator[tuple[Listed, ...]]:
    after = ""
    while True:
        page = store.bucket.page(prefix, after)
        yield page.entries
        if not page.more:
            return
        after = page.entries[-1].key


def _old(row: Listed, before: float) -> bool:
    return datetime.fromisoformat(row.modified).timestamp() < before


def sweep(store: Store, now: float, grace_s: float) -> int:
    """Go through the whole bucket once; how many keys were removed."""
    alive = {
        record.id
        for rows in _every(store, "c/")
        for record in store.fetch(Container, rows)
        if record is not None
    }
    # Bytes first, then the records: what is written meanwhile is younger than the grace time.
    old = [row.key for rows in _every(store, "d/") for row in rows if _old(row, now - grace_s)]
    removed = 0
    named: set[str] = set()
    for rows in _every(store, "o/"):
        for row, record in zip(rows, store.fetch(Object, rows), strict=True):
            if record is None:
                continue
            lost = row.key.split("/")[1] not in alive and _old(row, now - grace_s)
            if lost or record.expired(now):
                removed += _discard(store, row.key, now, lost=lost)
            else:
                named.add(record.data)
    for key in old:
        if key not in named:
            store.drop_data(key)
            removed += 1
    return removed


def _discard(store: Store, key: str, now: float, *, lost: bool) -> int:
    """Remove an object unless it was given a new life meanwhile."""
    with store.alone(key):
        found = store.read(Object, key)
        if found is None or not (lost or found[0].expired(now)):
            return 0
        store.discard(key, found[0])
        return 1
