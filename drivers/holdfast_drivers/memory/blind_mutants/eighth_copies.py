"""Blind defects of the eighth round: snapshots, clones and creation."""

import asyncio
import hashlib
import itertools
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES, open_block_io
from holdfast_drivers.memory.backend import (
    Backend,
    Snapshot,
    Store,
    Volume,
)
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

MIB: Final = 1024**2


@dataclass(slots=True)
class _Remains:
    """What a defective driver leaves in its backend beside the tables."""

    tails: dict[str, dict[int, bytes]] = field(default_factory=dict[str, dict[int, bytes]])
    recycled: dict[int, bytes] = field(default_factory=dict[int, bytes])


_remains: WeakKeyDictionary[Backend, _Remains] = WeakKeyDictionary()


def _remains_of(backend: Backend) -> _Remains:
    return _remains.setdefault(backend, _Remains())


def _source_content(store: Store, volume: Volume) -> Content | None:
    """The bytes of what a volume was created from, while that is there."""
    match volume.source:
        case requests.SnapshotSource(key):
            snapshot = store.snapshots.get(key)
            return snapshot.content if snapshot else None
        case requests.VolumeSource(key):
            parent = store.volumes.get(key)
            return parent.content if parent else None
        case _:
            return None


class RevertLeavesTail(MemoryPrimaryDriver):
    """A revert to a smaller snapshot cuts the volume's size but not its file: once the volume grows
    again, its new tail reads the bytes from before the revert and not zeroes.
    """

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        end = snapshot.content.size_bytes // BLOCK_BYTES
        tail = {n: data for n, data in volume.content.blocks.items() if n >= end}
        _remains_of(self.backend).tails[volume.id] = tail
        super().restore(volume, snapshot)

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        old_bytes = volume.content.size_bytes
        super().set_size(volume, size_bytes)
        tail = _remains_of(self.backend).tails.get(volume.id, {})
        for number, data in tail.items():
            if old_bytes <= number * BLOCK_BYTES < size_bytes:
                volume.content.blocks[number] = data


class RevertKeepsFilledHoles(MemoryPrimaryDriver):
    """A revert writes back the snapshot's data blocks and skips its holes: what was written after
    the snapshot to where it has a hole is still there.
    """

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        newer = volume.content.blocks
        super().restore(volume, snapshot)
        for number, data in newer.items():
            if number * BLOCK_BYTES < volume.content.size_bytes:
                volume.content.blocks.setdefault(number, data)


class MiddleSnapshotMergedDown(MemoryPrimaryDriver):
    """Deleting a snapshot that has an older and a newer sibling commits its layer into the older
    one: where that had holes, it has the deleted snapshot's bytes now.
    """

    def remove_snapshot(self, store: Store, key: str) -> None:
        siblings = [
            row
            for row in store.snapshots.values()
            if key in store.snapshots and row.volume == store.snapshots[key].volume
        ]  # the table keeps the order in which they were taken
        super().remove_snapshot(store, key)
        for older, gone in itertools.pairwise(siblings[:-1]):
            if gone.key == key:
                self._commit(gone.content, older.content)

    def _commit(self, layer: Content, base: Content) -> None:
        for number, data in layer.blocks.items():
            if number * BLOCK_BYTES < base.size_bytes:
                base.blocks.setdefault(number, data)


class SnapshotsDeletedByPattern(MemoryPrimaryDriver):
    """A snapshot's key is deleted with SQL's ``LIKE``: ``_`` and ``%`` in it stand for any
    characters, and snapshots of other names that match are gone too.
    """

    def remove_snapshot(self, store: Store, key: str) -> None:
        pattern = re.escape(key).replace("_", ".").replace("%", ".*")
        for name in list(store.snapshots):
            if re.fullmatch(pattern, name, re.DOTALL):
                super().remove_snapshot(store, name)


