"""Blind defects of the fourth round: grants, stores, limits, lists and figures."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind, StoreState
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import Exhausted
from holdfast.contract.requests import CallContext
from holdfast_drivers.listing import name_in_token, page_token
from holdfast_drivers.memory.backend import Backend, Granted, Store, Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.refusals import refuse_in_maintenance
from holdfast_drivers.reported import owned_thing

FENCE_MASK: Final = (1 << 32) - 1


class IdentityIsComparedOnce(MemoryPrimaryDriver):
    """The first call compares the place's identity; later ones work on whatever is there."""

    compared: bool = False

    def store(self) -> Store:
        there = self.backend.stores.get((self.role, self.namespace))
        if there is None or not self.compared:
            there = super().store()
            self.compared = True
        self.backend.reach()
        return there


class DeletingNothingKeepsNoFence(MemoryPrimaryDriver):
    """Deleting an absent volume keeps no fence, and the late creation makes it after all."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        store = self.store()
        store.fences.compare(Fenced.VOLUME, request.key, ctx.fence)
        if self.row_key(request.key) not in store.volumes:
            return answers.Gone(key=request.key)
        return await super().delete_volume(ctx, request)


class ExclusiveGrantsAtOnce(MemoryPrimaryDriver):
    """A grant pauses between its check and its row: two hosts at once both get it exclusively."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        store = self.allocating_store()
        store.fences.enter(Fenced.VOLUME, request.volume, ctx.fence)
        volume = self.volume(store, request.volume)
        self.check_attached(store, request.host)
        grant = store.grants.get((volume.key, request.host))
        if grant is not None:
            return self.granted_again(store, grant, request)
        self.check_exclusive(self.grants_of(store, volume.key), request)
        await asyncio.sleep(0)
        grant = Granted(
            runtime().new_id("grant"), volume.key, request.host, request.mode, ctx.operation
        )
        return self.grant_info(store.grants.setdefault((volume.key, request.host), grant))


class FencesOf32Bits(Fences):
    """Fences of which the lower 32 bits are looked at."""

    def compare(self, kind: Fenced, key: str, fence: int) -> None:
        super().compare(kind, key, fence & FENCE_MASK)

    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        super().enter(kind, key, fence & FENCE_MASK)


class FencesLoseTheirOwner(MemoryLifeCycle):
    """Fences are kept in 32 bits: an earlier owner's late call passes for a later one."""

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        info = await super().initialize(ctx, request)
        store = self.found(self.backend())
        if not isinstance(store.fences, FencesOf32Bits):
            store.fences = FencesOf32Bits()
            store.fences.enter(Fenced.STORE, "", ctx.fence)
        return info


class PagesBeginAtAnOffset(MemoryPrimaryDriver):
    """A token counts the volumes listed: deleting one of them skips another on the next page."""

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        start = int(name_in_token(scope, token)) if token else 0
        end = start + limit
        names = sorted(rows)
        return names[start:end], page_token(scope, str(end)) if end < len(names) else ""


class SnapshotsAreFilteredPageByPage(MemoryPrimaryDriver):
    """One volume's list ends at the first page that holds snapshots of other volumes only."""

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        page = await super().list_snapshots(ctx, replace(request, volume=""))
        items = tuple(item for item in page.items if request.volume in ("", item.volume))
        return answers.SnapshotPage(items=items, token=page.token if items else "")


class ShrinkNeverGrows(MemoryPrimaryDriver):
    """A resize with shrink to a larger size succeeds and leaves the volume as small as it was."""

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        if request.shrink:
            most = self.volume(self.store(), request.key).content.size_bytes
            request = replace(request, size_bytes=min(request.size_bytes, most))
        return await super().resize_volume(ctx, request)


class RevertIsNotAccountedFor(MemoryPrimaryDriver):
    """What is promised is counted at creation and resize: a revert's new size never counts."""

    promised: ClassVar[WeakKeyDictionary[Backend, dict[str, int]]] = WeakKeyDictionary()

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        super().set_size(volume, size_bytes)
        self.promised.setdefault(self.backend, {})[volume.id] = size_bytes

    def allocated_bytes(self, store: Store) -> int:
        promised = self.promised.get(self.backend, {})
        sizes = ((row.id, row.content.size_bytes) for row in store.volumes.values())
        return sum(promised.get(name, size) for name, size in sizes) + sum(
            row.content.size_bytes for row in store.snapshots.values()
        )


