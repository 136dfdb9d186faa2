"""Everything an image store holds, leftovers of killed calls included. Blocking functions."""

import hashlib
from collections.abc import Iterator

from holdfast.infos import OwnedKind, OwnedThing
from holdfast_drivers.local.names import key_of
from holdfast_drivers.nfs.libnfs import Client
from holdfast_drivers.nfs.uploads import Uploads


def owned(client: Client, uploads: Uploads) -> Iterator[OwnedThing]:
    """Everything the store owns."""
    shelves = uploads.shelves
    store = shelves.row(client)
    yield OwnedThing(kind=OwnedKind.STORE, id=store.id, key=store.name, operation=store.operation)
    for row in uploads.objects.rows(client):
        yield OwnedThing(
            kind=OwnedKind.OBJECT,
            id=row.id,
            key=row.key,
            size_bytes=row.size_bytes,
            operation=row.operation,
        )
    parts = shelves.names(client, shelves.parts)
    for upload in uploads.rows(client):
        mine = [name for name in parts if name.split(".")[1] == upload.id]
        yield OwnedThing(
            kind=OwnedKind.UPLOAD,
            id=upload.id,
            key=upload.key,
            size_bytes=sum(parts.pop(name).size_bytes for name in mine),
            unfinished=True,
            operation=upload.operation,
        )
    for name in sorted(parts):
        yield _leftover(f"parts/{name}", name.split(".")[0])
    for name in sorted(shelves.names(client, shelves.staging)):
        yield _leftover(f"staging/{name}", name.split(".")[1])


def _leftover(path: str, name: str) -> OwnedThing:
    return OwnedThing(
        kind=OwnedKind.TEMPORARY,
        id=f"leftover-{hashlib.blake2b(path.encode(), digest_size=8).hexdigest()}",
        key=key_of(name) or "",
        unfinished=True,
    )
