"""Blind defects of volumes that lose no data: access, lists, limits, probes and figures."""

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from weakref import WeakKeyDictionary

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import Busy, Exhausted, Invalid, Precondition
from holdfast.contract.handles import Handle
from holdfast.contract.requests import CallContext
from holdfast_drivers.listing import name_in_token, page_token
from holdfast_drivers.memory.backend import (
    Backend,
    Granted,
    Store,
    Volume,
)
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class FenceGoesWithTheVolume(MemoryPrimaryDriver):
    """A volume's fence is kept in its row, so that after its deletion a late creation is carried
    out. C2 5.
    """

    def enter_create(self, store: Store, ctx: CallContext, request: requests.CreateVolume) -> None:
        try:
            super().enter_create(store, ctx, request)
        except Precondition:
            living = self.row_key(request.key) in store.volumes
            if living or isinstance(request.source, requests.VolumeSource):
                raise


class OpeningForgetsFences(MemoryPrimaryDriver):
    """Opening another driver on a store begins with new fences, and a late call is carried out."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        store = backend.stores.get((self.role, namespace))
        if store is not None:
            store.fences = Fences()


class GrantAnsweredFromMemory(MemoryPrimaryDriver):
    """Granting again is answered from what the driver remembers, though the grant was revoked
    through another driver. C2 29.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.known: dict[tuple[str, str], answers.GrantInfo] = {}

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        known = self.known.get((request.volume, request.host))
        if known is not None and known.mode is request.mode:
            self.allocating_store().fences.enter(Fenced.VOLUME, request.volume, ctx.fence)
            return known
        info = await super().grant(ctx, request)
        self.known[request.volume, request.host] = info
        return info

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> answers.Gone:
        gone = await super().revoke(ctx, request)
        self.known.pop((request.volume, request.host), None)
        return gone


class PageTokenIsAPosition(MemoryPrimaryDriver):
    """The token of a page of volumes is a position, so that deleting a volume of the first page
    makes the second skip one. C2 41.
    """

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        try:
            first = int(name_in_token(scope, token)) if token else 0
        except ValueError:
            raise Invalid("the page token was never issued for this list") from None
        names, end = sorted(rows), first + limit
        return names[first:end], page_token(scope, str(end)) if len(names) > end else ""


class ExclusiveGrantBesideAReader(MemoryPrimaryDriver):
    """An exclusive grant is given while another host has the volume read-only. C2 34."""

    def check_exclusive(self, others: list[Granted], request: requests.Grant) -> None:
        if request.mode is AccessMode.EXCLUSIVE:
            others = [row for row in others if row.mode is not AccessMode.READ_ONLY]
        super().check_exclusive(others, request)


class RefusedHostStaysAttached(MemoryLifeCycle):
    """A host past the limit is entered before they are counted: refused, and attached. C2 6."""

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        try:
            return await super().attach(ctx, request)
        except Exhausted:
            self.store(self.backend()).hosts.add(request.host)
            raise


_TAKEN: WeakKeyDictionary[Backend, defaultdict[str, int]] = WeakKeyDictionary()


class DeletedSnapshotsStillCount(MemoryPrimaryDriver):
    """The limit of snapshots counts all that a volume ever had: after eight were made and deleted
    there is no other. C2 20.
    """

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        taken = _TAKEN.setdefault(self.backend, defaultdict(int))
        snapshot = PRIMARY_CAPABILITIES.snapshot
        if snapshot and taken[volume.id] >= (snapshot.snapshots_per_volume_max or 0):
            raise Exhausted("the volume has no free slot for a snapshot", what="snapshots")
        taken[volume.id] += 1


class OldHandleRevivesWithTheNextGrant(MemoryPrimaryDriver):
    """A grant's id is made of volume and host: a handle from before a revocation works again when
    the host is granted the volume anew. C2 25.
    """

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        await super().grant(ctx, request)
        row = self.store().grants[request.volume, request.host]
        volume = self.volume(self.store(), request.volume)
        digest = hashlib.sha256(f"{volume.id}\n{row.host}".encode()).hexdigest()
        row.id = f"grant-{digest[:32]}"
        return self.grant_info(row)


