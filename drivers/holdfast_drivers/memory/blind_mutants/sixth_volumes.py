"""Blind defects of the sixth round: keys, pages, figures and what outlives a call."""

from collections.abc import AsyncIterator
from typing import Final

from msgspec.structs import replace

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.errors import Busy, Denied, Invalid, Unavailable
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES
from holdfast_drivers.listing import name_in_token, page_token
from holdfast_drivers.memory.backend import (
    Backend,
    Granted,
    Store,
    Volume,
)
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

_MIB: Final = 1 << 20


_PAGE_MAX: Final = 50


class ProbeKeepsNoFence(MemoryPrimaryDriver):
    """A probe is taken for a look that changes nothing and leaves the fence as it was, so the call
    it found to be absent may still arrive afterwards and act.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        return await super().probe(replace(ctx, fence=0), verb, request)


class SnapshotsInUtf16Order(MemoryPrimaryDriver):
    """Snapshots are sorted as the array's Java service sorts text, by UTF-16 code units, which is
    not the order of bytes where a key has a character outside the basic plane.
    """

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        store = self.store()
        scope = f"{store.id} snapshots {request.volume}"
        after = name_in_token(scope, request.token) if request.token else ""
        rows = [
            row
            for row in store.snapshots.values()
            if request.volume in ("", row.volume) and _utf16(row.key) > _utf16(after)
        ]
        rows.sort(key=lambda row: _utf16(row.key))
        page = rows[: request.limit]
        more = len(rows) > request.limit
        return answers.SnapshotPage(
            items=tuple(map(self.snapshot_info, page)),
            token=page_token(scope, page[-1].key) if more else "",
        )


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be")


class ShortPageEndsList(MemoryPrimaryDriver):
    """The backend gives at most 50 volumes a page whatever it is asked for, and the driver takes a
    page with fewer than it asked for as the last one.
    """

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        keys, following = super().page(rows, scope, token, min(limit, _PAGE_MAX))
        return keys, following if len(keys) == limit else ""


class EnumerationByPosition(MemoryPrimaryDriver):
    """The enumeration asks the backend for item after item by position, so when something that was
    told already is deleted meanwhile, everything moves up and one that lasts is left out.
    """

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        position = 0
        while position < len(things := list(self.owned())):
            yield things[position]
            position += 1


class RevokedWhileDown(MemoryPrimaryDriver):
    """Every failure of the call that removes a host's access is taken for "it is not there", so a
    revoke succeeds while the backend is down and the host keeps its access.
    """

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> answers.Gone:
        try:
            return await super().revoke(ctx, request)
        except Unavailable:
            return answers.Gone(key=request.volume)


class ProbeComparesUnroundedSize(MemoryPrimaryDriver):
    """A probe compares the volume's true size with the size asked for before it was rounded up, so
    a shrink that was carried out is told to be absent.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        match request, result:
            case (
                requests.ResizeVolume(size_bytes=wanted, shrink=True),
                answers.Done(answer=answers.VolumeInfo(size_bytes=there)),
            ) if there != wanted:
                return answers.Absent()
            case _:
                return result


