"""Blind defects of the third round: grants, stores, limits, lists and figures."""

import asyncio
from collections.abc import Iterator
from itertools import islice

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.handles import Handle
from holdfast.contract.identity import ANY_STORE
from holdfast.contract.requests import CallContext, Role
from holdfast.data import BLOCK_BYTES
from holdfast_drivers.listing import name_in_token, page_token
from holdfast_drivers.memory.backend import (
    Granted,
    Store,
    Volume,
)
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.store_access import store_in


class RepeatedRevokeTakesAnotherHost(MemoryPrimaryDriver):
    """Revoking what a host does not have takes the volume from the next host that has it."""

    def take_back(self, store: Store, volume: str, host: str) -> None:
        others = self.grants_of(store, volume)
        is_absent = (volume, host) not in store.grants
        super().take_back(store, volume, others[0].host if others and is_absent else host)


class ExclusiveGrantsRace(MemoryPrimaryDriver):
    """Exclusive grants asked for at once are all checked before the first one is kept."""

    def check_exclusive(self, others: list[Granted], request: requests.Grant) -> None:
        pass

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        store = self.allocating_store()
        store.fences.enter(Fenced.VOLUME, request.volume, ctx.fence)
        volume = self.volume(store, request.volume)
        self.check_attached(store, request.host)
        if (volume.key, request.host) not in store.grants:
            super().check_exclusive(self.grants_of(store, volume.key), request)
            await asyncio.sleep(0)
        return await super().grant(ctx, request)


class VolumePagesAreCounted(MemoryPrimaryDriver):
    """A page token counts the volumes before it, so a deletion in between skips one."""

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        start = int(name_in_token(scope, token)) if token else 0
        rest = sorted(rows)[start:]
        return rest[:limit], page_token(scope, str(start + limit)) if len(rest) > limit else ""


class UsedFallsAfterSnapshot(MemoryPrimaryDriver):
    """A volume's used bytes leave out what it shares with its snapshots."""

    def volume_stats(self, volume: Volume) -> answers.StatsInfo:
        shared: set[int] = set()
        for row in self.snapshots_of(self.store(), volume.key):
            shared.update(map(id, row.content.blocks.values()))
        own = [data for data in volume.content.blocks.values() if id(data) not in shared]
        figures = super().volume_stats(volume)
        return msgspec.structs.replace(figures, used_bytes=len(own) * BLOCK_BYTES)


class ProbeOfRevertComparesSizes(MemoryPrimaryDriver):
    """The probe of a revert says done where volume and snapshot are equally large."""

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if isinstance(request, requests.RevertVolume) and isinstance(result, answers.Absent):
            store = self.store()
            volume, snapshot = store.volumes.get(request.key), store.snapshots.get(request.snapshot)
            if volume and snapshot and volume.content.size_bytes == snapshot.content.size_bytes:
                return answers.Done(answer=self.info(volume))
        return result


class InitializeAgainForgetsHosts(MemoryLifeCycle):
    """Initializing a store again keeps only those attached hosts that have grants."""

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        super().existing(store, request)
        store.hosts = {host for _, host in store.grants}
        return self.info(store)


class FullVolumeRefusesKnownSnapshot(MemoryPrimaryDriver):
    """With as many snapshots as a volume may have, a repeated creation is refused too."""

    def existing_snapshot(
        self, store: Store, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo | None:
        existing = super().existing_snapshot(store, request)
        if existing is not None:
            self.check_snapshot_limits(store, self.volume(store, request.volume))
        return existing


class ExpectationIsCheckedOnce(MemoryPrimaryDriver):
    """Whether the place is the expected store is looked at by the driver's first call only."""

    is_checked = False

    def store(self) -> Store:
        place = (self.role, self.namespace)
        self.backend.reach()
        if not self.is_checked or place not in self.backend.stores:
            found = super().store()
            self.is_checked = True
            return found
        return store_in(self.backend, place, ANY_STORE)


class _NarrowFences(Fences):
    def compare(self, kind: Fenced, key: str, fence: int) -> None:
        super().compare(kind, key, fence & 0xFFFFFFFF)

    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        super().enter(kind, key, fence & 0xFFFFFFFF)


class FenceLosesUpperBits(MemoryLifeCycle):
    """Fences are kept in thirty-two bits, so that a new owner's are taken for late ones."""

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        info = await super().initialize(ctx, request)
        store = self.found(self.backend())
        if self.role is Role.PRIMARY and not isinstance(store.fences, _NarrowFences):
            store.fences = _NarrowFences()
            store.fences.enter(Fenced.STORE, "", ctx.fence)
        return info


class OpenOfAbsentVolumeIsDenied(MemoryPrimaryDriver):
    """Opening a volume that is not there is answered as if a grant were missing."""

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        self.grant_to_open(self.store(), request)
        return await super().open(ctx, request)


class RepeatedCloneNeedsItsSourceToo(MemoryPrimaryDriver):
    """A repeated creation from a source is refused once that source was deleted."""

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        existing = super().existing_volume(store, request)
        match request.source:
            case requests.SnapshotSource(key) if existing:
                self.snapshot(store, key)
            case requests.VolumeSource(key) if existing:
                self.volume(store, key)
            case _:
                pass
        return existing


class EnumerateReadsOnePage(MemoryPrimaryDriver):
    """Enumeration ends after the sixteen things that the backend gives in one answer."""

    def owned(self) -> Iterator[answers.OwnedThing]:
        return islice(super().owned(), 16)


class HealthEndsMaintenance(MemoryPrimaryDriver):
    """A health check that finds the backend up puts a store in maintenance into service."""

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        info = await super().health(ctx, request)
        store = self.backend.stores.get((self.role, self.namespace))
        if store is not None and info.state is answers.HealthState.UP:
            store.state = StoreState.UP
        return info


MUTANTS = (
    blind(RepeatedRevokeTakesAnotherHost, loses_data=False),
    blind(ExclusiveGrantsRace, loses_data=False),
    blind(VolumePagesAreCounted, loses_data=False),
    blind(UsedFallsAfterSnapshot, loses_data=False),
    blind(ProbeOfRevertComparesSizes, loses_data=False),
    blind(InitializeAgainForgetsHosts, loses_data=False),
    blind(FullVolumeRefusesKnownSnapshot, loses_data=False),
    blind(ExpectationIsCheckedOnce, loses_data=False),
    blind(FenceLosesUpperBits, loses_data=False),
    blind(OpenOfAbsentVolumeIsDenied, loses_data=False),
    blind(RepeatedCloneNeedsItsSourceToo, loses_data=False),
    blind(EnumerateReadsOnePage, loses_data=False),
    blind(HealthEndsMaintenance, loses_data=False),
)
