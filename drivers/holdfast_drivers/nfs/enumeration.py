"""Everything an image store holds, leftovers of killed calls included. Blocking functions."""

import hashlib
from collections.abc import Iterator
from typing import Final

from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast_drivers.local.names import entry_id, key_of
from holdfast_drivers.nfs.fences import FENCES
from holdfast_drivers.nfs.libnfs import Client
from holdfast_drivers.nfs.store_folder import FOLDERS, STORE, Unreadable, state_of
from holdfast_drivers.nfs.uploads import Uploads
from holdfast_drivers.reported import owned_thing

_KNOWN: Final = frozenset({*FOLDERS, FENCES, STORE})


def owned(client: Client, uploads: Uploads) -> Iterator[OwnedThing]:
    """Everything the store owns."""
    shelves = uploads.shelves
    store = shelves.row(client)
    yield OwnedThing(kind=OwnedKind.STORE, id=store.id, key=store.name, operation=store.operation)
    for entry in uploads.objects.survey(client):
        if isinstance(entry, Unreadable):
            yield _unreadable(entry)
            continue
        yield owned_thing(OwnedKind.OBJECT, entry, entry.size_bytes)
    parts = shelves.names(client, shelves.parts)
    for upload in uploads.survey(client):
        if isinstance(upload, Unreadable):
            yield _unreadable(upload)
            continue
        mine = [name for name in parts if name.split(".")[1:2] == [upload.id]]
        sent_bytes = sum(parts.pop(name).size_bytes for name in mine)
        yield owned_thing(OwnedKind.UPLOAD, upload, sent_bytes)
    for name in sorted(parts):
        yield _leftover(f"parts/{name}", name.split(".")[0])
    for name in sorted(shelves.names(client, shelves.staging)):
        yield _leftover(f"staging/{name}", name.partition(".")[2].partition(".")[0])
    for name in sorted(shelves.names(client, shelves.folder)):
        if name not in _KNOWN and not state_of([name]):
            yield _unreadable(Unreadable("image", name, "no driver has put this here"))


def _unreadable(entry: Unreadable) -> OwnedThing:
    return OwnedThing(
        kind=OwnedKind.UNREADABLE,
        id=entry_id(entry.folder, entry.name),
        key=key_of(entry.name) or "",
        reason=entry.reason,
    )


def _leftover(path: str, name: str) -> OwnedThing:
    digest = hashlib.blake2b(path.encode(errors="surrogateescape"), digest_size=8)
    return OwnedThing(
        kind=OwnedKind.TEMPORARY,
        id=f"leftover-{digest.hexdigest()}",
        key=key_of(name) or "",
        unfinished=True,
    )
