"""Defects by which two stores of one backend get in each other's way."""

from collections.abc import Iterator

from holdfast.contract import answers, requests
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.memory.backend import Backend, Granted, Store, StoredObject, Upload, Volume
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


def _beside(backend: Backend, role: Role, namespace: str) -> list[Store]:
    """The stores of a role whose namespace begins with this one, and is not it."""
    return [
        store
        for (other, place), store in backend.stores.items()
        if other is role and place != namespace and place.startswith(namespace)
    ]


class StoresAreRemovedByPrefix(MemoryLifeCycle):
    """Giving a store back removes every place whose name begins with its own."""

    def remove(self, backend: Backend) -> None:
        super().remove(backend)
        for place in list(backend.stores):
            if place[0] is self.role and place[1].startswith(self.config.namespace):
                del backend.stores[place]


class MaintenanceIsOfTheWholeBackend(MemoryLifeCycle):
    """A store in maintenance puts all others of the backend to rest with it."""

    def set_state(self, store: Store, state: answers.StoreState) -> None:
        backend = self.backend()
        for (role, _), other in backend.stores.items():
            if role is self.role:
                other.state = state


class VolumesOfNeighboursAreFound(MemoryPrimaryDriver):
    """A volume that a store does not have is looked for under its key in the others."""

    def volume(self, store: Store, key: str) -> Volume:
        for other in self.backend.stores.values():
            if key in other.volumes and key not in store.volumes:
                return other.volumes[key]
        return super().volume(store, key)


class SnapshotsGoInEveryStore(MemoryPrimaryDriver):
    """A snapshot is deleted under its key wherever there is one."""

    async def delete_snapshot(
        self, ctx: CallContext, request: requests.DeleteSnapshot
    ) -> answers.Gone:
        answer = await super().delete_snapshot(ctx, request)
        for store in self.backend.stores.values():
            store.snapshots.pop(request.key, None)
        return answer


class GrantsGoInEveryStore(MemoryPrimaryDriver):
    """A grant is taken back under its volume's key and its host in every store."""

    def take_back(self, store: Store, volume: str, host: str) -> None:
        for other in self.backend.stores.values():
            if (volume, host) in other.grants:
                super().take_back(other, volume, host)


class GrantsOfNeighboursCount(MemoryPrimaryDriver):
    """A volume is in use while one of its key is granted in another store."""

    def grants_of(self, store: Store, volume: str) -> list[Granted]:
        rows = super().grants_of(store, volume)
        for neighbour in _beside(self.backend, self.role, self.namespace):
            rows += super().grants_of(neighbour, volume)
        return rows


class FiguresOfTheWholeBackend(MemoryPrimaryDriver):
    """What is promised to all stores of the backend is told as one store's."""

    def allocated_bytes(self, store: Store) -> int:
        bytes_of = super().allocated_bytes
        stores = [one for (role, _), one in self.backend.stores.items() if role is self.role]
        return sum(map(bytes_of, stores))


class ListsBeginWithTheNamespace(MemoryImageDriver):
    """What is enumerated is everything in places whose name begins with the store's."""

    def owned(self) -> Iterator[answers.OwnedThing]:
        yield from super().owned()
        for store in _beside(self.backend, self.role, self.namespace):
            for key, row in store.objects.items():
                yield answers.OwnedThing(kind=answers.OwnedKind.OBJECT, key=key, id=row.id)


class UploadsAreOfTheBackend(MemoryImageDriver):
    """An upload is found under its key in whatever store it was opened."""

    def upload(self, store: Store, key: str) -> Upload:
        for other in self.backend.stores.values():
            if key in other.uploads:
                return other.uploads[key]
        return super().upload(store, key)


class UploadsAreAbortedInEveryStore(MemoryImageDriver):
    """Aborting an upload ends those of its key in all stores."""

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        answer = await super().abort_upload(ctx, request)
        for store in self.backend.stores.values():
            store.uploads.pop(request.upload, None)
        return answer


class ObjectsAreSharedByKey(MemoryImageDriver):
    """An object replaces what has its key in any store of the backend."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        super().publish(store, upload, stored)
        for other in self.backend.stores.values():
            if stored.key in other.objects:
                other.objects[stored.key] = stored


MUTANTS = (
    planted("LIF-15", StoresAreRemovedByPrefix),
    planted("LIF-15", MaintenanceIsOfTheWholeBackend),
    planted("LIF-15", VolumesOfNeighboursAreFound),
    planted("LIF-15", SnapshotsGoInEveryStore),
    planted("LIF-15", GrantsGoInEveryStore),
    planted("LIF-15", GrantsOfNeighboursCount),
    planted("CST-03", FiguresOfTheWholeBackend),
    planted("LIF-15", ListsBeginWithTheNamespace),
    planted("LIF-15", UploadsAreOfTheBackend),
    planted("LIF-15", UploadsAreAbortedInEveryStore),
    planted("LIF-15", ObjectsAreSharedByKey),
)
