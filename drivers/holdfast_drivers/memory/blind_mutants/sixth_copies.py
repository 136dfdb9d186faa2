"""Blind defects of the sixth round: clones, snapshots and what is shared."""

import asyncio
import unicodedata
from typing import Final

from msgspec.structs import replace

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES
from holdfast_drivers.memory.backend import (
    Backend,
    Granted,
    Snapshot,
    Store,
    Volume,
)
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

_MIB: Final = 1 << 20


_HOLE_BLOCKS: Final = _MIB // BLOCK_BYTES


def _in_order(store: Store, volume: str) -> list[Snapshot]:
    """A volume's snapshots in the order in which they were made."""
    return [row for row in store.snapshots.values() if row.volume == volume]


class ImportEndsAtHole(MemoryPrimaryDriver):
    """The import of data reads until a whole buffer of 1 MiB comes back empty and takes that for
    the end of the source, so what lies behind a large hole is missing in the new volume.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if not isinstance(request.source, requests.DataSource):
            return content
        kept: dict[int, bytes] = {}
        last = -1
        for number in sorted(content.blocks):
            if kept and number - last > _HOLE_BLOCKS:
                break
            kept[number] = content.blocks[number]
            last = number
        return Content(content.size_bytes, kept)


class CommittedIntoOlderSnapshot(MemoryPrimaryDriver):
    """A snapshot in the middle of the chain is deleted by committing its layer down into its
    backing file, which is the next older snapshot, and so that one changes.
    """

    def remove_snapshot(self, store: Store, key: str) -> None:
        gone = store.snapshots.get(key)
        if gone is not None:
            chain = _in_order(store, gone.volume)
            position = chain.index(gone)
            if 0 < position < len(chain) - 1:
                chain[position - 1].content = gone.content.copy()
        super().remove_snapshot(store, key)


class GrandchildrenNotFlattened(MemoryPrimaryDriver):
    """Before a snapshot goes its clones are flattened, but not the clones of those clones, whose
    parent pointer skips a level, so they lose all that they never wrote themselves.
    """

    def remove_snapshot(self, store: Store, key: str) -> None:
        gone = store.snapshots.get(key)
        if gone is not None:
            rows = store.volumes.values()
            source = requests.SnapshotSource(key)
            children = {row.key for row in rows if row.source == source}
            for row in rows:
                if isinstance(row.source, requests.VolumeSource) and row.source.volume in children:
                    old, below = row.content.blocks, gone.content.blocks
                    row.content.blocks = {
                        n: data for n, data in old.items() if below.get(n) is not data
                    }
        super().remove_snapshot(store, key)


class SnapshotOfFormerOverlay(MemoryPrimaryDriver):
    """After the first snapshot of a volume in use the driver still has the former image as the
    active one, so a second online snapshot captures what the first did.
    """

    def frozen(self, volume: Volume) -> Content:
        store = self.store()
        earlier = _in_order(store, volume.key)
        if not earlier or not self.grants_of(store, volume.key):
            return super().frozen(volume)
        content = earlier[-1].content.copy()
        content.resize(volume.content.size_bytes)
        return content


class FencesInProcess(MemoryPrimaryDriver):
    """The highest fences are kept in the driver's process and not in the store, so after a restart,
    or through another instance, a late call is carried out.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.own_fences = Fences()

    def store(self) -> Store:
        store = super().store()
        store.fences = self.own_fences
        return store


class NormalizedKeys(MemoryPrimaryDriver):
    """Volumes are looked up in a file system that normalizes names, so two keys that differ only in
    their Unicode form are one volume, and deleting the one destroys the other.
    """

    def row_key(self, key: str) -> str:
        wanted = unicodedata.normalize("NFC", key)
        for name in self.store().volumes:
            if unicodedata.normalize("NFC", name) == wanted:
                return name
        return key


class GrowFromRememberedSize(MemoryPrimaryDriver):
    """Whether a resize grows a volume is told from the size that this process remembers, so after
    another instance grew it further, the backend's absolute resize cuts its tail off.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.remembered: dict[str, int] = {}

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        answer = await super().create_volume(ctx, request)
        self.remembered[answer.id] = answer.size_bytes
        return answer

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        volume = self.store().volumes.get(request.key)
        if volume is not None:
            known = self.remembered.get(volume.id, volume.content.size_bytes)
            if known < self.rounded(request.size_bytes) < volume.content.size_bytes:
                request = replace(request, shrink=True)
        answer = await super().resize_volume(ctx, request)
        self.remembered[answer.id] = answer.size_bytes
        return answer


class StoreRemovedByPrefix(MemoryLifeCycle):
    """The place is given back by removing everything whose path begins with the namespace, which
    takes every other store with it whose name only begins so.
    """

    def remove(self, backend: Backend) -> None:
        for role, namespace in list(backend.stores):
            if role is self.role and namespace.startswith(self.config.namespace):
                del backend.stores[role, namespace]


class GrantChecksThenWaits(MemoryPrimaryDriver):
    """Between the look at the other grants and the entry of the new one lies the request to the
    target, without a lock, so two hosts that ask at once both get the volume exclusively.
    """

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
        store.grants[volume.key, request.host] = grant
        return self.grant_info(grant)


MUTANTS = (
    blind(ImportEndsAtHole, loses_data=True),
    blind(CommittedIntoOlderSnapshot, loses_data=True),
    blind(GrandchildrenNotFlattened, loses_data=True),
    blind(SnapshotOfFormerOverlay, loses_data=True),
    blind(FencesInProcess, loses_data=True),
    blind(NormalizedKeys, loses_data=True),
    blind(GrowFromRememberedSize, loses_data=True),
    blind(StoreRemovedByPrefix, loses_data=True),
    blind(GrantChecksThenWaits, loses_data=True),
)
