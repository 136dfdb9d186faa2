"""Blind defects of the fifth round: probes, lists, figures, grants and stores."""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind, StoreState
from holdfast.contract.errors import Busy, Exhausted, InUse, Precondition, Unavailable
from holdfast.contract.handles import Handle
from holdfast.contract.requests import CallContext
from holdfast_drivers.listing import name_in_token, page_of, page_token
from holdfast_drivers.memory.backend import Backend, Granted, Store, Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES, TOTAL_BYTES
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.reported import owned_thing


class ProbeOfRevertComparesSizesAnew(MemoryPrimaryDriver):
    """A revert that never happened is reported done where the sizes are equal."""

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if isinstance(request, requests.RevertVolume) and isinstance(result, answers.Absent):
            store = self.store()
            volume = store.volumes.get(request.key)
            snapshot = store.snapshots.get(request.snapshot)
            if volume is None or snapshot is None:
                return result
            if volume.content.size_bytes == snapshot.content.size_bytes:
                return answers.Done(answer=self.info(volume))
        return result


class ListPagesByPosition(MemoryPrimaryDriver):
    """A page's token is a position: a volume deleted between pages makes the list skip one."""

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        names = sorted(rows)
        start = int(name_in_token(scope, token)) if token else 0
        end = start + limit
        return names[start:end], page_token(scope, str(end)) if end < len(names) else ""


class SnapshotPageIsFilteredLate(MemoryPrimaryDriver):
    """A volume's list of snapshots ends at the first page that only others' fill."""

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        store = self.store()
        scope = f"{store.id} snapshots {request.volume}"
        page = page_of(sorted(store.snapshots), scope, token=request.token, limit=request.limit)
        rows = [store.snapshots[key] for key in page.names]
        items = tuple(self.snapshot_info(r) for r in rows if request.volume in ("", r.volume))
        return answers.SnapshotPage(items=items, token=page.token if items else "")


class VolumeUsageIsInBlocks(MemoryPrimaryDriver):
    """A volume's used bytes are the number of its blocks."""

    def volume_stats(self, volume: Volume) -> answers.StatsInfo:
        stats = super().volume_stats(volume)
        return msgspec.structs.replace(stats, used_bytes=len(volume.content.blocks))


class VolumeCountIsKeptInMemory(MemoryPrimaryDriver):
    """The limit of volumes counts this instance's own creations and deletions only."""

    count: int | None = None

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        most = PRIMARY_CAPABILITIES.volume.volumes_max
        count = len(store.volumes) if self.count is None else self.count
        if most is not None and count >= most:
            raise Exhausted(f"the store has {most} volumes already", what="volumes")
        if self.allocated_bytes(store) + size_bytes > TOTAL_BYTES:
            raise Exhausted(f"the store has no {size_bytes} bytes left", what="space")
        self.count = count + 1

    def remove_volume(self, store: Store, key: str) -> None:
        super().remove_volume(store, key)
        if self.count is not None:
            self.count -= 1


class OpenKeepsItsFirstHandle(MemoryPrimaryDriver):
    """A volume opened again after a resize or a new grant gets the handle of the first time."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.handles: dict[tuple[str, str], Handle] = {}

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        handle = await super().open(ctx, request)
        return self.handles.setdefault((request.volume, request.host), handle)


class RegrantReplacesTheGrant(MemoryPrimaryDriver):
    """Granting the same mode again makes a new grant, and open handles stop working."""

    def granted_again(
        self, store: Store, grant: Granted, request: requests.Grant
    ) -> answers.GrantInfo:
        super().granted_again(store, grant, request)
        renewed = replace(grant, id=runtime().new_id("grant"))
        store.grants[grant.volume, grant.host] = renewed
        return self.grant_info(renewed)


class DetachLooksAmongVolumes(MemoryLifeCycle):
    """A host with grants is detached: its name is looked for among the volumes."""

    def refuse_granted(self, store: Store, host: str) -> None:
        holders = tuple(sorted(volume for volume, _ in store.grants if volume == host))
        if holders:
            raise InUse(
                f"the host has grants of {', '.join(holders)}; revoke first",
                object=host,
                holders=holders,
            )


class FailedSnapshotLeavesVolumeBusy(MemoryPrimaryDriver):
    """After a snapshot that failed, every further one of the volume is refused as busy."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.busy: set[str] = set()

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        if request.volume in self.busy:
            raise Busy("a snapshot of the volume is being taken", object=request.volume)
        self.busy.add(request.volume)
        info = await super().create_snapshot(ctx, request)
        self.busy.discard(request.volume)
        return info


