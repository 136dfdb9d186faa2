"""Defects in figures that stay within bounds and tell nothing, or something else."""

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.errors import DriverError, Exhausted, InUse
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import (
    Backend,
    Snapshot,
    Store,
    StoredObject,
    Upload,
    Volume,
)
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

_GIB = 1 << 30


class AllocatedIsAConstant(MemoryPrimaryDriver):
    """Whatever a store with something in it holds, it reports a gibibyte as allocated."""

    def allocated_bytes(self, store: Store) -> int:
        return _GIB if super().allocated_bytes(store) else 0


class AllocatedIsWhatIsUsed(MemoryPrimaryDriver):
    """What is promised is reported as what is used (as apache/cloudstack#9109)."""

    def allocated_bytes(self, store: Store) -> int:
        return self.used_bytes(store)


class GrowthIsNotAllocated(MemoryPrimaryDriver):
    """A volume counts with the size that it was created with, however it grows."""

    first_sizes: dict[str, int] = {}  # noqa: RUF012 - shared on purpose, as the defect is

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        answer = await super().create_volume(ctx, request)
        self.first_sizes.setdefault(answer.id, answer.size_bytes)
        return answer

    def allocated_bytes(self, store: Store) -> int:
        snapshots = sum(row.content.size_bytes for row in store.snapshots.values())
        return snapshots + sum(
            self.first_sizes.get(row.id, row.content.size_bytes) for row in store.volumes.values()
        )


class ClonesAreNotAllocated(MemoryPrimaryDriver):
    """A volume made from a source counts as nothing, although all of it is promised."""

    def allocated_bytes(self, store: Store) -> int:
        clones = [row for row in store.volumes.values() if row.source is not None]
        return super().allocated_bytes(store) - sum(row.content.size_bytes for row in clones)


class SnapshotsCountTwice(MemoryPrimaryDriver):
    """A snapshot is counted for itself and once more with its volume."""

    def allocated_bytes(self, store: Store) -> int:
        snapshots = sum(row.content.size_bytes for row in store.snapshots.values())
        return super().allocated_bytes(store) + snapshots


class PoolsCountVolumesOnly(MemoryPrimaryDriver):
    """The pool leaves the snapshots out that the store's figures count."""

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> answers.PoolList:
        answer = await super().pools(ctx, request)
        volumes = sum(row.content.size_bytes for row in self.store().volumes.values())
        pool = msgspec.structs.replace(answer.items[0], allocated_bytes=volumes)
        return answers.PoolList(items=(pool,))


class VolumeTotalIsRounded(MemoryPrimaryDriver):
    """A volume's figures say the next mebibyte in place of its size."""

    def volume_stats(self, volume: Volume) -> answers.StatsInfo:
        info = super().volume_stats(volume)
        return msgspec.structs.replace(info, total_bytes=-(-info.total_bytes >> 20) << 20)


class VolumeFiguresStayBehind(MemoryPrimaryDriver):
    """A volume's figures are those of its creation, whatever it became since."""

    first_sizes: dict[str, int] = {}  # noqa: RUF012 - shared on purpose, as the defect is

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        answer = await super().create_volume(ctx, request)
        self.first_sizes.setdefault(answer.id, answer.size_bytes)
        return answer

    def volume_stats(self, volume: Volume) -> answers.StatsInfo:
        size_bytes = self.first_sizes[volume.id]
        return answers.StatsInfo(
            total_bytes=size_bytes,
            used_bytes=min(size_bytes, volume.content.used_bytes),
            allocated_bytes=size_bytes,
            objects=1,
        )


class VolumeUsesNothing(MemoryPrimaryDriver):
    """A volume's figures say that it occupies nothing, however much is written."""

    def volume_stats(self, volume: Volume) -> answers.StatsInfo:
        return msgspec.structs.replace(super().volume_stats(volume), used_bytes=0)


class ObjectsAreNotCounted(MemoryPrimaryDriver):
    """A store that holds many things says that it holds one."""

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        info = await super().stats(ctx, request)
        return msgspec.structs.replace(info, objects=min(1, info.objects))


class _Leaking(MemoryPrimaryDriver):
    """What is counted beside what is there."""

    leaked: dict[str, int] = {}  # noqa: RUF012 - shared on purpose, as the defects are

    def leak(self, size_bytes: int) -> None:
        """Count this many bytes from now on, as long as anything is there."""
        self.leaked[self.namespace] = self.leaked.get(self.namespace, 0) + size_bytes

    def allocated_bytes(self, store: Store) -> int:
        leaked = self.leaked.get(self.namespace, 0)
        return super().allocated_bytes(store) + (leaked if store.volumes else 0)


