"""Blind defects of the seventh round: fences, grants, figures and the life of stores."""

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Granted, Store, Volume
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class ExclusiveCheckedBeforeWaiting(MemoryPrimaryDriver):
    """Who else has the volume is read before the backend is waited for and not looked at again, so
    two hosts that ask at once both get it exclusively.
    """

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        store = self.allocating_store()
        store.fences.enter(Fenced.VOLUME, request.volume, ctx.fence)
        volume = self.volume(store, request.volume)
        self.check_attached(store, request.host)
        others = [row for row in self.grants_of(store, volume.key) if row.host != request.host]
        await asyncio.sleep(0)
        grant = store.grants.get((volume.key, request.host))
        if grant is not None:
            return self.granted_again(store, grant, request)
        self.check_exclusive(others, request)
        grant = Granted(
            runtime().new_id("grant"), volume.key, request.host, request.mode, ctx.operation
        )
        store.grants[volume.key, request.host] = grant
        return self.grant_info(grant)


class RevokeMatchesByPrefix(MemoryPrimaryDriver):
    """The initiators to remove are looked up with the host's name as a pattern, so that revoking
    ``host-1`` also cuts off ``host-10``.
    """

    def take_back(self, store: Store, volume: str, host: str) -> None:
        for name, other in list(store.grants):
            if name == volume and other.startswith(host):
                super().take_back(store, name, other)


class GrantIdsFromNames(MemoryPrimaryDriver):
    """A grant's id is a hash of volume and host, so that a handle which a revoke made useless works
    again as soon as the host is granted the volume anew.
    """

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        await super().grant(ctx, request)
        store = self.store()
        row = store.grants[request.volume, request.host]
        names = f"{store.id}\0{row.volume}\0{row.host}"
        row.id = hashlib.sha256(names.encode()).hexdigest()[:32]
        return self.grant_info(row)


class FencesKeptInMemory(MemoryPrimaryDriver):
    """The highest fences are kept in the driver's process and not in the store, so a restarted
    driver lets a late call through, such as a revert over acknowledged writes.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._fences = Fences()

    def store(self) -> Store:
        return dataclasses.replace(super().store(), fences=self._fences)


class FenceGoesWithItsVolume(MemoryPrimaryDriver):
    """A volume's fence lives in its metadata, which a deletion removes without keeping its own
    fence, so that a late creation brings the deleted volume back.
    """

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        self.store().fences.compare(Fenced.VOLUME, request.key, ctx.fence)
        return await super().delete_volume(msgspec.structs.replace(ctx, fence=0), request)


class ProbedShrinkIsAlreadyLarge(MemoryPrimaryDriver):
    """The probe of a resize asks only whether the volume is at least as large as the target, so a
    shrink that never happened is reported as done.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        if isinstance(request, requests.ResizeVolume):
            request = msgspec.structs.replace(request, shrink=False)
        return await super().probe(ctx, verb, request)


class ProbeTakesSilenceForAbsence(MemoryPrimaryDriver):
    """A lookup that fails because the backend cannot be reached is taken for one that found
    nothing, so a probe during an outage says that the call had no effect.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        if self.backend.down:
            return answers.Absent()
        return await super().probe(ctx, verb, request)


class EnumeratesByPosition(MemoryPrimaryDriver):
    """The enumeration is fetched piece by piece with an offset into the living list, so that a
    deletion while it runs makes it skip something that lasts.
    """

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        position = 0
        while position < len(things := list(self.owned())):
            yield things[position]
            position += 1


class VolumeFiguresOfTheFirstLook(MemoryPrimaryDriver):
    """A volume's figures are cached at the first look and dropped only when its size changes, so
    what is written and flushed afterwards never counts as used.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._figures: dict[str, answers.StatsInfo] = {}

    def volume_stats(self, volume: Volume) -> answers.StatsInfo:
        cached = self._figures.get(volume.id)
        if cached is None or cached.total_bytes != volume.content.size_bytes:
            cached = self._figures[volume.id] = super().volume_stats(volume)
        return cached


class AttachEndsMaintenanceOfVolumes(MemoryLifeCycle):
    """Attaching a host mounts the store and marks it as up, also where it was in maintenance, so
    that allocation goes on without anybody having ended that.
    """

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        await super().attach(ctx, request)
        store = self.store(self.backend())
        self.set_state(store, answers.StoreState.UP)
        return self.info(store)


class DrainedStoreCountsAsEmpty(MemoryLifeCycle):
    """A store in maintenance that no host has anything of is taken for empty, so that it is deleted
    together with the volumes in it.
    """

    def holders(self, store: Store) -> tuple[str, ...]:
        if store.state is answers.StoreState.MAINTENANCE and not store.grants:
            return ()
        return super().holders(store)


MUTANTS = (
    blind(ExclusiveCheckedBeforeWaiting, loses_data=False),
    blind(RevokeMatchesByPrefix, loses_data=False),
    blind(GrantIdsFromNames, loses_data=False),
    blind(FencesKeptInMemory, loses_data=True),
    blind(FenceGoesWithItsVolume, loses_data=False),
    blind(ProbedShrinkIsAlreadyLarge, loses_data=False),
    blind(ProbeTakesSilenceForAbsence, loses_data=False),
    blind(EnumeratesByPosition, loses_data=False),
    blind(VolumeFiguresOfTheFirstLook, loses_data=False),
    blind(AttachEndsMaintenanceOfVolumes, loses_data=False),
    blind(DrainedStoreCountsAsEmpty, loses_data=True),
)