class ConcurrentAttachesLoseHost(MemoryLifeCycle):
    """Of two hosts attached at once only one stays attached, and both are told so."""

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        store = self.changing(ctx)
        hosts, most = set(store.hosts), self.hosts_max()
        if request.host not in hosts and most is not None and len(hosts) >= most:
            raise Exhausted(f"the store has {most} hosts already", what="hosts")
        await asyncio.sleep(0)
        store.hosts = hosts | {request.host}
        return self.info(store)


class InitializeAgainEndsMaintenanceAnew(MemoryLifeCycle):
    """Initializing a store again puts it back into service from maintenance."""

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        super().existing(store, request)
        self.set_state(store, StoreState.UP)
        return self.info(store)


class RevokeInOutageReportsGone(MemoryPrimaryDriver):
    """A revoke while the backend is away reports success, and the grant stays."""

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> answers.Gone:
        try:
            return await super().revoke(ctx, request)
        except Unavailable:
            return answers.Gone(key=request.volume)


class DeletedVolumeForgetsItsFence(MemoryPrimaryDriver):
    """A creation that comes after a later deletion brings the volume back."""

    def enter_create(self, store: Store, ctx: CallContext, request: requests.CreateVolume) -> None:
        try:
            super().enter_create(store, ctx, request)
        except Precondition:
            if self.row_key(request.key) in store.volumes:
                raise


class EnumerationFailsWhenRowsChange(MemoryPrimaryDriver):
    """A volume made or deleted while the namespace is enumerated breaks the enumeration."""

    def owned(self) -> Iterator[answers.OwnedThing]:
        yield from (thing for thing in super().owned() if thing.kind is not OwnedKind.VOLUME)
        store = self.backend.stores.get((self.role, self.namespace))
        if store is not None:
            for volume in store.volumes.values():
                yield owned_thing(OwnedKind.VOLUME, volume, volume.content.size_bytes)


class VolumeIdComesFromKey(MemoryPrimaryDriver):
    """A volume made again under its key has the id of the deleted one."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        await super().create_volume(ctx, request)
        volume = self.volume(self.store(), request.key)
        volume.id = f"vol-{hashlib.sha256(request.key.encode()).hexdigest()[:16]}"
        return self.info(volume)


MUTANTS = (
    blind(ProbeOfRevertComparesSizesAnew, loses_data=True),
    blind(ListPagesByPosition, loses_data=False),
    blind(SnapshotPageIsFilteredLate, loses_data=False),
    blind(VolumeUsageIsInBlocks, loses_data=False),
    blind(VolumeCountIsKeptInMemory, loses_data=False),
    blind(OpenKeepsItsFirstHandle, loses_data=False),
    blind(RegrantReplacesTheGrant, loses_data=False),
    blind(DetachLooksAmongVolumes, loses_data=False),
    blind(FailedSnapshotLeavesVolumeBusy, loses_data=False),
    blind(ConcurrentAttachesLoseHost, loses_data=False),
    blind(InitializeAgainEndsMaintenanceAnew, loses_data=False),
    blind(RevokeInOutageReportsGone, loses_data=False),
    blind(DeletedVolumeForgetsItsFence, loses_data=False),
    blind(EnumerationFailsWhenRowsChange, loses_data=False),
    blind(VolumeIdComesFromKey, loses_data=False),
)
