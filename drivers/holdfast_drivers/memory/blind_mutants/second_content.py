"""Blind defects of the second round: what volumes, snapshots and clones hold."""

import asyncio

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES, BlockIO
from holdfast_drivers.memory.backend import Backend, Granted, MemoryBlockIO, Snapshot, Store, Volume
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class _WrappingBlockIO(MemoryBlockIO):
    """Block access whose discards carry 32 bits of their offset."""

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        await super().discard(offset_bytes & 0xFFFF_FFFF, length_bytes)


class DiscardOffsetsWrapAtFourGib(Backend):
    """A discard past 4 GiB erases the bytes at its offset modulo 4 GiB and leaves its own."""

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        if handle.token.startswith("object:"):
            return super().block_io(handle)
        size_bytes = self.content_behind(handle.token, write=False).size_bytes
        return _WrappingBlockIO(handle.token, self.content_behind, size_bytes=size_bytes)


class _CachingBlockIO(MemoryBlockIO):
    """Block access that remembers what it read until it changes something itself."""

    def __init__(self, token: str, backend: Backend, *, size_bytes: int) -> None:
        super().__init__(token, backend.content_behind, size_bytes=size_bytes)
        self._seen: dict[tuple[int, int], bytes] = {}

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        data = await super().read_at(offset_bytes, length_bytes)
        return self._seen.setdefault((offset_bytes, length_bytes), data)

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        self._seen.clear()
        await super().write_at(offset_bytes, data)

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        self._seen.clear()
        await super().discard(offset_bytes, length_bytes)


class HandlesCacheWhatTheyRead(Backend):
    """An opened handle reads from a cache of its own, and misses what another host flushed."""

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        if handle.token.startswith("object:"):
            return super().block_io(handle)
        size_bytes = self.content_behind(handle.token, write=False).size_bytes
        return _CachingBlockIO(handle.token, self, size_bytes=size_bytes)


class FirstBlockIsScrubbedLate(Backend):
    """A new volume's first block is zeroed once more a second after its first use, over what was
    written.
    """

    def content_behind(self, token: str, *, write: bool) -> Content:
        content = super().content_behind(token, write=write)
        grant = token.partition(":")[0]
        entry = self.grant_of(grant)
        if entry is None:
            return content
        first_use: dict[str, float] = vars(self).setdefault("first_use", {})
        identifier = entry[0].volumes[entry[1].volume].id
        now = self.wall_clock()
        if now - first_use.setdefault(identifier, now) > 1.0:
            first_use[identifier] = float("inf")
            content.blocks.pop(0, None)
        return content


class DataCloneCopiesEightExtents(MemoryPrimaryDriver):
    """A volume made from a fragmented data source gets only the first eight extents of it."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if isinstance(request.source, requests.DataSource):
            for extent in content.extents()[8:]:
                content.discard(extent.offset_bytes, extent.length_bytes)
        return content


class RevertAfterShrinkLosesTheTail(MemoryPrimaryDriver):
    """Reverting a volume that was shrunk since brings back the size, but no bytes past the shrunk
    size.
    """

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        size_bytes = volume.content.size_bytes
        super().restore(volume, snapshot)
        if size_bytes < snapshot.content.size_bytes:
            volume.content.resize(size_bytes)
            volume.content.resize(snapshot.content.size_bytes)


class RevertKeepsWritesIntoHoles(MemoryPrimaryDriver):
    """A revert copies the snapshot's allocated blocks back and leaves what was written into its
    holes.
    """

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        later = volume.content.blocks
        super().restore(volume, snapshot)
        last = snapshot.content.size_bytes // BLOCK_BYTES
        kept = {number: data for number, data in later.items() if number < last}
        volume.content.blocks = {**kept, **volume.content.blocks}


class GrowthShowsWhatShrinkingCutOff(MemoryPrimaryDriver):
    """A volume that is shrunk and grown again shows the old bytes in its new tail instead of
    zeroes.
    """

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        tails: dict[str, dict[int, bytes]] = vars(self.backend).setdefault("tails", {})
        before = volume.content.blocks
        first_gone = size_bytes // BLOCK_BYTES
        super().set_size(volume, size_bytes)
        cut = {number: data for number, data in before.items() if number >= first_gone}
        if cut:
            tails[volume.id] = cut
            return
        for number, data in tails.pop(volume.id, {}).items():
            if number < first_gone:
                volume.content.blocks[number] = data


class ShrinkCutsTheSnapshotsToo(MemoryPrimaryDriver):
    """A shrink also releases the blocks past the new size that snapshots still need."""

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        if size_bytes < volume.content.size_bytes:
            for snapshot in self.snapshots_of(self.store(), volume.key):
                kept_bytes = snapshot.content.size_bytes
                snapshot.content.resize(min(size_bytes, kept_bytes))
                snapshot.content.resize(kept_bytes)
        super().set_size(volume, size_bytes)


class DeletedSnapshotMergesIntoOlder(MemoryPrimaryDriver):
    """Deleting a snapshot between two others of its volume writes its blocks into the older
    neighbour.
    """

    def remove_snapshot(self, store: Store, key: str) -> None:
        victim = store.snapshots.get(key)
        if victim is not None:
            chain = [row for row in store.snapshots.values() if row.volume == victim.volume]
            place = chain.index(victim)
            if 0 < place < len(chain) - 1:
                older = chain[place - 1].content
                last = older.size_bytes // BLOCK_BYTES
                blocks = victim.content.blocks.items()
                older.blocks.update((number, data) for number, data in blocks if number < last)
        super().remove_snapshot(store, key)


class VolumeKeysLoseTrailingDots(MemoryPrimaryDriver):
    """Volume keys that differ in dots at their end alone are one volume, as on a Windows share."""

    def row_key(self, key: str) -> str:
        volumes = self.store().volumes
        if key in volumes:
            return key
        alike = (known for known in volumes if known.rstrip(".") == key.rstrip("."))
        return next(alike, key)

    def grants_of(self, store: Store, volume: str) -> list[Granted]:
        return super().grants_of(store, self.row_key(volume))

    def grant_to_open(self, store: Store, request: requests.Open) -> Granted:
        alike = msgspec.structs.replace(request, volume=self.row_key(request.volume))
        return super().grant_to_open(store, alike)

    def take_back(self, store: Store, volume: str, host: str) -> None:
        super().take_back(store, self.row_key(volume), host)


class ClonesEndFarIn(MemoryPrimaryDriver):
    """A clone of a snapshot or volume reads zeroes past the first 2**28 sectors of its source."""

    def clone(self, content: Content, size_bytes: int) -> Content:
        clone = super().clone(content, size_bytes)
        last = (1 << 28) * 512 // BLOCK_BYTES
        clone.blocks = {number: data for number, data in clone.blocks.items() if number < last}
        return clone


class RacingCreatesReplaceEachOther(MemoryPrimaryDriver):
    """Of two creations of one key at once both succeed, and the later one replaces the other's
    volume.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        await asyncio.sleep(0)
        store.volumes.pop(request.key, None)
        return content


