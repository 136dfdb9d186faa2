"""Blind defects of the fourth round: bytes, copies of them, and probes."""

import asyncio
from hashlib import blake2b
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.errors import Denied, Unavailable
from holdfast.contract.handles import Handle
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES, Extent
from holdfast_drivers.memory.backend import Backend, Store, Volume
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

UNIT_BLOCKS: Final = 16


BATCH_BLOCKS: Final = 64


MIB: Final = 1 << 20


EXTENTS_BUFFERED: Final = 64


OFFSET_MASK: Final = (1 << 32) - 1


class ShrinkGivesBackWholeUnitsOnly(MemoryPrimaryDriver):
    """A shrink frees whole units of 64 KiB; a later grow shows the rest of the cut one."""

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        content = volume.content
        first_gone = -(-size_bytes // (UNIT_BLOCKS * BLOCK_BYTES)) * UNIT_BLOCKS
        content.blocks = {n: data for n, data in content.blocks.items() if n < first_gone}
        content.size_bytes = size_bytes


class OverItsSource(Content):
    """A clone's bytes over those of its source; a block it gives back is its source's again."""

    __slots__ = ("below",)

    def __init__(self, source: Content, size_bytes: int) -> None:
        super().__init__(size_bytes, dict(source.blocks))
        self.below = dict(source.blocks)

    def discard(self, offset_bytes: int, length_bytes: int) -> None:
        super().discard(offset_bytes, length_bytes)
        first = -(-offset_bytes // BLOCK_BYTES)
        last = (offset_bytes + length_bytes) // BLOCK_BYTES
        self.blocks |= {n: data for n, data in self.below.items() if first <= n < last}


class DiscardInACloneShowsItsSource(MemoryPrimaryDriver):
    """Whole blocks discarded in a clone read as its source had them, not as zeroes."""

    def clone(self, content: Content, size_bytes: int) -> Content:
        return OverItsSource(content, size_bytes)


class SnapshotIsTornByWrites(MemoryPrimaryDriver):
    """A snapshot of more than 64 blocks is read in batches, with what is written meanwhile."""

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        store = self.store()
        is_new = request.key not in store.snapshots
        info = await super().create_snapshot(ctx, request)
        if is_new:
            await self.read_in_batches(
                store.volumes[request.volume].content, store.snapshots[request.key].content
            )
        return info

    async def read_in_batches(self, source: Content, target: Content) -> None:
        """Read a table of blocks batch by batch."""
        numbers = sorted(source.blocks)
        for start in range(0, len(numbers), BATCH_BLOCKS):
            if start:
                await asyncio.sleep(0)
            for number in numbers[start : start + BATCH_BLOCKS]:
                if number in source.blocks:
                    target.blocks[number] = source.blocks[number]


class ReusedSpaceIsZeroedByMebibytes(MemoryPrimaryDriver):
    """A new volume on a deleted one's space is zeroed by whole MiB; what is beyond stays."""

    freed: ClassVar[WeakKeyDictionary[Backend, dict[int, Content]]] = WeakKeyDictionary()

    def remove_volume(self, store: Store, key: str) -> None:
        content = self.volume(store, key).content
        super().remove_volume(store, key)
        self.freed.setdefault(self.backend, {})[content.size_bytes] = content

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if request.source is not None:
            return content
        reused = self.freed.get(self.backend, {}).pop(content.size_bytes, content)
        reused.discard(0, reused.size_bytes // MIB * MIB)
        return reused


class OldHandleWorksAfterGrantingAgain(MemoryPrimaryDriver):
    """A grant's id is a digest of volume and host: granted again, revoked handles work too."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        await super().grant(ctx, request)
        store = self.store()
        grant = store.grants[request.volume, request.host]
        volume = self.volume(store, request.volume)
        grant.id = blake2b(f"{volume.id}|{request.host}".encode(), digest_size=16).hexdigest()
        return self.grant_info(grant)


class DeletingAKeyDeletesWhatIsBelow(MemoryPrimaryDriver):
    """Keys are paths: deleting a volume deletes also those whose keys go on with a slash."""

    def remove_volume(self, store: Store, key: str) -> None:
        super().remove_volume(store, key)
        for name in [name for name in store.volumes if name.startswith(f"{key}/")]:
            del store.volumes[name]


class OneBufferOfExtents(Content):
    """Bytes whose extents are asked for once, with room for 64."""

    __slots__ = ()

    def extents(self) -> tuple[Extent, ...]:
        return super().extents()[:EXTENTS_BUFFERED]


class ExtentsEndAfterSixtyFour(MemoryPrimaryDriver):
    """A handle tells the first 64 extents only, and a copy by extents loses all others."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        return OneBufferOfExtents(content.size_bytes, content.blocks)


class DataIsCopiedByWholeBlocks(MemoryPrimaryDriver):
    """A volume made from the first bytes behind a handle has the rest of their last block too."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        match request.source:
            case requests.DataSource(handle, length):
                whole = max(length, min(self.rounded(length), handle.size_bytes))
                request = replace(request, source=requests.DataSource(handle, whole))
            case _:
                pass
        return await super().first_content(store, request)


class MiddleSnapshotIsCommittedIntoTheOlder(MemoryPrimaryDriver):
    """Deleting a snapshot between two others puts its bytes into the older one."""

    def remove_snapshot(self, store: Store, key: str) -> None:
        gone = store.snapshots.get(key)
        if gone is not None:
            chain = [row for row in store.snapshots.values() if row.volume == gone.volume]
            place = chain.index(gone)
            if 0 < place < len(chain) - 1:
                chain[place - 1].content = gone.content
        super().remove_snapshot(store, key)


class FailedImportLeavesAnEmptyVolume(MemoryPrimaryDriver):
    """Where the source's handle is refused, an empty volume stays, and a repetition takes it."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        try:
            return await super().first_content(store, request)
        except (Denied, Unavailable):
            empty = Content(self.rounded(request.size_bytes))
            store.volumes[self.row_key(request.key)] = Volume(
                request.key, runtime().new_id("vol"), empty, request.source, ""
            )
            raise


class OffsetsOf32Bits(Content):
    """Bytes at offsets that are kept in 32 bits."""

    __slots__ = ()

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self._check(offset_bytes, length_bytes)
        return super().read(offset_bytes & OFFSET_MASK, length_bytes)

    def write(self, offset_bytes: int, data: bytes) -> None:
        self._check(offset_bytes, len(data))
        super().write(offset_bytes & OFFSET_MASK, data)


class OffsetsWrapAtFourGibibytes(MemoryPrimaryDriver):
    """Writes from 4 GiB on land at the volume's beginning, where reads from there find them."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        return OffsetsOf32Bits(content.size_bytes, content.blocks)


class CloneIsCutWhenFirstOpened(MemoryPrimaryDriver):
    """A clone shares its source's blocks until either is opened: open handles write into both."""

    def clone(self, content: Content, size_bytes: int) -> Content:
        return Content(size_bytes, content.blocks)

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        handle = await super().open(ctx, request)
        content = self.volume(self.store(), request.volume).content
        content.blocks = dict(content.blocks)
        return handle


class RefusedRevertHasResized(MemoryPrimaryDriver):
    """A revert gives the volume its snapshot's size before it is refused as in use."""

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        store = self.store()
        store.fences.compare(Fenced.VOLUME, request.key, ctx.fence)
        volume = self.volume(store, request.key)
        snapshot = self.snapshot(store, request.snapshot)
        if snapshot.volume == volume.key:
            volume.content.resize(snapshot.content.size_bytes)
        return await super().revert_volume(ctx, request)


class MaintainedStoreIsDeletedWithItsVolumes(MemoryLifeCycle):
    """A store in maintenance passes for drained and is deleted with all that lives in it."""

    def holders(self, store: Store) -> tuple[str, ...]:
        return () if store.state is StoreState.MAINTENANCE else super().holders(store)


class ProbeTakesEqualSizeForReverted(MemoryPrimaryDriver):
    """A revert that never happened is Done where volume and snapshot have the same size."""

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        found = await super().probe(ctx, verb, request)
        if isinstance(request, requests.RevertVolume) and isinstance(found, answers.Absent):
            store = self.store()
            volume = store.volumes.get(request.key)
            snapshot = store.snapshots.get(request.snapshot)
            if volume and snapshot and volume.content.size_bytes == snapshot.content.size_bytes:
                return answers.Done(answer=self.info(volume))
        return found


class SourceIsRememberedInTheDriver(MemoryPrimaryDriver):
    """Two creations at once on one driver both start with the source of the later one."""

    source: requests.Source | None = None

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        self.source = request.source
        await asyncio.sleep(0)
        return await super().first_content(store, replace(request, source=self.source))


MUTANTS = (
    blind(ShrinkGivesBackWholeUnitsOnly, loses_data=True),
    blind(DiscardInACloneShowsItsSource, loses_data=True),
    blind(SnapshotIsTornByWrites, loses_data=True),
    blind(ReusedSpaceIsZeroedByMebibytes, loses_data=True),
    blind(OldHandleWorksAfterGrantingAgain, loses_data=True),
    blind(DeletingAKeyDeletesWhatIsBelow, loses_data=True),
    blind(ExtentsEndAfterSixtyFour, loses_data=True),
    blind(DataIsCopiedByWholeBlocks, loses_data=True),
    blind(MiddleSnapshotIsCommittedIntoTheOlder, loses_data=True),
    blind(FailedImportLeavesAnEmptyVolume, loses_data=True),
    blind(OffsetsWrapAtFourGibibytes, loses_data=True),
    blind(CloneIsCutWhenFirstOpened, loses_data=True),
    blind(RefusedRevertHasResized, loses_data=True),
    blind(MaintainedStoreIsDeletedWithItsVolumes, loses_data=True),
    blind(ProbeTakesEqualSizeForReverted, loses_data=True),
    blind(SourceIsRememberedInTheDriver, loses_data=True),
)
