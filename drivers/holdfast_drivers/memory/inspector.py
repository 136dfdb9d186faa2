"""The inspector: reads the backend's own tables, with none of the driver's code."""

from collections.abc import Iterator

import xxhash

from holdfast.contract.answers import OwnedKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Inspected, Inspector, Inventory
from holdfast.data import block_hash, digest_of_hashes
from holdfast_drivers.inspection.inventories import inventory_of
from holdfast_drivers.memory.backend import Backend, Store
from holdfast_drivers.memory.content import Content

Place = tuple[Role, str]


class MemoryInspector(Inspector):
    """Reads one namespace of a backend.

    Args:
        backend: whose tables to read.
        place: the role and namespace to list.
        lent: the places that the testbed gave to others, whose changes are nobody's concern.
    """

    def __init__(self, backend: Backend, place: Place, lent: set[Place]) -> None:
        self._backend = backend
        self._place = place
        self._lent = lent

    async def inventory(self) -> Inventory:
        store = self._backend.stores.get(self._place)
        things = () if store is None else tuple(_things(store))
        return inventory_of(things, self._outside())

    def _outside(self) -> str:
        """A digest of every place that the testbed lent to nobody."""
        digest = xxhash.xxh3_64()
        for place in sorted(set(self._backend.stores) - self._lent):
            digest.update(repr(place).encode())
            things = [repr(thing) for thing in _things(self._backend.stores[place])]
            for line in sorted(things):
                digest.update(line.encode())
        return digest.hexdigest()


def _digest(content: Content) -> str:
    hashes = ((number, block_hash(content.blocks[number])) for number in sorted(content.blocks))
    return digest_of_hashes(content.size_bytes, hashes)


def _things(store: Store) -> Iterator[Inspected]:
    yield Inspected(
        kind=OwnedKind.STORE,
        key=store.name,
        id=store.id,
        detail=f"{store.name}|{store.state.value}|{','.join(sorted(store.hosts))}",
    )
    for key, volume in store.volumes.items():
        yield Inspected(
            kind=OwnedKind.VOLUME,
            key=key,
            id=volume.id,
            size_bytes=volume.content.size_bytes,
            digest=_digest(volume.content),
        )
    for key, snapshot in store.snapshots.items():
        yield Inspected(
            kind=OwnedKind.SNAPSHOT,
            key=key,
            id=snapshot.id,
            size_bytes=snapshot.content.size_bytes,
            digest=_digest(snapshot.content),
            detail=snapshot.volume,
        )
    for (volume_key, host), granted in store.grants.items():
        yield Inspected(
            kind=OwnedKind.GRANT,
            key=f"{volume_key}|{host}",
            id=granted.id,
            detail=f"{volume_key}|{host}|{granted.mode.value}",
        )
    yield from _image_things(store)


def _image_things(store: Store) -> Iterator[Inspected]:
    for key, stored in store.objects.items():
        yield Inspected(
            kind=OwnedKind.OBJECT,
            key=key,
            id=stored.id,
            size_bytes=len(stored.data),
            digest=stored.true_sha256(),
        )
    for key, upload in store.uploads.items():
        yield Inspected(
            kind=OwnedKind.UPLOAD,
            key=key,
            id=upload.id,
            size_bytes=sum(len(part.data) for part in upload.parts.values()),
            unfinished=True,
        )
