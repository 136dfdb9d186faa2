"""Everything a store's folder holds, leftovers of killed calls included. Blocking functions."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast.files.trees import TreePath
from holdfast_drivers.local import disks
from holdfast_drivers.local.grants import GrantName
from holdfast_drivers.local.keyed_folders import Row, Shelf, Unreadable
from holdfast_drivers.local.locks import LockKind
from holdfast_drivers.local.names import entry_id, key_of
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.local.uploads import UploadRow, Uploads
from holdfast_drivers.local.volumes import Volumes
from holdfast_drivers.reported import owned_thing

R = TypeVar("R", bound=Row)

_OWNED: Final = {
    LockKind.VOLUME: OwnedKind.VOLUME,
    LockKind.SNAPSHOT: OwnedKind.SNAPSHOT,
    LockKind.OBJECT: OwnedKind.OBJECT,
}
THINGS_AT_ONCE: Final = 500
"""How many are read in one go, and held."""
_KNOWN: Final = frozenset(
    {"store.json", "store.spare", "lock", "fences", "grants", "staging", "served"}
)
_STRANGER: Final = "no driver has put this here"


def owned_by_primary(volumes: Volumes) -> Iterator[OwnedThing]:
    """Everything a primary store owns."""
    yield from _store(volumes.place, {"volumes", "snapshots"})
    yield from _things(volumes.volumes, disks.size_of)
    yield from _things(volumes.snapshots, disks.size_of)
    for grant in volumes.grants.survey():
        yield _unreadable(grant) if isinstance(grant, Unreadable) else _grant(grant)
    yield from _staged(volumes.place)


def owned_by_image(uploads: Uploads) -> Iterator[OwnedThing]:
    """Everything an image store owns."""
    yield from _store(uploads.place, {"objects", "uploads"})
    yield from _things(uploads.objects.shelf, lambda _, path: path.regular().st_size)
    for entry in uploads.shelf.survey(lambda row: row):
        if isinstance(entry, Unreadable):
            yield _unreadable(entry)
        else:
            yield from _upload(uploads, entry)
    for path in sorted(uploads.place.grants.iterdir()):
        yield _unreadable(Unreadable(path, "", _STRANGER))  # nobody is granted an object
    yield from _staged(uploads.place)


def _grant(grant: GrantName) -> OwnedThing:
    return OwnedThing(
        kind=OwnedKind.GRANT,
        id=grant.id,
        key=key_of(grant.volume) or "",
        operation=grant.operation,
    )


def _upload(uploads: Uploads, row: UploadRow) -> Iterator[OwnedThing]:
    yield owned_thing(OwnedKind.UPLOAD, row, uploads.size_bytes(row.key))
    for path in uploads.shelf.strangers(row):
        yield _unreadable(Unreadable(path, "", _STRANGER))


def _store(place: Place, shelves: set[str]) -> Iterator[OwnedThing]:
    row = place.row()
    yield OwnedThing(kind=OwnedKind.STORE, id=row.id, key=row.name, operation=row.operation)
    for path in sorted(place.folder.iterdir()):
        if path.name not in _KNOWN | shelves:
            yield _unreadable(Unreadable(path, "", _STRANGER))


def _things(shelf: Shelf[R], size_of: Callable[[R, TreePath], int]) -> Iterator[OwnedThing]:
    for entry in shelf.survey(lambda row: (row, size_of(row, shelf.data(row)))):
        if isinstance(entry, Unreadable):
            yield _unreadable(entry)
            continue
        row, size_bytes = entry
        yield owned_thing(_OWNED[shelf.kind], row, size_bytes)
        for path in shelf.unreferenced(row):
            yield _leftover(path, row.key)
        for path in shelf.strangers(row):
            yield _unreadable(Unreadable(path, "", _STRANGER))


def _unreadable(entry: Unreadable) -> OwnedThing:
    """By its names below the store's folder."""
    return OwnedThing(
        kind=OwnedKind.UNREADABLE,
        id=entry_id(*entry.path.names[2:]),
        key=entry.key,
        reason=entry.reason,
    )


def _staged(place: Place) -> Iterator[OwnedThing]:
    for path in sorted(place.staging.iterdir()):
        yield _leftover(path, key_of(path.name.partition(".")[2]) or "")


def _leftover(path: TreePath, key: str) -> OwnedThing:
    name = f"{path.parent.name}/{path.name}".encode(errors="surrogateescape")
    return OwnedThing(
        kind=OwnedKind.TEMPORARY,
        id=f"leftover-{hashlib.blake2b(name, digest_size=8).hexdigest()}",
        key=key,
        unfinished=True,
    )
