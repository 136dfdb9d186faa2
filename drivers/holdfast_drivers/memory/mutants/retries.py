"""Defects that a refusal leaves behind, and that the same call made well finds later."""

from collections.abc import Awaitable
from typing import Any, ClassVar

from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.errors import (
    Busy,
    Conflict,
    DriverError,
    InUse,
    NotFound,
    OutOfRange,
    Unavailable,
)
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.memory.backend import Backend, Granted, Store
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class _Locking(MemoryPrimaryDriver):
    """What a failed verb left locked, by namespace and key."""

    locked: ClassVar[set[tuple[str, str]]] = set()

    def unlocked(self, key: str) -> None:
        """``Busy`` where a verb that failed left its lock."""
        if (self.namespace, key) in self.locked:
            raise Busy("another operation on it is pending", object=key)

    async def locking(self, key: str, work: Awaitable[Any], *kinds: type[DriverError]) -> Any:
        """Carry out a verb under a lock that one of these errors leaves behind."""
        try:
            return await work
        except kinds:
            self.locked.add((self.namespace, key))
            raise


class RefusedDeleteLeavesTheVolumeBusy(_Locking):
    """A granted volume that was not to be deleted is never deleted again."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        self.unlocked(request.key)
        work = super().delete_volume(ctx, request)
        answer: answers.Gone = await self.locking(request.key, work, InUse)
        return answer


class RefusedRevertLeavesTheVolumeBusy(_Locking):
    """A revert that was refused leaves its volume locked against every later one."""

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        self.unlocked(request.key)
        work = super().revert_volume(ctx, request)
        answer: answers.VolumeInfo = await self.locking(request.key, work, DriverError)
        return answer


class RefusedCloneLeavesTheSourceBusy(_Locking):
    """A source that was too large for its clone cannot be cloned any more."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        match request.source:
            case requests.SnapshotSource(key) | requests.VolumeSource(key):
                self.unlocked(key)
                work = super().create_volume(ctx, request)
                answer: answers.VolumeInfo = await self.locking(key, work, OutOfRange)
                return answer
            case _:
                return await super().create_volume(ctx, request)


class RefusedGrantLeavesTheVolumeBusy(_Locking):
    """A volume that was refused to a second host is granted to nobody any more."""

    def check_exclusive(self, others: list[Granted], request: requests.Grant) -> None:
        try:
            super().check_exclusive(others, request)
        except InUse:
            self.locked.add((self.namespace, request.volume))
            raise

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        if (request.volume, request.host) not in self.store().grants:
            self.unlocked(request.volume)
        return await super().grant(ctx, request)


class RefusedGrantRefusesTheHost(_Locking):
    """A host that was unknown once is refused after it was attached, too."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        self.unlocked(request.host)
        work = super().grant(ctx, request)
        unknown = request.host not in self.store().hosts
        kinds = (NotFound,) if unknown else ()
        answer: answers.GrantInfo = await self.locking(request.host, work, *kinds)
        return answer


class FailedCreateKeepsTheKey(_Locking):
    """A key under which a creation failed stays taken."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        taken = request.key in self.store().volumes
        if not taken and (self.namespace, request.key) in self.locked:
            raise Conflict("the key is taken by another volume", object=request.key)
        kinds = () if taken else (DriverError,)
        work = super().create_volume(ctx, request)
        answer: answers.VolumeInfo = await self.locking(request.key, work, *kinds)
        return answer


class FailedSnapshotKeepsTheKey(_Locking):
    """A key under which a snapshot failed stays taken."""

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        if (self.namespace, request.key) in self.locked:
            raise Conflict("the key is taken by another snapshot", object=request.key)
        work = super().create_snapshot(ctx, request)
        answer: answers.SnapshotInfo = await self.locking(request.key, work, NotFound)
        return answer


class OutageLeavesTheKeyBusy(_Locking):
    """A creation that an outage prevented is pending for ever."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        if not self.backend.down:
            self.unlocked(request.key)
        work = super().create_volume(ctx, request)
        answer: answers.VolumeInfo = await self.locking(request.key, work, Unavailable)
        return answer


class OutageLeavesTheGrantBusy(_Locking):
    """A grant or a revocation that an outage prevented is pending for ever."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        if not self.backend.down:
            self.unlocked(request.volume)
        work = super().grant(ctx, request)
        answer: answers.GrantInfo = await self.locking(request.volume, work, Unavailable)
        return answer

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> answers.Gone:
        if not self.backend.down:
            self.unlocked(request.volume)
        work = super().revoke(ctx, request)
        answer: answers.Gone = await self.locking(request.volume, work, Unavailable)
        return answer


class OutageMakesTheListStale(_Locking):
    """After a list failed for an outage, every later one is refused."""

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> answers.VolumePage:
        if not self.backend.down:
            self.unlocked("")
        work = super().list_volumes(ctx, request)
        answer: answers.VolumePage = await self.locking("", work, Unavailable)
        return answer


class HoldersOfAVolumeAreNotNamed(MemoryPrimaryDriver):
    """A granted volume is in use, and by whom is not said."""

    def refuse_in_use(self, store: Store, key: str) -> None:
        try:
            super().refuse_in_use(store, key)
        except InUse as error:
            raise InUse("the volume is in use; revoke first", object=key) from error