class MaintenanceStopsOpening(MemoryPrimaryDriver):
    """While the store is in maintenance a host cannot open a volume that it was granted before."""

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        self.allocating_store()
        return await super().open(ctx, request)


class InitializingAgainEndsMaintenance(MemoryLifeCycle):
    """Initializing a store that is there already puts it back into service."""

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        info = super().existing(store, request)
        self.set_state(store, StoreState.UP)
        return msgspec.structs.replace(info, state=StoreState.UP)


class ProbeTakesAnyLargerVolumeForShrunk(MemoryPrimaryDriver):
    """The probe of a shrink that never happened says that it was done: the volume is at least that
    large. C2 37.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        if isinstance(request, requests.ResizeVolume):
            request = msgspec.structs.replace(request, shrink=False)
        return await super().probe(ctx, verb, request)


class EnumerationIsOnePage(MemoryPrimaryDriver):
    """``enumerate`` ends after sixteen things: it asks the backend for one page. C2 41."""

    def owned(self) -> Iterator[answers.OwnedThing]:
        return islice(super().owned(), 16)


class RepeatedCloneNeedsItsSource(MemoryPrimaryDriver):
    """Repeating the creation of a clone is ``NotFound`` once its snapshot was deleted. C2 1."""

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        if isinstance(request.source, requests.SnapshotSource):
            self.snapshot(store, request.source.snapshot)
        return super().existing_volume(store, request)


class FiguresOfAVolumeHoldItsSnapshots(MemoryPrimaryDriver):
    """What a volume uses is told with what its snapshots use, which may be more than there is. C2
    43.
    """

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        info = await super().stats(ctx, request)
        if not request.volume:
            return info
        rows = self.snapshots_of(self.store(), request.volume)
        more_bytes = sum(row.content.used_bytes for row in rows)
        return msgspec.structs.replace(info, used_bytes=info.used_bytes + more_bytes)


class RevokeTakesTheOnlyGrantWhoeverHasIt(MemoryPrimaryDriver):
    """Revoking the grant of a host that has none takes the volume from the one host that has. C2 26
    (dell/csm#1050).
    """

    def take_back(self, store: Store, volume: str, host: str) -> None:
        rows = self.grants_of(store, volume)
        super().take_back(store, volume, rows[0].host if len(rows) == 1 else host)


class SnapshotLimitIsBusy(MemoryPrimaryDriver):
    """A snapshot past the limit of its volume is ``Busy``, which callers repeat for ever. C2 44
    (ceph/ceph-csi#4069).
    """

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        with contextlib.suppress(Exhausted):
            super().check_snapshot_limits(store, volume)
            return
        raise Busy("the volume takes no snapshot now; try again", object=volume.key)


MUTANTS = (
    blind(FenceGoesWithTheVolume, loses_data=False),
    blind(OpeningForgetsFences, loses_data=False),
    blind(GrantAnsweredFromMemory, loses_data=False),
    blind(PageTokenIsAPosition, loses_data=False),
    blind(ExclusiveGrantBesideAReader, loses_data=False),
    blind(RefusedHostStaysAttached, loses_data=False),
    blind(DeletedSnapshotsStillCount, loses_data=False),
    blind(OldHandleRevivesWithTheNextGrant, loses_data=False),
    blind(MaintenanceStopsOpening, loses_data=False),
    blind(InitializingAgainEndsMaintenance, loses_data=False),
    blind(ProbeTakesAnyLargerVolumeForShrunk, loses_data=False),
    blind(EnumerationIsOnePage, loses_data=False),
    blind(RepeatedCloneNeedsItsSource, loses_data=False),
    blind(FiguresOfAVolumeHoldItsSnapshots, loses_data=False),
    blind(RevokeTakesTheOnlyGrantWhoeverHasIt, loses_data=False),
    blind(SnapshotLimitIsBusy, loses_data=False),
)
