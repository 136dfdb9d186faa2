"""How a container is removed while others write to it, so that nothing that was stored is lost.

S3 removes nothing under a condition. So a container is first marked, then looked through, and its
record is replaced by one that says "deleted" only where it is still as it was marked. Whoever
writes an object looks at the container afterwards and takes the mark away. So either the object is
seen by who removes, or the mark is missed. A mark that is left over hinders nobody.
"""

import enum
from contextlib import suppress
from dataclasses import dataclass, replace

from .records import Container, Object
from .s3 import S3Error
from .store import Busy, Store


class Removal(enum.Enum):
    """What became of a container that was to be removed."""

    ABSENT = enum.auto()
    DONE = enum.auto()
    IN_USE = enum.auto()


def remove_container(store: Store, key: str, now: float) -> Removal:
    """Remove a container that is empty, and stays so until it is removed."""
    marked = store.change(Container, key, _marked)
    if marked is None:
        return Removal.ABSENT
    try:
        gone = _gone(store, key, marked) if store.empty(marked, now) else None
    except BaseException:
        with suppress(S3Error, Busy):  # the first failure is the one to tell
            unmark(store, key, marked)
        raise
    if gone is None:
        unmark(store, key, marked)
        return Removal.IN_USE
    with suppress(S3Error):  # it is removed; the sweeper removes what is left of it
        forget(store, key)
    return Removal.DONE


def _marked(old: Container | None) -> Container | None:
    return replace(old, closing=True) if old is not None and not old.deleted else None


def _gone(store: Store, key: str, marked: Container) -> Container | None:
    def edit(old: Container | None) -> Container | None:
        return replace(old, deleted=True) if old and old.write == marked.write else None

    return store.change(Container, key, edit)


def unmark(store: Store, key: str, marked: Container) -> None:
    """Take a mark away, unless somebody has or the container is removed."""

    def edit(old: Container | None) -> Container | None:
        return replace(old, closing=False) if old and old.write == marked.write else None

    store.change(Container, key, edit)


def forget(store: Store, key: str) -> None:
    """Remove the record of a container that is removed, unless it was made again."""
    row_and_tag = store.read(Container, key)
    if row_and_tag is not None and row_and_tag[0].deleted:
        store.remove(Container, key, row_and_tag[1])


@dataclass(frozen=True)
class Written:
    """A record of an object that was just written, and the one that it took the place of."""

    key: str
    record: Object
    before: Object | None


def settle(store: Store, written: Written, key: str, container_id: str) -> bool:
    """Have an object stay and what it replaced go, or take it back where its container is gone.

    Where that cannot be known, the version before is there again, and the failure is raised.
    """
    try:
        stays = keep_container(store, key, container_id)
    except (S3Error, Busy):
        with suppress(S3Error, Busy):  # the first failure is the one to tell
            store.put_back(written.key, written.record, written.before)
        raise
    if not stays:
        store.take_back(written.key, written.record)
    elif written.before is not None:
        store.drop_data(written.key, written.before.data)
    return stays


def keep_container(store: Store, key: str, container_id: str) -> bool:
    """Have a container stay that was just written to; False where it is removed already."""
    there = False

    def edit(old: Container | None) -> Container | None:
        nonlocal there
        there = old is not None and old.id == container_id and not old.deleted
        return replace(old, closing=False) if there and old and old.closing else None

    store.change(Container, key, edit)
    return there