class AllocatedCachedByCount(MemoryPrimaryDriver):
    """The sum of the promised sizes is cached until the number of volumes or snapshots changes, so
    a resize, or a deletion followed by a creation, leaves the store's figures as they were.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.counts = (0, 0)
        self.allocated = 0

    def allocated_bytes(self, store: Store) -> int:
        counts = (len(store.volumes), len(store.snapshots))
        if counts != self.counts:
            self.counts, self.allocated = counts, super().allocated_bytes(store)
        return self.allocated


class UsageWithoutShared(MemoryPrimaryDriver):
    """A volume's usage is the file system's "used" and not its "referenced", so what was flushed to
    the volume is no longer in use once a snapshot shares it.
    """

    def volume_stats(self, volume: Volume) -> answers.StatsInfo:
        shared = {
            id(data)
            for row in self.snapshots_of(self.store(), volume.key)
            for data in row.content.blocks.values()
        }
        own = [data for data in volume.content.blocks.values() if id(data) not in shared]
        return replace(super().volume_stats(volume), used_bytes=len(own) * BLOCK_BYTES)


class AttachEndsMaintenanceAgain(MemoryLifeCycle):
    """To attach a host the driver writes the store's record anew with its default state, so a store
    in maintenance is in service again.
    """

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        await super().attach(ctx, request)
        store = self.store(self.backend())
        self.set_state(store, StoreState.UP)
        return self.info(store)


class LowestFreeNumber(MemoryPrimaryDriver):
    """A volume's id is its logical unit number, the lowest that is free, so a new volume gets the
    id of a deleted one.
    """

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        answer = await super().create_volume(ctx, request)
        store = self.store()
        volume = self.volume(store, request.key)
        if not volume.id.startswith("lun-"):
            taken = {row.id for row in store.volumes.values()}
            volume.id = next(f"lun-{n}" for n in range(len(taken) + 1) if f"lun-{n}" not in taken)
        return replace(answer, id=volume.id)


class StagedVolumeLeft(MemoryPrimaryDriver):
    """The target of an import is made before its source is opened and is not removed when the
    source cannot be read, so a refused creation leaves an empty volume under the key.
    """

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        try:
            return await super().create_volume(ctx, request)
        except (Invalid, Denied):
            if isinstance(request.source, requests.DataSource):
                content = Content(self.rounded(request.size_bytes))
                self.store().volumes.setdefault(
                    request.key,
                    Volume(
                        request.key,
                        runtime().new_id("vol"),
                        content,
                        request.source,
                        ctx.operation,
                    ),
                )
            raise


class GrantsOfThisProcess(MemoryPrimaryDriver):
    """Which grants there are is remembered in the process, and one it does not remember is made
    again, so after a restart granting anew gives another grant and cuts the running guest off.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.remembered: set[str] = set()

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        answer = await super().grant(ctx, request)
        self.remembered.add(answer.id)
        return answer

    def granted_again(
        self, store: Store, grant: Granted, request: requests.Grant
    ) -> answers.GrantInfo:
        answer = super().granted_again(store, grant, request)
        if grant.id in self.remembered:
            return answer
        grant.id = runtime().new_id("grant")
        return self.grant_info(grant)


class CapabilitiesTellWhatIsLeft(MemoryPrimaryDriver):
    """As the largest number of volumes the driver declares how many the backend has room for now,
    so its capabilities change with every volume that is created.
    """

    @property
    def capabilities(self) -> PrimaryCapabilities:
        declared = super().capabilities
        store = self.backend.stores.get((self.role, self.namespace))
        most = declared.volume.volumes_max
        if store is None or most is None:
            return declared
        left = max(1, most - len(store.volumes))
        return replace(declared, volume=replace(declared.volume, volumes_max=left))


class SourceLookedUpFirst(MemoryPrimaryDriver):
    """The source is resolved before the key is looked up, so repeating a creation that succeeded is
    ``NotFound`` once the snapshot or volume it was made from is deleted.
    """

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        store = self.allocating_store()
        match request.source:
            case requests.SnapshotSource(key):
                self.snapshot(store, key)
            case requests.VolumeSource(key):
                self.volume(store, key)
            case _:
                pass
        return await super().create_volume(ctx, request)


class LockLeftByRefusal(MemoryPrimaryDriver):
    """The lock on a snapshot's key is released after success and not in a ``finally``, so after one
    refused creation every later one under that key is ``Busy``.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.locked: set[str] = set()

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        if request.key in self.locked:
            raise Busy("another operation on the snapshot is pending", object=request.key)
        self.locked.add(request.key)
        answer = await super().create_snapshot(ctx, request)
        self.locked.discard(request.key)
        return answer


class GrowInWholeMebibytes(MemoryPrimaryDriver):
    """The backend's command to extend a volume takes whole MiB and the driver divides, so a volume
    that is grown to any other size stays smaller than what was asked for.
    """

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        whole = request.size_bytes // _MIB * _MIB
        if whole and not request.shrink:
            request = replace(request, size_bytes=whole)
        return await super().resize_volume(ctx, request)


MUTANTS = (
    blind(ProbeKeepsNoFence, loses_data=False),
    blind(SnapshotsInUtf16Order, loses_data=False),
    blind(ShortPageEndsList, loses_data=False),
    blind(EnumerationByPosition, loses_data=False),
    blind(RevokedWhileDown, loses_data=False),
    blind(ProbeComparesUnroundedSize, loses_data=False),
    blind(AllocatedCachedByCount, loses_data=False),
    blind(UsageWithoutShared, loses_data=False),
    blind(AttachEndsMaintenanceAgain, loses_data=False),
    blind(LowestFreeNumber, loses_data=False),
    blind(StagedVolumeLeft, loses_data=False),
    blind(GrantsOfThisProcess, loses_data=False),
    blind(CapabilitiesTellWhatIsLeft, loses_data=False),
    blind(SourceLookedUpFirst, loses_data=False),
    blind(LockLeftByRefusal, loses_data=False),
    blind(GrowInWholeMebibytes, loses_data=False),
)