class RefusedCreateStaysAllocated(_Leaking):
    """What a creation would have taken is reserved first, and kept where it is refused."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        try:
            return await super().create_volume(ctx, request)
        except DriverError:
            self.leak(self.rounded(request.size_bytes))
            raise


class RefusedSnapshotStaysAllocated(_Leaking):
    """A snapshot that is one too many leaves what it would have taken."""

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        try:
            super().check_snapshot_limits(store, volume)
        except Exhausted:
            self.leak(volume.content.size_bytes)
            raise


class RefusedDeleteGivesBack(_Leaking):
    """What a granted volume takes is given back before its deletion is refused."""

    def refuse_in_use(self, store: Store, key: str) -> None:
        try:
            super().refuse_in_use(store, key)
        except InUse:
            volume = store.volumes[key]
            self.leak(-min(volume.content.size_bytes, self.allocated_bytes(store)))
            raise


class RevertKeepsBothSizes(_Leaking):
    """What a volume had before it was reverted stays allocated."""

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        self.leak(max(0, volume.content.size_bytes - snapshot.content.size_bytes))
        super().restore(volume, snapshot)


class CreatedAgainCountsTwice(_Leaking):
    """A volume that is asked for again is counted again."""

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        answer = super().existing_volume(store, request)
        if answer is not None:
            self.leak(answer.size_bytes)
        return answer


class ShrinkingGivesNothingBack(_Leaking):
    """What a volume had before it shrank stays allocated."""

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        self.leak(max(0, volume.content.size_bytes - size_bytes))
        super().set_size(volume, size_bytes)


class FiguresEndWithTheDriver(MemoryPrimaryDriver):
    """What is allocated is counted in the driver's memory, from when it was opened."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._seen: set[str] = set()

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        answer = await super().create_volume(ctx, request)
        self._seen.add(answer.key)
        return answer

    def allocated_bytes(self, store: Store) -> int:
        unseen = [row for key, row in store.volumes.items() if key not in self._seen]
        return super().allocated_bytes(store) - sum(row.content.size_bytes for row in unseen)


class NothingIsAllocatedAtRest(MemoryPrimaryDriver):
    """A store in maintenance reports figures of nothing."""

    def allocated_bytes(self, store: Store) -> int:
        at_rest = store.state is StoreState.MAINTENANCE
        return 0 if at_rest else super().allocated_bytes(store)


class ImageFiguresEndWithTheDriver(MemoryImageDriver):
    """Objects are counted in the driver's memory, from when it was opened."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._seen: set[str] = set()

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        super().publish(store, upload, stored)
        self._seen.add(stored.key)

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        info = await super().stats(ctx, request)
        objects = len(self._seen & set(self.store().objects))
        return msgspec.structs.replace(info, objects=objects)


class AbortedUploadsStayAllocated(MemoryImageDriver):
    """The parts of an upload that was aborted are counted for as long as anything is there."""

    leaked: dict[str, int] = {}  # noqa: RUF012 - shared on purpose, as the defect is

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        upload = self.store().uploads.get(request.upload)
        sent = sum(len(part.data) for part in upload.parts.values()) if upload else 0
        self.leaked[self.namespace] = self.leaked.get(self.namespace, 0) + sent
        return await super().abort_upload(ctx, request)

    def used_bytes(self, store: Store) -> int:
        leaked = self.leaked.get(self.namespace, 0)
        return super().used_bytes(store) + (leaked if store.objects else 0)


class ReplacedObjectsStayAllocated(MemoryImageDriver):
    """An object that another one replaced is counted for as long as anything is there."""

    leaked: dict[str, int] = {}  # noqa: RUF012 - shared on purpose, as the defect is

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        before = super().used_bytes(self.store())
        count = len(self.store().objects)
        answer = await super().complete_upload(ctx, request)
        if len(self.store().objects) == count:
            self.leaked[self.namespace] = self.leaked.get(self.namespace, 0) + before // 2
        return answer

    def used_bytes(self, store: Store) -> int:
        leaked = self.leaked.get(self.namespace, 0)
        return super().used_bytes(store) + (leaked if store.objects else 0)


class ImagesAreAConstant(MemoryImageDriver):
    """An image store with something in it always reports one object of a mebibyte."""

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        info = await super().stats(ctx, request)
        if not info.objects:
            return info
        return msgspec.structs.replace(info, used_bytes=1 << 20, allocated_bytes=1 << 20, objects=1)


MUTANTS = (
    planted("CST-02", AllocatedIsAConstant),
    planted("CST-02", AllocatedIsWhatIsUsed),
    planted("CST-02", GrowthIsNotAllocated),
    planted("CST-02", ClonesAreNotAllocated),
    planted("CST-02", SnapshotsCountTwice),
    planted("CST-02", PoolsCountVolumesOnly),
    planted("CST-02", ObjectsAreNotCounted),
    planted("CST-02", RefusedCreateStaysAllocated),
    planted("CST-02", RefusedSnapshotStaysAllocated),
    planted("CST-02", RefusedDeleteGivesBack),
    planted("CST-02", RevertKeepsBothSizes),
    planted("CST-02", CreatedAgainCountsTwice),
    planted("CST-02", ShrinkingGivesNothingBack),
    planted("CST-02", FiguresEndWithTheDriver),
    planted("CST-02", NothingIsAllocatedAtRest),
    planted("CST-02", ImageFiguresEndWithTheDriver),
    planted("CST-06", VolumeTotalIsRounded),
    planted("CST-06", VolumeFiguresStayBehind),
    planted("CST-06", VolumeUsesNothing),
    planted("CST-03", AbortedUploadsStayAllocated),
    planted("CST-03", ReplacedObjectsStayAllocated),
    planted("CST-02", ImagesAreAConstant),
)
