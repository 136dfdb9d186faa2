"""Defects of primary stores that only calls which overlap can show: a look, a pause, an act."""

import asyncio
from typing import ClassVar

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import Corrupt
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES, BlockIO
from holdfast_drivers.memory.backend import Backend, Granted, MemoryBlockIO, Snapshot, Store, Volume
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


async def pause() -> None:
    """Let other calls in, as whatever waits for a backend does."""
    await asyncio.sleep(0)


class CreationsAtOnceMakeTwoVolumes(MemoryPrimaryDriver):
    """Two creations of one key at once both find it free, and the later one takes it over."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        store = self.allocating_store()
        existing = self.existing_volume(store, request)
        if existing is not None:
            return existing
        content = await self.first_content(store, request)
        await pause()
        identifier = runtime().new_id("vol")
        volume = Volume(request.key, identifier, content, request.source, ctx.operation)
        store.volumes[self.row_key(request.key)] = volume
        return self.info(volume)


class CreationPutsAnOldTableBack(MemoryPrimaryDriver):
    """A creation writes back the table of volumes that it read, without what came in meanwhile."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        store = self.store()
        table = dict(store.volumes)
        answer = await super().create_volume(ctx, request)
        row = store.volumes[self.row_key(request.key)]
        await pause()
        store.volumes = {**table, self.row_key(request.key): row}
        return answer


class DeletionPutsAnOldTableBack(MemoryPrimaryDriver):
    """A deletion writes back the table of volumes that it read, and brings others back with it."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        store = self.store()
        table = dict(store.volumes)
        answer = await super().delete_volume(ctx, request)
        await pause()
        table.pop(self.row_key(request.key), None)
        store.volumes = table
        return answer


class DeletionLooksBeforeAGrant(MemoryPrimaryDriver):
    """A volume that is granted while it is about to be deleted is deleted all the same."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        store = self.store()
        if self.row_key(request.key) in store.volumes:
            self.refuse_in_use(store, request.key)
            self.refuse_with_snapshots(store, request.key)
            await pause()
            store.volumes.pop(self.row_key(request.key), None)
        return answers.Gone(key=request.key)


class SlowDeletionLooksBeforeAGrant(MemoryPrimaryDriver):
    """A volume is deleted that was granted between a late look and what came of it."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        await pause()
        store = self.store()
        store.fences.enter(Fenced.VOLUME, request.key, ctx.fence)
        if self.row_key(request.key) in store.volumes:
            self.refuse_in_use(store, request.key)
            self.refuse_with_snapshots(store, request.key)
            await pause()
            store.volumes.pop(self.row_key(request.key), None)
        return answers.Gone(key=request.key)


class ResizeForgetsALargerSize(MemoryPrimaryDriver):
    """A volume that was made larger meanwhile is cut to the size that this call was to make."""

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        volume = self.volume(self.store(), request.key)
        growing = self.rounded(request.size_bytes) > volume.content.size_bytes
        await pause()
        if growing:
            self.set_size(volume, self.rounded(request.size_bytes))
            return self.info(volume)
        return await super().resize_volume(ctx, request)


class GrantsAtOnceGetTwoIds(MemoryPrimaryDriver):
    """Two equal grants at once both find none, and the later one takes the first one's place."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        held = self.store().grants.get((request.volume, request.host))
        await pause()
        if held is None:
            self.store().grants.pop((request.volume, request.host), None)
        return await super().grant(ctx, request)


class HostsAtOncePassTheExclusiveCheck(MemoryPrimaryDriver):
    """Two hosts that ask at once both find nobody, and share an exclusive volume."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        store = self.allocating_store()
        volume = self.volume(store, request.volume)
        self.check_attached(store, request.host)
        self.check_exclusive(
            [row for row in self.grants_of(store, volume.key) if row.host != request.host], request
        )
        await pause()
        self.volume(store, request.volume)
        grant = store.grants.get((volume.key, request.host))
        if grant is not None:
            return self.granted_again(store, grant, request)
        identifier = runtime().new_id("grant")
        grant = Granted(identifier, volume.key, request.host, request.mode, ctx.operation)
        store.grants[volume.key, request.host] = grant
        return self.grant_info(grant)


class GrantOutlivesItsVolume(MemoryPrimaryDriver):
    """A volume that is deleted while it is granted leaves the grant, of a volume that is gone."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        store = self.store()
        row = store.volumes.get(self.row_key(request.volume))
        await pause()
        if row is None or self.row_key(request.volume) in store.volumes:
            return await super().grant(ctx, request)
        identifier = runtime().new_id("grant")
        grant = Granted(identifier, request.volume, request.host, request.mode, ctx.operation)
        store.grants[request.volume, request.host] = grant
        return self.grant_info(grant)


