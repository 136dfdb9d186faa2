"""Everything a namespace owns, for scrub and the leak check."""

from collections.abc import Iterator

from holdfast.infos import OwnedKind, OwnedThing
from holdfast_drivers.memory.backend import Store


def owned_things(store: Store | None) -> Iterator[OwnedThing]:
    """Every row of a store's tables; nothing where there is no store."""
    if store is None:
        return
    yield OwnedThing(kind=OwnedKind.STORE, id=store.id, key=store.name)
    for volume in list(store.volumes.values()):
        yield OwnedThing(
            kind=OwnedKind.VOLUME,
            id=volume.id,
            key=volume.key,
            size_bytes=volume.content.size_bytes,
            operation=volume.operation,
        )
    for snapshot in list(store.snapshots.values()):
        yield OwnedThing(
            kind=OwnedKind.SNAPSHOT,
            id=snapshot.id,
            key=snapshot.key,
            size_bytes=snapshot.content.size_bytes,
            operation=snapshot.operation,
        )
    for granted in list(store.grants.values()):
        yield OwnedThing(
            kind=OwnedKind.GRANT,
            id=granted.id,
            key=f"{granted.volume}|{granted.host}",
            operation=granted.operation,
        )
    yield from _owned_by_images(store)


def _owned_by_images(store: Store) -> Iterator[OwnedThing]:
    for stored in list(store.objects.values()):
        yield OwnedThing(
            kind=OwnedKind.OBJECT,
            id=stored.id,
            key=stored.key,
            size_bytes=len(stored.data),
            operation=stored.operation,
        )
    for upload in list(store.uploads.values()):
        yield OwnedThing(
            kind=OwnedKind.UPLOAD,
            id=upload.id,
            key=upload.upload,
            size_bytes=sum(len(part.data) for part in upload.parts.values()),
            unfinished=True,
            operation=upload.operation,
        )
