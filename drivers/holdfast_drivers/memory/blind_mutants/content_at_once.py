"""Blind defects of what volumes hold when several look, copy or open at once."""

import asyncio
from collections import defaultdict
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from holdfast.contract import answers, requests
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES, BlockIO
from holdfast_drivers.memory.backend import (
    Backend,
    Store,
)
from holdfast_drivers.memory.blind_mutants.content import PassedOn
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class CachedReads(PassedOn):
    """Reads kept by ``cache``, which a host's own changes empty."""

    def __init__(self, inner: BlockIO, cache: dict[tuple[int, int], bytes]) -> None:
        super().__init__(inner)
        self.cache = cache

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        await self.inner.read_at(offset_bytes, 0)
        if length_bytes > 64 * 1024:
            return await self.inner.read_at(offset_bytes, length_bytes)
        place = (offset_bytes, length_bytes)
        if place not in self.cache:
            self.cache[place] = await self.inner.read_at(offset_bytes, length_bytes)
        return self.cache[place]

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        self.cache.clear()
        await self.inner.write_at(offset_bytes, data)

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        self.cache.clear()
        await self.inner.discard(offset_bytes, length_bytes)


class ReadCacheOfASharedVolumeGoesStale(Backend):
    """What a host has read of a volume it reads again from its cache, though another host has
    written and flushed since.
    """

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self.caches: defaultdict[tuple[str, int], dict[tuple[int, int], bytes]] = defaultdict(dict)

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        inner = super().block_io(handle)
        return CachedReads(inner, self.caches[handle.token, inner.size_bytes])


class SnapshotTakesTwoHalvesAtTwoMoments(MemoryPrimaryDriver):
    """A snapshot keeps the lower half of the volume some moments before the upper half, without
    holding writes back. C2 16.
    """

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        volume = self.store().volumes.get(request.volume)
        early = dict(volume.content.blocks) if volume else {}
        await asyncio.sleep(0.01)
        fresh = request.key not in self.store().snapshots
        info = await super().create_snapshot(ctx, request)
        if fresh:
            content = self.store().snapshots[request.key].content
            half = content.size_bytes // BLOCK_BYTES // 2
            late = {n: data for n, data in content.blocks.items() if n >= half}
            content.blocks = {n: data for n, data in early.items() if n < half} | late
        return info


_SLOTS: WeakKeyDictionary[Backend, dict[str, int]] = WeakKeyDictionary()


class SnapshotSlotIsTheNumberOfSnapshots(MemoryPrimaryDriver):
    """A snapshot's bytes lie under the number of snapshots before it; after one was deleted, the
    next overwrites a living one. C2 39 (cloudstack#6209).
    """

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        store, slots = self.store(), _SLOTS.setdefault(self.backend, {})
        fresh = request.key not in store.snapshots
        others = self.snapshots_of(store, request.volume)
        info = await super().create_snapshot(ctx, request)
        if fresh:
            slots[info.id] = len(others)
            for other in others:
                if slots.get(other.id) == len(others):
                    other.content = store.snapshots[request.key].content.copy()
        return info


_COPYING: WeakKeyDictionary[Backend, dict[tuple[str, requests.Source, int], Content]] = (
    WeakKeyDictionary()
)


class ClonesAtOnceShareOneTable(MemoryPrimaryDriver):
    """Two clones of one source made at once are copied under one temporary name, and both become
    the same bytes for ever. C2 21 (iXsystems/cinder#32).
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if not isinstance(request.source, requests.SnapshotSource | requests.VolumeSource):
            return content
        copying = _COPYING.setdefault(self.backend, {})
        temporary = (self.namespace, request.source, content.size_bytes)
        content = copying.setdefault(temporary, content)
        await asyncio.sleep(0.001)
        copying.pop(temporary, None)
        return content


class KeyIsUrlDecoded(MemoryPrimaryDriver):
    """A volume's key passes through a path that decodes it, so that ``a%2Fb`` and ``a/b`` are one
    volume. C2 35.
    """

    def row_key(self, key: str) -> str:
        return unquote(key)


class RefusedRevertHasSetTheSizeAlready(MemoryPrimaryDriver):
    """A revert that is refused because the volume is granted has cut it to the snapshot's size. C2
    6.
    """

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        store = self.store()
        store.fences.compare(Fenced.VOLUME, request.key, ctx.fence)
        volume = store.volumes.get(request.key)
        snapshot = store.snapshots.get(request.snapshot)
        if volume and snapshot and snapshot.volume == volume.key:
            self.set_size(volume, snapshot.content.size_bytes)
        return await super().revert_volume(ctx, request)


class OpeningSweepsClonesWithoutTheirSnapshot(MemoryPrimaryDriver):
    """Opening a driver removes volumes made from a snapshot that is gone, as leftovers of creations
    that did not end. C2 19 (cinder bug 1941815).
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        store = backend.stores.get((self.role, namespace))
        for volume in list(store.volumes.values()) if store else []:
            source = volume.source
            orphan = isinstance(source, requests.SnapshotSource) and (
                store is not None and source.snapshot not in store.snapshots
            )
            if store and orphan and not self.grants_of(store, volume.key):
                self.remove_volume(store, volume.key)


MUTANTS = (
    blind(ReadCacheOfASharedVolumeGoesStale, loses_data=True),
    blind(SnapshotTakesTwoHalvesAtTwoMoments, loses_data=True),
    blind(SnapshotSlotIsTheNumberOfSnapshots, loses_data=True),
    blind(ClonesAtOnceShareOneTable, loses_data=True),
    blind(KeyIsUrlDecoded, loses_data=True),
    blind(RefusedRevertHasSetTheSizeAlready, loses_data=True),
    blind(OpeningSweepsClonesWithoutTheirSnapshot, loses_data=True),
)