class DetachLooksBeforeAGrant(MemoryLifeCycle):
    """A host that is granted a volume while it is detached keeps the grant, and is not attached."""

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> answers.StoreInfo:
        store = self.changing(ctx)
        self.refuse_granted(store, request.host)
        await pause()
        store.hosts.discard(request.host)
        return self.info(store)


class SnapshotsAtOnceGetTwoIds(MemoryPrimaryDriver):
    """Two equal snapshots at once both find none, and the later one takes the first one's place."""

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        known = request.key in self.store().snapshots
        await pause()
        if not known:
            self.store().snapshots.pop(request.key, None)
        return await super().create_snapshot(ctx, request)


class SnapshotTakesAWriteAway(MemoryPrimaryDriver):
    """What is written while a snapshot is taken is lost: the volume goes on from the copy."""

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        volume = self.store().volumes.get(self.row_key(request.volume))
        content = None if volume is None else volume.content.copy()
        answer = await super().create_snapshot(ctx, request)
        await pause()
        if volume is not None and content is not None:
            volume.content = content
        return answer


class SnapshotIsTakenOfAnEmptyTable(MemoryPrimaryDriver):
    """A snapshot copies the blocks that change while it is taken, and forgets those that do not."""

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        volume = self.store().volumes.get(self.row_key(request.volume))
        blocks = {} if volume is None else dict(volume.content.blocks)
        answer = await super().create_snapshot(ctx, request)
        row: Snapshot = self.store().snapshots[request.key]
        await pause()
        if volume is not None and volume.content.blocks != blocks:
            changed = {n: b for n, b in volume.content.blocks.items() if blocks.get(n) != b}
            row.content = Content(row.content.size_bytes, changed)
        return answer


class CloneTakesAWriteAway(MemoryPrimaryDriver):
    """What is written to a volume while it is cloned is lost: it goes on from the clone's table."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if isinstance(request.source, requests.VolumeSource):
            before = content.copy()
            await pause()
            source = self.volume(store, request.source.volume)
            source.content = before.copy(source.content.size_bytes)
        return content


class _TornBlockIO(MemoryBlockIO):
    """Block access that cannot have two parts of one block written at once."""

    _written: ClassVar[set[tuple[str, int]]] = set()

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        place = (self._token, offset_bytes // BLOCK_BYTES)
        if place in self._written:
            raise Corrupt("the block changed while it was written")
        self._written.add(place)
        try:
            for _ in range(8):
                await asyncio.sleep(0)
            await super().write_at(offset_bytes, data)
        finally:
            self._written.discard(place)


class WritesBesideEachOtherFail(Backend):
    """Of two writes into one block at once the second one fails, as if its bytes were damaged."""

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        if handle.token.startswith("object:"):
            return super().block_io(handle)
        size_bytes = self.content_behind(handle.token, write=False).size_bytes
        return _TornBlockIO(handle.token, self.content_behind, size_bytes=size_bytes)


MUTANTS = (
    planted("CON-01", CreationsAtOnceMakeTwoVolumes),
    planted("CON-01", GrantsAtOnceGetTwoIds),
    planted("CON-01", SnapshotsAtOnceGetTwoIds),
    planted("CON-02", DeletionLooksBeforeAGrant),
    planted("CON-02", SlowDeletionLooksBeforeAGrant),
    planted("CON-02", ResizeForgetsALargerSize),
    planted("CON-02", HostsAtOncePassTheExclusiveCheck),
    planted("CON-02", GrantOutlivesItsVolume),
    planted("CON-02", DetachLooksBeforeAGrant),
    planted("CON-07", WritesBesideEachOtherFail),
    planted("CON-08", CreationPutsAnOldTableBack),
    planted("CON-08", DeletionPutsAnOldTableBack),
    planted("CON-07", SnapshotTakesAWriteAway),
    planted("CON-07", SnapshotIsTakenOfAnEmptyTable),
    planted("CON-07", CloneTakesAWriteAway),
)
