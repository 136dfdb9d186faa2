"""Everything a namespace owns, for scrub and the leak check."""

from collections.abc import Iterator

from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast_drivers.memory.backend import Store
from holdfast_drivers.reported import owned_thing


def owned_things(store: Store | None) -> Iterator[OwnedThing]:
    """Every row of a store's tables; nothing where there is no store."""
    if store is None:
        return
    yield OwnedThing(kind=OwnedKind.STORE, id=store.id, key=store.name)
    for volume in list(store.volumes.values()):
        yield owned_thing(OwnedKind.VOLUME, volume, volume.content.size_bytes)
    for snapshot in list(store.snapshots.values()):
        yield owned_thing(OwnedKind.SNAPSHOT, snapshot, snapshot.content.size_bytes)
    for grant in list(store.grants.values()):
        yield OwnedThing(
            kind=OwnedKind.GRANT,
            id=grant.id,
            key=f"{grant.volume}|{grant.host}",
            operation=grant.operation,
        )
    yield from _owned_by_images(store)


def _owned_by_images(store: Store) -> Iterator[OwnedThing]:
    for stored in list(store.objects.values()):
        yield owned_thing(OwnedKind.OBJECT, stored, len(stored.data))
    for upload in list(store.uploads.values()):
        sent_bytes = sum(len(part.data) for part in upload.parts.values())
        yield owned_thing(OwnedKind.UPLOAD, upload, sent_bytes, key=upload.upload)
