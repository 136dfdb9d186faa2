"""Blind defects of the ninth round: clones, creation and deletion."""

from typing import Any

from holdfast.contract import answers, requests
from holdfast.contract.errors import Conflict, InUse
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES, Extent, open_block_io
from holdfast_drivers.memory.backend import (
    Backend,
    Granted,
    Store,
    Volume,
)
from holdfast_drivers.memory.content import Content, content_of
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

Blocks = dict[int, bytes]


def shelf(backend: Backend, name: str) -> dict[Any, Any]:
    """What the defective array keeps under a name in its own metadata."""
    kept: dict[Any, Any] = vars(backend).setdefault(f"shelf of {name}", {})
    return kept


def blocks_past(blocks: Blocks, size_bytes: int) -> Blocks:
    """The blocks that begin at or past a size."""
    return {n: data for n, data in blocks.items() if n * BLOCK_BYTES >= size_bytes}


def blocks_before(blocks: Blocks, size_bytes: int) -> Blocks:
    """The blocks that begin before a size."""
    return {n: data for n, data in blocks.items() if n * BLOCK_BYTES < size_bytes}


def without_shared(blocks: Blocks, other: Blocks) -> Blocks:
    """The blocks of one table that another does not share."""
    return {n: data for n, data in blocks.items() if other.get(n) is not data}


class CloneCutAtCurrentVolumeSize(MemoryPrimaryDriver):
    """A clone of a snapshot copies as many bytes as the snapshot's volume has now.

    Where the volume was shrunk since, the clone has its full size and zeroes for its tail.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if isinstance(request.source, requests.SnapshotSource):
            origin = store.volumes[store.snapshots[request.source.snapshot].volume]
            content.blocks = blocks_before(content.blocks, origin.content.size_bytes)
        return content


class TailFollower(Content):
    """A clone's bytes that fall through to its source past the seam."""

    __slots__ = ("origin", "seam_bytes")

    def __init__(self, size_bytes: int, origin: Content) -> None:
        super().__init__(size_bytes, dict(origin.blocks))
        self.origin = origin
        self.seam_bytes = origin.size_bytes

    def fall_through(self) -> None:
        """Take over what the source has past the seam and the clone has not."""
        behind = blocks_before(blocks_past(self.origin.blocks, self.seam_bytes), self.size_bytes)
        self.blocks = behind | self.blocks

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self.fall_through()
        return super().read(offset_bytes, length_bytes)

    def extents(self) -> tuple[Extent, ...]:
        self.fall_through()
        return super().extents()

    def copy(self, size_bytes: int | None = None) -> Content:
        self.fall_through()
        return super().copy(size_bytes)


class LargerCloneFollowsSourceTail(MemoryPrimaryDriver):
    """A clone larger than its source volume maps its tail to the source instead of to zeroes.

    When the source is grown and written later, its new bytes appear in the clone.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if isinstance(request.source, requests.VolumeSource):
            origin = store.volumes[request.source.volume].content
            if content.size_bytes > origin.size_bytes:
                return TailFollower(content.size_bytes, origin)
        return content


class RetriedCloneRefills(MemoryPrimaryDriver):
    """Creating a clone again answers with the same volume, and copies its snapshot's bytes again.

    What was written to the clone between the two calls is lost.
    """

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        info = super().existing_volume(store, request)
        if info and isinstance(request.source, requests.SnapshotSource):
            snapshot = store.snapshots.get(request.source.snapshot)
            if snapshot:
                store.volumes[request.key].content = snapshot.content.copy(info.size_bytes)
        return info


class SnapshotSourceFindsVolumeFirst(MemoryPrimaryDriver):
    """The source of a clone is looked up by its name alone, among the volumes first.

    Where a volume has the same key as the snapshot, the clone has the wrong one's bytes.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if isinstance(request.source, requests.SnapshotSource):
            namesake = store.volumes.get(request.source.snapshot)
            if namesake:
                self.check_source_size(namesake.content.size_bytes, request)
                return self.clone(namesake.content, content.size_bytes)
        return content