class HoldersAreTheWrongOnes(MemoryPrimaryDriver):
    """The snapshots that keep a volume alive are said to be the volume itself."""

    def refuse_with_snapshots(self, store: Store, key: str) -> None:
        try:
            super().refuse_with_snapshots(store, key)
        except InUse as error:
            raise InUse(error.cause, object=key, holders=(key,)) from error


class HoldersOfAStoreAreNotNamed(MemoryLifeCycle):
    """A store with something in it is in use, and of what is not said."""

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> answers.Gone:
        try:
            return await super().delete_store(ctx, request)
        except InUse as error:
            raise InUse("the store is in use", object=error.object) from error


class InitializeAgainEndsMaintenance(MemoryLifeCycle):
    """A store in maintenance that is initialized again is back in service."""

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        super().existing(store, request)
        self.set_state(store, StoreState.UP)
        return self.info(store)


class InitializeAgainForgetsTheHosts(MemoryLifeCycle):
    """A store that is initialized again in maintenance has no hosts any more."""

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        super().existing(store, request)
        if store.state is StoreState.MAINTENANCE:
            store.hosts.clear()
        return self.info(store)


class _Remembering(MemoryLifeCycle):
    """What an earlier store in the same place was like, by place."""

    earlier: ClassVar[dict[tuple[str, Role, str], Store]] = {}

    def remove(self, backend: Backend) -> None:
        place = (self.role, self.config.namespace)
        self.earlier[backend.name, *place] = backend.stores[place]
        super().remove(backend)

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        await super().initialize(ctx, request)
        backend, place = self.backend(), (self.role, self.config.namespace)
        store, earlier = backend.stores[place], self.earlier.pop((backend.name, *place), None)
        if earlier is not None and earlier.name == store.name:
            self.inherit(store, earlier)
        return self.info(store)

    def inherit(self, store: Store, earlier: Store) -> None:
        """Take over from the earlier store what should have gone with it."""
        raise NotImplementedError


class HostsOfTheEarlierStoreComeBack(_Remembering):
    """A store that is made anew under the same name has the hosts of the one before."""

    def inherit(self, store: Store, earlier: Store) -> None:
        store.hosts |= earlier.hosts


class MaintenanceOfTheEarlierStoreComesBack(_Remembering):
    """A store that was given back in maintenance is in maintenance when it is made anew."""

    def inherit(self, store: Store, earlier: Store) -> None:
        store.state = earlier.state


class RefusedDeletionClosesTheStore(MemoryLifeCycle):
    """A store that was not given back, since something lives in it, takes nothing new."""

    def holders(self, store: Store) -> tuple[str, ...]:
        holders = super().holders(store)
        if holders:
            self.set_state(store, StoreState.MAINTENANCE)
        return holders


class RefusedDetachIsRefusedForEver(MemoryLifeCycle):
    """A host that could not go because of a grant cannot go after the grant has gone."""

    refused: ClassVar[set[tuple[str, str]]] = set()

    def refuse_granted(self, store: Store, host: str) -> None:
        if (store.id, host) in self.refused:
            raise InUse("the host has grants", object=host, holders=("some",))
        try:
            super().refuse_granted(store, host)
        except InUse:
            self.refused.add((store.id, host))
            raise


class RefusedAttachClosesTheStore(MemoryLifeCycle):
    """A store that refused one host too many refuses each one that comes later."""

    refused: ClassVar[set[str]] = set()

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        store = self.changing(ctx)
        if store.id in self.refused and request.host not in store.hosts:
            raise Busy("another host is being attached", object=request.host)
        try:
            return await super().attach(ctx, request)
        except DriverError:
            self.refused.add(store.id)
            raise


MUTANTS = (
    planted("ERR-03", RefusedDeleteLeavesTheVolumeBusy),
    planted("ERR-03", RefusedRevertLeavesTheVolumeBusy),
    planted("ERR-03", RefusedCloneLeavesTheSourceBusy),
    planted("ERR-03", RefusedGrantLeavesTheVolumeBusy),
    planted("ERR-03", RefusedGrantRefusesTheHost),
    planted("ERR-03", FailedCreateKeepsTheKey),
    planted("ERR-03", FailedSnapshotKeepsTheKey),
    planted("ERR-05", HoldersOfAVolumeAreNotNamed),
    planted("ERR-05", HoldersAreTheWrongOnes),
    planted("ERR-05", HoldersOfAStoreAreNotNamed),
    planted("LIF-01", InitializeAgainEndsMaintenance),
    planted("LIF-01", InitializeAgainForgetsTheHosts),
    planted("LIF-10", HostsOfTheEarlierStoreComeBack),
    planted("LIF-10", MaintenanceOfTheEarlierStoreComesBack),
    planted("LIF-08", RefusedDeletionClosesTheStore),
    planted("ERR-03", RefusedDetachIsRefusedForEver),
    planted("ERR-03", RefusedAttachClosesTheStore),
    planted("ERR-03", OutageLeavesTheKeyBusy),
    planted("ERR-03", OutageLeavesTheGrantBusy),
    planted("ERR-03", OutageMakesTheListStale),
)
