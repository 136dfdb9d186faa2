"""Primary stores that are unusual and right: each end of each capability and limit.

``UNUSUAL`` names them all; the tests certify each.
"""

from typing import Any

import msgspec
from declared_memory import DeclaredDriver, DeclaredPrimary
from unusual_layers import Laconic, Slow

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import (
    BYTES_MAX,
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    CopyCapabilities,
    DeleteInUse,
    Enforcer,
    Lifetime,
    PrimaryCapabilities,
    QosCapabilities,
    ResizeCapabilities,
    StatsCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Store, Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES

_USUAL = PRIMARY_CAPABILITIES
_MIB = 1 << 20
_GIB = 1 << 30


def _but(**parts: Any) -> PrimaryCapabilities:
    """What the reference driver declares, but for these parts."""
    return msgspec.structs.replace(_USUAL, **parts)


def _volume(**limits: Any) -> PrimaryCapabilities:
    return _but(volume=msgspec.structs.replace(_USUAL.volume, **limits))


def _access(**limits: Any) -> PrimaryCapabilities:
    return _but(access=msgspec.structs.replace(_USUAL.access, **limits))


def _snapshot(**limits: Any) -> PrimaryCapabilities:
    assert _USUAL.snapshot is not None
    return _but(snapshot=msgspec.structs.replace(_USUAL.snapshot, **limits))


def _lives(snapshot: Lifetime, clone: Lifetime) -> PrimaryCapabilities:
    assert _USUAL.snapshot is not None
    assert _USUAL.clone is not None
    return _but(
        snapshot=msgspec.structs.replace(_USUAL.snapshot, lifetime=snapshot),
        clone=msgspec.structs.replace(_USUAL.clone, lifetime=clone),
    )


# Counts


class OneVolume(DeclaredPrimary):
    declared = _volume(volumes_max=1)


class TwoVolumes(DeclaredPrimary):
    declared = _volume(volumes_max=2)


class ManyVolumes(DeclaredPrimary):
    """As many as a plan fills up."""

    declared = _volume(volumes_max=256)


class OneSnapshot(DeclaredPrimary):
    declared = _snapshot(snapshots_per_volume_max=1)


class OneHost(DeclaredPrimary):
    declared = _access(hosts_max=1)


class NoLimits(DeclaredPrimary):
    """Nothing is counted."""

    declared = msgspec.structs.replace(
        _snapshot(snapshots_per_volume_max=None),
        volume=msgspec.structs.replace(_USUAL.volume, volumes_max=None),
        access=msgspec.structs.replace(_USUAL.access, hosts_max=None),
    )


# Sizes


class OneSize(DeclaredPrimary):
    declared = _volume(size_min_bytes=_MIB, size_max_bytes=_MIB, size_granularity_bytes=_MIB)


class EveryByte(DeclaredPrimary):
    declared = _volume(size_granularity_bytes=1)


class Sectors(DeclaredPrimary):
    declared = _volume(size_granularity_bytes=512)


class Mebibytes(DeclaredPrimary):
    declared = _volume(size_min_bytes=_MIB, size_granularity_bytes=_MIB)


class Gibibytes(DeclaredPrimary):
    declared = _volume(size_min_bytes=_GIB, size_granularity_bytes=_GIB)


class TinySizes(DeclaredPrimary):
    declared = _volume(size_min_bytes=0, size_max_bytes=16 << 10)


class HugeSizes(DeclaredPrimary):
    declared = _volume(size_max_bytes=BYTES_MAX, size_granularity_bytes=512)


# Snapshots and clones


class UnevenSizes(DeclaredPrimary):
    """Neither limit is a size that a volume can have."""

    declared = _volume(size_min_bytes=1000, size_max_bytes=50_000)


class LittleMoreThanABlock(DeclaredPrimary):
    declared = _volume(size_max_bytes=5000, size_granularity_bytes=1)


class LessThanABlock(DeclaredPrimary):
    declared = _volume(size_max_bytes=2000, size_granularity_bytes=1)


class NoSnapshots(DeclaredPrimary):
    declared = _but(snapshot=None, clone=CloneCapabilities(from_volume=True, from_data=True))


class NoClones(DeclaredPrimary):
    declared = _but(clone=None)


class ClonesOfVolumes(DeclaredPrimary):
    declared = _but(clone=CloneCapabilities(from_volume=True))


class ClonesOfSnapshots(DeclaredPrimary):
    declared = _but(clone=CloneCapabilities(from_snapshot=True, native=True))


class ClonesOfData(DeclaredPrimary):
    declared = _but(clone=CloneCapabilities(from_data=True))


class NoRevert(DeclaredPrimary):
    declared = _snapshot(revert=False)


class RevertsToTheNewest(DeclaredPrimary):
    declared = _snapshot(revert_keeps_newer=False)


class CopiedSnapshots(DeclaredPrimary):
    declared = _snapshot(native=False)


class NothingBlocks(DeclaredPrimary):
    declared = _lives(Lifetime.INDEPENDENT, Lifetime.INDEPENDENT)


class EverythingBlocks(DeclaredPrimary):
    declared = _lives(Lifetime.BLOCKS_DELETE, Lifetime.BLOCKS_DELETE)


class ClonesBlock(DeclaredPrimary):
    declared = _lives(Lifetime.INDEPENDENT, Lifetime.BLOCKS_DELETE)


# Deleting, resizing, access


class CallersGuard(DeclaredPrimary):
    declared = _volume(delete_in_use=DeleteInUse.CALLER_GUARDS)


class NoResize(DeclaredPrimary):
    declared = _but(resize=None)


class GrowsAtRest(DeclaredPrimary):
    declared = _but(resize=ResizeCapabilities())


class GrowsInUse(DeclaredPrimary):
    declared = _but(resize=ResizeCapabilities(online=True))


class ShrinksAtRest(DeclaredPrimary):
    declared = _but(resize=ResizeCapabilities(shrink=True))


class OnlyReading(DeclaredPrimary):
    declared = _access(modes=(AccessMode.READ_ONLY,))


class OnlySharing(DeclaredPrimary):
    declared = _access(modes=(AccessMode.SHARED,))


class OnlyExclusive(DeclaredPrimary):
    declared = _access(modes=(AccessMode.EXCLUSIVE,))


class EnforcedByConsumers(DeclaredPrimary):
    declared = _access(enforced_at=Enforcer.CONSUMER)


class EnforcedByNobody(DeclaredPrimary):
    declared = _access(enforced_at=Enforcer.NONE)


# Copies, limits of I/O, figures


class Copies(DeclaredPrimary):
    declared = _but(copy=CopyCapabilities())


class CopiesByHand(DeclaredPrimary):
    declared = _but(copy=CopyCapabilities(native=False))


class Limited(DeclaredPrimary):
    declared = _but(qos=QosCapabilities(iops_min=100, iops_max=10_000))


class LimitedToOne(DeclaredPrimary):
    declared = _but(qos=QosCapabilities(iops_min=0, iops_max=1))


class NoVolumeFigures(DeclaredPrimary):
    declared = _but(stats=StatsCapabilities())


class _Thick(DeclaredDriver):
    """All that is promised is occupied at once, and some of the store's own beside it."""

    def used_bytes(self, store: Store) -> int:
        return min(self.allocated_bytes(store), 1 << 50) + 4096

    def volume_stats(self, volume: Volume) -> answers.StatsInfo:
        size_bytes = volume.content.size_bytes
        return msgspec.structs.replace(super().volume_stats(volume), used_bytes=size_bytes)


class Thick(DeclaredPrimary):
    declared = _volume(thin=False)
    primary_type = _Thick


class _FreeSnapshots(DeclaredDriver):
    """Nothing is promised for a snapshot, which shares all that it holds."""

    def allocated_bytes(self, store: Store) -> int:
        return sum(row.content.size_bytes for row in store.volumes.values())


class FreeSnapshots(DeclaredPrimary):
    primary_type = _FreeSnapshots


class Bare(DeclaredPrimary):
    """Nothing that is not compulsory."""

    declared = PrimaryCapabilities(
        volume=VolumeCapabilities(
            size_min_bytes=0, size_max_bytes=_GIB, size_granularity_bytes=4096, volumes_max=1
        ),
        access=AccessCapabilities(hosts_max=1),
    )


# Manners


class Brief(DeclaredPrimary):
    layer = Laconic


class Unfenced(DeclaredPrimary):
    declared = _but(fences=False)


class Unhurried(DeclaredPrimary):
    layer = Slow


class _ShortPages(DeclaredDriver):
    """A page has fewer items than were asked for, and a token says that there are more."""

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> answers.VolumePage:
        fewer = msgspec.structs.replace(request, limit=-(-request.limit // 2))
        return await super().list_volumes(ctx, fewer)

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        fewer = msgspec.structs.replace(request, limit=min(2, request.limit))
        return await super().list_snapshots(ctx, fewer)


class ShortPages(DeclaredPrimary):
    primary_type = _ShortPages


class _OddIds(DeclaredDriver):
    """Ids that look like paths, keys of others, or sentences, and are as long as may be."""

    def info(self, volume: Volume) -> answers.VolumeInfo:
        if not volume.id.startswith("../"):
            volume.id = f"../{volume.id}%2f\u2603 'or 1=1".ljust(120, "-")
        return super().info(volume)


class OddIds(DeclaredPrimary):
    primary_type = _OddIds


UNUSUAL = tuple(
    name
    for name, kind in list(globals().items())
    if isinstance(kind, type) and issubclass(kind, DeclaredPrimary) and kind is not DeclaredPrimary
)
