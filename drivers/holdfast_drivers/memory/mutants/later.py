"""Defects that show only later: after a while, or after many operations of one kind."""

from collections import Counter
from typing import ClassVar, Final

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Snapshot, Store, StoredObject, Upload, Volume
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

WHILE_S: Final = 0.9
"""After how long things go wrong; the suite waits a second at least."""
SOME: Final = 9
"""After how many operations of one kind they do."""
MANY: Final = 100
"""The same, where it takes longer."""


class _Later(MemoryPrimaryDriver):
    """Knows since when something is so, whichever driver made it so."""

    since: ClassVar[dict[tuple[str, str, str], float]] = {}

    def note(self, kind: str, key: str) -> None:
        """Something is so from now on."""
        self.since[self.namespace, kind, key] = runtime().now()

    def is_old(self, kind: str, key: str) -> bool:
        """Whether something has been so for a while."""
        since_s = self.since.get((self.namespace, kind, key))
        return since_s is not None and runtime().now() - since_s >= WHILE_S


class GrantLapses(_Later):
    """A grant ends by itself after a while."""

    def store(self) -> Store:
        store = super().store()
        for volume, host in tuple(store.grants):
            if self.is_old("grant", f"{volume}|{host}"):
                del store.grants[volume, host]
        return store

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        known = (request.volume, request.host) in self.store().grants
        answer = await super().grant(ctx, request)
        if not known:
            self.note("grant", f"{request.volume}|{request.host}")
        return answer


class DeletedVolumeComesBackLater(_Later):
    """A deleted volume is there again when the store is opened a while after its deletion."""

    gone: ClassVar[dict[tuple[str, str], Volume]] = {}

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        store = backend.stores.get((self.role, namespace))
        for place, volume in tuple(self.gone.items()):
            if store is not None and place[0] == namespace and self.is_old("gone", volume.key):
                store.volumes.setdefault(self.row_key(volume.key), volume)
                del self.gone[place]

    def remove_volume(self, store: Store, key: str) -> None:
        self.gone[self.namespace, key] = store.volumes[self.row_key(key)]
        self.note("gone", key)
        super().remove_volume(store, key)


class MaintenanceEndsByItself(_Later):
    """A store that was put into maintenance is back in service after a while."""

    def store(self) -> Store:
        store = super().store()
        if store.state is StoreState.UP:
            self.since.pop((self.namespace, "rest", ""), None)
        elif (self.namespace, "rest", "") not in self.since:
            self.note("rest", "")
        elif self.is_old("rest", ""):
            store.state = StoreState.UP
        return store


class SnapshotIsForgottenWhenOpened(_Later):
    """A snapshot that is not new any more is dropped when the store is opened again."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        store = backend.stores.get((self.role, namespace))
        for key in tuple(store.snapshots) if store else ():
            if store and self.is_old("snapshot", key):
                del store.snapshots[key]

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        answer = await super().create_snapshot(ctx, request)
        self.note("snapshot", request.key)
        return answer


class _LaterImages(MemoryImageDriver):
    """Knows when something was made, whichever driver made it."""

    since: ClassVar[dict[tuple[str, str], float]] = {}

    def is_old(self, key: str) -> bool:
        """Whether something was made a while ago."""
        since_s = self.since.setdefault((self.namespace, key), runtime().now())
        return runtime().now() - since_s >= WHILE_S


class UploadsExpire(_LaterImages):
    """An open upload is dropped with its parts after a while."""

    def store(self) -> Store:
        store = super().store()
        for key in tuple(store.uploads):
            if self.is_old(f"upload {key}"):
                del store.uploads[key]
        return store


class ObjectsFade(_LaterImages):
    """The first byte of an object is another one after a while."""

    def store(self) -> Store:
        store = super().store()
        for row in store.objects.values():
            if self.is_old(f"object {row.id}") and row.data and row.true_sha256() == row.sha256:
                row.data = bytes([row.data[0] ^ 1]) + row.data[1:]
        return store


class _Counting(MemoryPrimaryDriver):
    """Counts what was done in a namespace, whichever driver did it."""

    done: ClassVar[Counter[tuple[str, str]]] = Counter()

    def count(self, what: str) -> int:
        """One more of this; how many there were."""
        self.done[self.namespace, f"{type(self).__name__} {what}"] += 1
        return self.done[self.namespace, f"{type(self).__name__} {what}"]


class IdsRepeatAfterSome(_Counting):
    """Ids of volumes are counted in too few bits, and begin anew."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        store = self.store()
        known = self.row_key(request.key) in store.volumes
        answer = await super().create_volume(ctx, request)
        if known:
            return answer
        row = store.volumes[self.row_key(request.key)]
        row.id = f"{self.namespace}-{self.count('ids') % SOME}"
        return self.info(row)


class DeletionsAreFullAtSome(_Counting):
    """After some deletions in a store a deletion is acknowledged and does nothing."""

    most: ClassVar[int] = SOME

    def remove_volume(self, store: Store, key: str) -> None:
        if self.count("deletions") <= self.most:
            super().remove_volume(store, key)


class DeletionsAreFullAtMany(DeletionsAreFullAtSome):
    """After a hundred deletions in a store a deletion is acknowledged and does nothing."""

    most: ClassVar[int] = MANY


class RevokesAreFullAtSome(_Counting):
    """After some revokes in a store a revoke is acknowledged and the grant stays."""

    most: ClassVar[int] = SOME

    def take_back(self, store: Store, volume: str, host: str) -> None:
        if (volume, host) not in store.grants or self.count("revokes") <= self.most:
            super().take_back(store, volume, host)


class RevokesAreFullAtMany(RevokesAreFullAtSome):
    """After a hundred revokes in a store a revoke is acknowledged and the grant stays."""

    most: ClassVar[int] = MANY


class SnapshotNumbersOverflow(_Counting):
    """The number of a snapshot has too few bits: after some the next is not kept."""

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        store = self.store()
        row: Snapshot | None = store.snapshots.get(request.key)
        answer = await super().create_snapshot(ctx, request)
        if row is None and self.count("snapshots") > SOME:
            del store.snapshots[request.key]
        return answer


class ObjectNumbersOverflow(MemoryImageDriver):
    """After a hundred objects in a store the next is acknowledged and not there."""

    done: ClassVar[Counter[str]] = Counter()

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        super().publish(store, upload, stored)
        self.done[self.namespace] += 1
        if self.done[self.namespace] > MANY:
            del store.objects[self.row_key(stored.key)]


MUTANTS = (
    planted("LIF-13", GrantLapses),
    planted("LIF-13", DeletedVolumeComesBackLater),
    planted("LIF-13", MaintenanceEndsByItself),
    planted("LIF-13", SnapshotIsForgottenWhenOpened),
    planted("LIF-13", UploadsExpire),
    planted("LIF-13", ObjectsFade),
    planted("VOL-01", IdsRepeatAfterSome),
    planted("VOL-07", DeletionsAreFullAtSome),
    planted("VOL-07", DeletionsAreFullAtMany),
    planted("ACC-06", RevokesAreFullAtSome),
    planted("ACC-06", RevokesAreFullAtMany),
    planted("SNP-01", SnapshotNumbersOverflow),
    planted("IMG-01", ObjectNumbersOverflow),
)