class RebaseSkipsMiddleLayer(MemoryPrimaryDriver):
    """Deleting the middle of a chain of clones rebases its own clones onto the volume above it.

    Blocks that they share with the middle one only are replaced by those of the one above.
    """

    def remove_volume(self, store: Store, key: str) -> None:
        middle = store.volumes[key]
        super().remove_volume(store, key)
        if not isinstance(middle.source, requests.VolumeSource):
            return
        above = store.volumes.get(middle.source.volume)
        for volume in store.volumes.values():
            if above and volume.source == requests.VolumeSource(key):
                own = without_shared(volume.content.blocks, middle.content.blocks)
                lower = blocks_before(above.content.blocks, volume.content.size_bytes)
                volume.content.blocks = lower | own


class ConflictingImportWritesThrough(MemoryPrimaryDriver):
    """A creation from data streams into the extent under the key before it compares arguments.

    ``Conflict`` is told, and the volume that has the key has the first bytes of the refused data.
    """

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        try:
            return await super().create_volume(ctx, request)
        except Conflict:
            if isinstance(request.source, requests.DataSource):
                await self._stream(self.store().volumes[request.key], request.source)
            raise

    async def _stream(self, volume: Volume, source: requests.DataSource) -> None:
        async with open_block_io(source.handle) as opened:
            length = min(source.size_bytes, opened.size_bytes, volume.content.size_bytes)
            streamed = await content_of(opened, length)
        volume.content.blocks.update(streamed.blocks)


class RefusedDeleteFinishesAtRevoke(MemoryPrimaryDriver):
    """A delete that is refused as ``InUse`` leaves the volume marked for deferred removal.

    The revoke of its last grant removes the volume, which nobody asked for again.
    """

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        try:
            return await super().delete_volume(ctx, request)
        except InUse:
            shelf(self.backend, "deferred")[self.store().volumes[request.key].id] = True
            raise

    def take_back(self, store: Store, volume: str, host: str) -> None:
        super().take_back(store, volume, host)
        row = store.volumes.get(volume)
        if row is None or row.id not in shelf(self.backend, "deferred"):
            return
        if not self.grants_of(store, volume) and not self.snapshots_of(store, volume):
            self.remove_volume(store, volume)


class ConflictingGrantIsCounted(MemoryPrimaryDriver):
    """A grant refused for its other mode has raised the count of the host's uses already.

    The next revoke only lowers the count: it succeeds, and the host's handles keep working.
    """

    def granted_again(
        self, store: Store, grant: Granted, request: requests.Grant
    ) -> answers.GrantInfo:
        try:
            return super().granted_again(store, grant, request)
        except Conflict:
            uses = shelf(self.backend, "uses")
            uses[grant.id] = uses.get(grant.id, 0) + 1
            raise

    def take_back(self, store: Store, volume: str, host: str) -> None:
        grant = store.grants.get((volume, host))
        uses = shelf(self.backend, "uses")
        if grant and uses.get(grant.id, 0) > 0:
            uses[grant.id] -= 1
            return
        super().take_back(store, volume, host)


def behind(backend: Backend, token: str) -> tuple[Store, Granted, Volume] | None:
    """The store, grant and volume of a handle's token."""
    entry = backend.grant_of(token.partition(":")[0])
    if entry is None:
        return None
    store, grant = entry
    return store, grant, store.volumes[grant.volume]


MUTANTS = (
    blind(CloneCutAtCurrentVolumeSize, loses_data=True),
    blind(LargerCloneFollowsSourceTail, loses_data=True),
    blind(RetriedCloneRefills, loses_data=True),
    blind(SnapshotSourceFindsVolumeFirst, loses_data=True),
    blind(RebaseSkipsMiddleLayer, loses_data=True),
    blind(ConflictingImportWritesThrough, loses_data=True),
    blind(RefusedDeleteFinishesAtRevoke, loses_data=True),
    blind(ConflictingGrantIsCounted, loses_data=False),
)
