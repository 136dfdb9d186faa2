"""Defects in figures of capacity and use."""

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Store
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class EmptyStoreUsesLessThanNothing(MemoryPrimaryDriver):
    """A figure that is not known is reported as -1."""

    def used_bytes(self, store: Store) -> int:
        return super().used_bytes(store) or -1


class TotalFallsToZero(MemoryPrimaryDriver):
    """The total is lost once there is a volume (as apache/cloudstack#4911)."""

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        info = await super().stats(ctx, request)
        if request.volume or not self.store().volumes:
            return info
        return msgspec.structs.replace(info, total_bytes=0, used_bytes=info.allocated_bytes)


class AllocatedGoesNegative(MemoryPrimaryDriver):
    """Snapshots are subtracted from what is allocated."""

    def allocated_bytes(self, store: Store) -> int:
        snapshots = sum(row.content.size_bytes for row in store.snapshots.values())
        return super().allocated_bytes(store) - 3 * snapshots


class DeletedVolumesStayAllocated(MemoryPrimaryDriver):
    """Space is allocated and never given back (as cloudstack pull request 1844)."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._most = 0

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        answer = await super().create_volume(ctx, request)
        self._most = max(self._most, super().allocated_bytes(self.store()))
        return answer

    def allocated_bytes(self, store: Store) -> int:
        return max(self._most, super().allocated_bytes(store))


class LastDeleteLeavesARemainder(MemoryPrimaryDriver):
    """An empty store that once had a volume reports a block as used (as cloudstack#860)."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._remainder = 0

    def remove_volume(self, store: Store, key: str) -> None:
        super().remove_volume(store, key)
        self._remainder = 0 if store.volumes else 4096

    def used_bytes(self, store: Store) -> int:
        return super().used_bytes(store) + self._remainder


MUTANTS = (
    planted("CAP-01", EmptyStoreUsesLessThanNothing),
    planted("CST-01", TotalFallsToZero),
    planted("CAP-01", AllocatedGoesNegative),
    planted("CST-03", DeletedVolumesStayAllocated),
    planted("CST-03", LastDeleteLeavesARemainder),
)