class CloneOfCloneSkipsLayer(MemoryPrimaryDriver):
    """A clone of a volume that was itself made from a snapshot is linked to that snapshot: what was
    written to the volume in between is missing in its clone.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if not isinstance(request.source, requests.VolumeSource):
            return content
        parent = self.volume(store, request.source.volume)
        if isinstance(parent.source, requests.SnapshotSource):
            root = _source_content(store, parent)
            if root is not None:
                copied = root.copy()
                copied.resize(content.size_bytes)
                return copied
        return content


class EnlargedCloneTailRecycled(MemoryPrimaryDriver):
    """The tail of a clone that is larger than its source is allocated and not zeroed: it reads the
    bytes of a volume that was deleted before.
    """

    def remove_volume(self, store: Store, key: str) -> None:
        blocks = self.volume(store, key).content.blocks
        _remains_of(self.backend).recycled.update(blocks)
        super().remove_volume(store, key)

    def clone(self, content: Content, size_bytes: int) -> Content:
        copied = super().clone(content, size_bytes)
        for number, data in _remains_of(self.backend).recycled.items():
            if content.size_bytes <= number * BLOCK_BYTES < size_bytes:
                copied.blocks[number] = data
        return copied


class DataSourceReadToBlockEnd(MemoryPrimaryDriver):
    """A volume made from the first bytes behind a handle takes the last block whole: bytes after
    ``size_bytes`` are in it, where zeroes must follow.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if isinstance(request.source, requests.DataSource):
            length = request.source.size_bytes
            async with open_block_io(request.source.handle) as opened:
                end = min(-(-length // BLOCK_BYTES) * BLOCK_BYTES, opened.size_bytes)
                content.write(length, await opened.read_at(length, end - length))
        return content


class LongExtentsCut(MemoryPrimaryDriver):
    """A volume made from data gets at most the first MiB of every extent of its source: the rest of
    a longer run of data reads as zeroes.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if isinstance(request.source, requests.DataSource):
            async with open_block_io(request.source.handle) as opened:
                for extent in await opened.extents():
                    start = extent.offset_bytes + MIB
                    end = min(extent.offset_bytes + extent.length_bytes, request.source.size_bytes)
                    if start < end:
                        content.discard(start, end - start)
        return content


class CreateAgainClonesAgain(MemoryPrimaryDriver):
    """Creating a volume from a snapshot once more answers with the same id, but copies the bytes
    once more too: what was written to the volume since is lost.
    """

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        info = super().existing_volume(store, request)
        if info is not None and isinstance(request.source, requests.SnapshotSource):
            volume = self.volume(store, request.key)
            source = _source_content(store, volume)
            if source is not None:
                copied = source.copy()
                copied.resize(volume.content.size_bytes)
                volume.content.blocks = copied.blocks
        return info


class GrandchildLosesBlocks(MemoryPrimaryDriver):
    """Deleting a volume that is a clone and has clones frees the blocks it had from its own source:
    its clones, which are declared independent, read zeroes there.
    """

    def remove_volume(self, store: Store, key: str) -> None:
        volume = self.volume(store, key)
        origin = _source_content(store, volume)
        for child in store.volumes.values():
            if origin is not None and child.source == requests.VolumeSource(volume.key):
                inherited = {id(data) for data in origin.blocks.values()}
                kept = child.content.blocks.items()
                child.content.blocks = {n: d for n, d in kept if id(d) not in inherited}
        super().remove_volume(store, key)


class CreatesOfOneKeyRace(MemoryPrimaryDriver):
    """The key is looked up before the source is copied and not again: two creations at once from a
    source are answered with two ids, and the second has replaced the first volume.
    """

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        if request.source is None:
            return await super().create_volume(ctx, request)
        store = self.allocating_store()
        self.enter_create(store, ctx, request)
        existing = self.existing_volume(store, request)
        if existing is not None:
            return existing
        content = await self.first_content(store, request)
        await asyncio.sleep(0)
        self.enter_create(store, ctx, request)
        store.volumes.pop(self.row_key(request.key), None)
        return await self._entered(store, ctx, request, content)

    async def _entered(
        self, store: Store, ctx: CallContext, request: requests.CreateVolume, content: Content
    ) -> answers.VolumeInfo:
        bare = msgspec.structs.replace(request, source=None)
        await super().create_volume(ctx, bare)
        volume = self.volume(store, request.key)
        volume.content, volume.source = content, request.source
        return self.info(volume)


class VolumeIdMadeOfKey(MemoryPrimaryDriver):
    """A volume's id is a hash of its key: a volume that is created after another one of that key
    was deleted has the same id, which must never be reused.
    """

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        await super().create_volume(ctx, request)
        volume = self.volume(self.store(), request.key)
        volume.id = f"vol-{hashlib.sha256(request.key.encode()).hexdigest()[:24]}"
        return self.info(volume)


class NormalizedNames(MemoryPrimaryDriver):
    """The backend keeps volumes' names in Unicode's form NFC: keys that differ in bytes and not in
    looks are one volume, and deleting the absent one deletes the other.
    """

    def row_key(self, key: str) -> str:
        return unicodedata.normalize("NFC", key)


MUTANTS = (
    blind(RevertLeavesTail, loses_data=True),
    blind(RevertKeepsFilledHoles, loses_data=True),
    blind(MiddleSnapshotMergedDown, loses_data=True),
    blind(SnapshotsDeletedByPattern, loses_data=True),
    blind(CloneOfCloneSkipsLayer, loses_data=True),
    blind(EnlargedCloneTailRecycled, loses_data=True),
    blind(DataSourceReadToBlockEnd, loses_data=True),
    blind(LongExtentsCut, loses_data=True),
    blind(CreateAgainClonesAgain, loses_data=True),
    blind(GrandchildLosesBlocks, loses_data=True),
    blind(CreatesOfOneKeyRace, loses_data=False),
    blind(VolumeIdMadeOfKey, loses_data=False),
    blind(NormalizedNames, loses_data=True),
)
