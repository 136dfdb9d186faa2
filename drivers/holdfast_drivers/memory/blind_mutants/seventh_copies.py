"""Blind defects of the seventh round: clones, snapshots and what was refused."""

import dataclasses
import unicodedata

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import Busy, Conflict, InUse, NotFound, OutOfRange
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Snapshot, Store, Volume
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class RefusedCloneLeavesItsTarget(MemoryPrimaryDriver):
    """The target of a clone is created before the sizes are compared, and is not removed again
    when the source turns out to be too large.
    """

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        try:
            return await super().create_volume(ctx, request)
        except OutOfRange:
            content = Content(self.rounded(request.size_bytes))
            volume = Volume(
                request.key, runtime().new_id("vol"), content, request.source, ctx.operation
            )
            self.store().volumes.setdefault(request.key, volume)
            raise


class LunNumbersAsIds(MemoryPrimaryDriver):
    """A volume's id is the lowest free LUN number, so that a deleted volume's id soon belongs to
    another one.
    """

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        await super().create_volume(ctx, request)
        store = self.store()
        volume = self.volume(store, request.key)
        if not volume.id.startswith("lun-"):
            taken = {row.id for row in store.volumes.values()}
            volume.id = next(f"lun-{n}" for n in range(len(taken) + 1) if f"lun-{n}" not in taken)
        return self.info(volume)


class MissingSourceIsBusy(MemoryPrimaryDriver):
    """A source that the backend does not know is taken for one that is still being made, so a
    creation from a missing one is answered ``Busy`` for ever.
    """

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        try:
            return await super().first_content(store, request)
        except NotFound as error:
            raise Busy("the source is not ready yet; try again", object=request.key) from error


class ArgumentsKeptInMemory(MemoryPrimaryDriver):
    """What a volume was asked for with is remembered in the driver's process, so that after a
    restart any arguments pass for a repetition of its creation.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._asked: set[str] = set()

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        volume = store.volumes.get(request.key)
        if volume is not None and request.key not in self._asked:
            return self.info(volume)
        self._asked.add(request.key)
        return super().existing_volume(store, request)


class MergesIntoTheOlderSnapshot(MemoryPrimaryDriver):
    """Deleting a snapshot from the middle of the chain commits its layer down into the older
    snapshot in place of merging it into the newer one, so the older one's bytes change.
    """

    def remove_snapshot(self, store: Store, key: str) -> None:
        row = store.snapshots.get(key)
        if row is not None:
            chain = [other for other in store.snapshots.values() if other.volume == row.volume]
            index = chain.index(row)
            if 0 < index < len(chain) - 1:
                chain[index - 1].content = row.content.copy()
        super().remove_snapshot(store, key)


class FlattensOnlyTheFirstClone(MemoryPrimaryDriver):
    """Before a snapshot is deleted its clones are to be flattened, but only the first child in the
    list is, and all others lose the blocks that they still had in common with it.
    """

    def remove_snapshot(self, store: Store, key: str) -> None:
        row = store.snapshots.get(key)
        if row is not None:
            source = requests.SnapshotSource(key)
            children = [volume for volume in store.volumes.values() if volume.source == source]
            shared = row.content.blocks
            for volume in children[1:]:
                content = volume.content
                content.blocks = {
                    n: block for n, block in content.blocks.items() if shared.get(n) is not block
                }
        super().remove_snapshot(store, key)


class SnapshotNamesNormalized(MemoryPrimaryDriver):
    """Snapshots are kept under names that the file system normalizes (NFC), so that a key in
    another spelling of the same letters answers with the older snapshot and keeps nothing.
    """

    def _row(self, store: Store, key: str) -> Snapshot | None:
        name = unicodedata.normalize("NFC", key)
        rows = store.snapshots.values()
        return next((row for row in rows if unicodedata.normalize("NFC", row.key) == name), None)

    def snapshot(self, store: Store, key: str) -> Snapshot:
        row = self._row(store, key)
        return super().snapshot(store, key) if row is None else dataclasses.replace(row, key=key)

    def existing_snapshot(
        self, store: Store, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo | None:
        row = self._row(store, request.key)
        if row is None:
            return None
        if row.volume != request.volume:
            raise Conflict("the key is taken by a snapshot of another volume", object=request.key)
        return self.snapshot_info(dataclasses.replace(row, key=request.key))

    def remove_snapshot(self, store: Store, key: str) -> None:
        row = self._row(store, key)
        super().remove_snapshot(store, key if row is None else row.key)


class OldestSnapshotMakesRoom(MemoryPrimaryDriver):
    """The array's snapshot autodelete is left on, so that the one past the limit is not refused but
    pushes out the volume's oldest.
    """

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        if len(self.snapshots_of(store, volume.key)) >= 8:
            oldest = next(row for row in store.snapshots.values() if row.volume == volume.key)
            del store.snapshots[oldest.key]


class ReplaysCountAsSnapshots(MemoryPrimaryDriver):
    """A counter of a volume's snapshots rises with every successful call, repetitions included, and
    falls with each removal, so that a volume without snapshots is held to have some.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._counts: dict[str, int] = {}

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        info = await super().create_snapshot(ctx, request)
        self._counts[request.volume] = self._counts.get(request.volume, 0) + 1
        return info

    def remove_snapshot(self, store: Store, key: str) -> None:
        row = store.snapshots.get(key)
        if row is not None:
            self._counts[row.volume] = self._counts.get(row.volume, 1) - 1
        super().remove_snapshot(store, key)

    def refuse_with_snapshots(self, store: Store, key: str) -> None:
        super().refuse_with_snapshots(store, key)
        if self._counts.get(key, 0) > 0:
            raise InUse("the volume has snapshots; delete them first", object=key)


class FiltersAfterPaging(MemoryPrimaryDriver):
    """A volume's snapshots are picked out of each page of all snapshots, and a page on which none
    is left is taken for the end of the list.
    """

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        everything = msgspec.structs.replace(request, volume="")
        page = await super().list_snapshots(ctx, everything)
        items = tuple(item for item in page.items if request.volume in ("", item.volume))
        return answers.SnapshotPage(items=items, token=page.token if items else "")


class RefusedRevertKeepsItsLock(MemoryPrimaryDriver):
    """The lock that a revert takes on its volume is released on success only, so after one refusal
    every later revert of the volume is ``Busy``.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._locked: set[str] = set()

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        if request.key in self._locked:
            raise Busy("another operation on the volume is pending", object=request.key)
        self._locked.add(request.key)
        info = await super().revert_volume(ctx, request)
        self._locked.discard(request.key)
        return info


MUTANTS = (
    blind(RefusedCloneLeavesItsTarget, loses_data=False),
    blind(LunNumbersAsIds, loses_data=False),
    blind(MissingSourceIsBusy, loses_data=False),
    blind(ArgumentsKeptInMemory, loses_data=False),
    blind(MergesIntoTheOlderSnapshot, loses_data=True),
    blind(FlattensOnlyTheFirstClone, loses_data=True),
    blind(SnapshotNamesNormalized, loses_data=True),
    blind(OldestSnapshotMakesRoom, loses_data=True),
    blind(ReplaysCountAsSnapshots, loses_data=False),
    blind(FiltersAfterPaging, loses_data=False),
    blind(RefusedRevertKeepsItsLock, loses_data=False),
)