class DeletedCloneTakesItsClonesBytes(MemoryPrimaryDriver):
    """Deleting a volume that is itself a clone takes the shared bytes away from the clones made of
    it.
    """

    def remove_volume(self, store: Store, key: str) -> None:
        victim = store.volumes[key]
        super().remove_volume(store, key)
        if victim.source is None:
            return
        for row in store.volumes.values():
            if row.source == requests.VolumeSource(key):
                for number, data in victim.content.blocks.items():
                    if row.content.blocks.get(number) is data:
                        del row.content.blocks[number]


class SecondCloneReusesTheFirstImage(MemoryPrimaryDriver):
    """A second clone of one volume gets the volume's bytes as they were when the first was made."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if not isinstance(request.source, requests.VolumeSource):
            return content
        images: dict[str, Content] = vars(self.backend).setdefault("images", {})
        source = self.volume(store, request.source.volume)
        clone = images.setdefault(source.id, content.copy()).copy()
        clone.resize(content.size_bytes)
        return clone


class LateRevertIsCarriedOutToo(MemoryPrimaryDriver):
    """A revert is not held against the volume's fence, so one that comes late destroys newer
    writes.
    """

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        return await super().revert_volume(msgspec.structs.replace(ctx, fence=0), request)


class ProbeRemovesConflictingVolume(MemoryPrimaryDriver):
    """Probing a creation removes an idle volume of another size or source under its key, as if
    half-made.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if isinstance(request, requests.CreateVolume) and isinstance(result, answers.Absent):
            store = self.store()
            if not self.grants_of(store, request.key) and not self.snapshots_of(store, request.key):
                store.volumes.pop(request.key, None)
        return result


class SnapshotIsTakenAtTheNextCall(MemoryPrimaryDriver):
    """A snapshot follows its volume until the next call, so that later writes get into it."""

    def frozen(self, volume: Volume) -> Content:
        return volume.content

    def store(self) -> Store:
        store = super().store()
        for snapshot in store.snapshots.values():
            volume = store.volumes.get(snapshot.volume)
            if volume is not None and volume.content is snapshot.content:
                snapshot.content = volume.content.copy()
        return store


MUTANTS = (
    blind(DiscardOffsetsWrapAtFourGib, loses_data=True),
    blind(HandlesCacheWhatTheyRead, loses_data=True),
    blind(FirstBlockIsScrubbedLate, loses_data=True),
    blind(DataCloneCopiesEightExtents, loses_data=True),
    blind(RevertAfterShrinkLosesTheTail, loses_data=True),
    blind(RevertKeepsWritesIntoHoles, loses_data=True),
    blind(GrowthShowsWhatShrinkingCutOff, loses_data=True),
    blind(ShrinkCutsTheSnapshotsToo, loses_data=True),
    blind(DeletedSnapshotMergesIntoOlder, loses_data=True),
    blind(VolumeKeysLoseTrailingDots, loses_data=True),
    blind(ClonesEndFarIn, loses_data=True),
    blind(RacingCreatesReplaceEachOther, loses_data=True),
    blind(DeletedCloneTakesItsClonesBytes, loses_data=True),
    blind(SecondCloneReusesTheFirstImage, loses_data=True),
    blind(LateRevertIsCarriedOutToo, loses_data=True),
    blind(ProbeRemovesConflictingVolume, loses_data=True),
    blind(SnapshotIsTakenAtTheNextCall, loses_data=True),
)