class DeletedVolumesStayCounted(MemoryPrimaryDriver):
    """Every volume ever made takes a slot: after 64, deleted ones too, the store is Exhausted."""

    made: ClassVar[WeakKeyDictionary[Backend, Counter[str]]] = WeakKeyDictionary()

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        super().check_volume_limits(store, size_bytes)
        made = self.made.setdefault(self.backend, Counter())
        most = PRIMARY_CAPABILITIES.volume.volumes_max
        if most is not None and made[store.id] >= most:
            raise Exhausted(f"the store has no slot left of {most}", what="volumes")
        made[store.id] += 1


class SnapshotAgainAtTheLimitIsExhausted(MemoryPrimaryDriver):
    """The last snapshot that a volume may have cannot be asked for again: Exhausted."""

    def existing_snapshot(
        self, store: Store, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo | None:
        volume = store.volumes.get(request.volume)
        if volume is not None:
            self.check_snapshot_limits(store, volume)
        return super().existing_snapshot(store, request)


class DetachMissesReadOnlyGrants(MemoryLifeCycle):
    """A host whose only grants are read-only is detached, and keeps them."""

    def refuse_granted(self, store: Store, host: str) -> None:
        modes = {row.mode for row in store.grants.values() if row.host == host}
        if modes != {AccessMode.READ_ONLY}:
            super().refuse_granted(store, host)


class MaintenanceRefusesToOpen(MemoryPrimaryDriver):
    """In maintenance no volume can be opened under a grant that it had before."""

    def grant_to_open(self, store: Store, request: requests.Open) -> Granted:
        grant = super().grant_to_open(store, request)
        refuse_in_maintenance(store)
        return grant


class InitializingAgainEndsMaintenanceAgain(MemoryLifeCycle):
    """Initializing a store that is there already puts it back into service."""

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        super().existing(store, request)
        self.set_state(store, StoreState.UP)
        return self.info(store)


class IdOfTheNewestIsUsedAgain(MemoryPrimaryDriver):
    """A volume's id is the highest there is plus one: deleting the newest frees its id."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        info = await super().create_volume(ctx, request)
        store = self.store()
        if not info.id.startswith(store.id):
            numbers = [0]
            for row in store.volumes.values():
                head, _, number = row.id.rpartition(".")
                if head == store.id:
                    numbers.append(int(number))
            volume = self.volume(store, request.key)
            volume.id = f"{store.id}.{max(numbers) + 1}"
            return self.info(volume)
        return info


class WeakerModeIsAnsweredAndNotSet(MemoryPrimaryDriver):
    """A host that may write and is granted read-only is told it is, and goes on writing."""

    def granted_again(
        self, store: Store, grant: Granted, request: requests.Grant
    ) -> answers.GrantInfo:
        if request.mode is AccessMode.READ_ONLY:
            return replace(self.grant_info(grant), mode=request.mode)
        return super().granted_again(store, grant, request)


class SourceIsForgottenWithItsRow(MemoryPrimaryDriver):
    """A clone names its source only for as long as the source itself is there."""

    def info(self, volume: Volume) -> answers.VolumeInfo:
        info = super().info(volume)
        store = self.store()
        if info.source in store.volumes or info.source in store.snapshots:
            return info
        return replace(info, source="")


class EnumerationBreaksWhenAVolumeGoes(MemoryPrimaryDriver):
    """The stream fails where a volume is made or deleted while volumes are streamed."""

    def owned(self) -> Iterator[answers.OwnedThing]:
        for thing in super().owned():
            if thing.kind is not OwnedKind.VOLUME:
                yield thing
            if thing.kind is OwnedKind.STORE:
                for volume in self.store().volumes.values():
                    yield owned_thing(OwnedKind.VOLUME, volume, volume.content.size_bytes)


MUTANTS = (
    blind(IdentityIsComparedOnce, loses_data=True),
    blind(DeletingNothingKeepsNoFence, loses_data=True),
    blind(ExclusiveGrantsAtOnce, loses_data=False),
    blind(FencesLoseTheirOwner, loses_data=False),
    blind(PagesBeginAtAnOffset, loses_data=False),
    blind(SnapshotsAreFilteredPageByPage, loses_data=False),
    blind(ShrinkNeverGrows, loses_data=False),
    blind(RevertIsNotAccountedFor, loses_data=False),
    blind(DeletedVolumesStayCounted, loses_data=False),
    blind(SnapshotAgainAtTheLimitIsExhausted, loses_data=False),
    blind(DetachMissesReadOnlyGrants, loses_data=False),
    blind(MaintenanceRefusesToOpen, loses_data=False),
    blind(InitializingAgainEndsMaintenanceAgain, loses_data=False),
    blind(IdOfTheNewestIsUsedAgain, loses_data=False),
    blind(WeakerModeIsAnsweredAndNotSet, loses_data=False),
    blind(SourceIsForgottenWithItsRow, loses_data=False),
    blind(EnumerationBreaksWhenAVolumeGoes, loses_data=False),
)
