"""Everything a store's folder holds, leftovers of killed calls included. Blocking functions."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from holdfast import infos
from holdfast.infos import OwnedKind, OwnedThing
from holdfast_drivers.local import disks
from holdfast_drivers.local.locks import LockKind
from holdfast_drivers.local.names import key_of
from holdfast_drivers.local.place import Place
from holdfast_drivers.local.shelf import Row, Shelf
from holdfast_drivers.local.uploads import Uploads
from holdfast_drivers.local.volumes import Volumes

R = TypeVar("R", bound=Row)

_OWNED = {
    LockKind.VOLUME: OwnedKind.VOLUME,
    LockKind.SNAPSHOT: OwnedKind.SNAPSHOT,
    LockKind.OBJECT: OwnedKind.OBJECT,
}


def owned_by_primary(volumes: Volumes) -> Iterator[OwnedThing]:
    """Everything a primary store owns."""
    yield from _store(volumes.place)
    yield from _things(volumes.volumes, disks.size_of)
    yield from _things(volumes.snapshots, disks.size_of)
    for granted in volumes.grants.all():
        yield OwnedThing(
            kind=OwnedKind.GRANT,
            id=granted.id,
            key=key_of(granted.volume) or "",
            operation=granted.operation,
        )
    yield from _staged(volumes.place)


def owned_by_image(uploads: Uploads) -> Iterator[OwnedThing]:
    """Everything an image store owns."""
    yield from _store(uploads.place)
    yield from _things(uploads.objects.shelf, lambda _, path: path.stat().st_size)
    for row in uploads.shelf.rows():
        yield OwnedThing(
            kind=OwnedKind.UPLOAD,
            id=row.id,
            key=row.key,
            size_bytes=uploads.size_bytes(row.key),
            unfinished=True,
            operation=row.operation,
        )
    yield from _staged(uploads.place)


def _store(place: Place) -> Iterator[OwnedThing]:
    row = place.row()
    yield OwnedThing(kind=OwnedKind.STORE, id=row.id, key=row.name, operation=row.operation)


def _things(shelf: Shelf[R], size_of: Callable[[R, Path], int]) -> Iterator[OwnedThing]:
    found = shelf.describe_all(shelf.all_keys(), lambda row: (row, size_of(row, shelf.data(row))))
    for row, size_bytes in found:
        yield OwnedThing(
            kind=_OWNED[shelf.kind],
            id=row.id,
            key=row.key,
            size_bytes=size_bytes,
            operation=row.operation,
        )
        for path in shelf.unreferenced(row):
            yield _leftover(path, row.key)


def _staged(place: Place) -> Iterator[OwnedThing]:
    for path in sorted(place.staging.iterdir()):
        yield _leftover(path, key_of(path.name.partition(".")[2]) or "")


def _leftover(path: Path, key: str) -> infos.OwnedThing:
    name = f"{path.parent.name}/{path.name}"
    return infos.OwnedThing(
        kind=OwnedKind.TEMPORARY,
        id=f"leftover-{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}",
        key=key,
        unfinished=True,
    )
