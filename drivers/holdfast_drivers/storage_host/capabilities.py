"""What a store on a storage host can do, whichever server lets hosts use its volumes."""

from typing import Final

from holdfast.contract.capabilities import (
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    Enforcer,
    PrimaryCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    StatsCapabilities,
    VolumeCapabilities,
)
from holdfast.data.disk_images import ImageFormat
from holdfast_drivers.local.config import BLOCK_BYTES
from holdfast_drivers.local.features import Features
from holdfast_drivers.storage_host.config import StorageHostConfig

QCOW2_MAX_BYTES: Final = 1 << 44
"""The tables of a qcow2 image grow with its disk; these still fit into every cache."""


def storage_host_capabilities(
    config: StorageHostConfig, features: Features, form: ImageFormat = ImageFormat.RAW
) -> PrimaryCapabilities:
    """What a store can do whose volumes a server lets hosts use.

    Snapshots and clones are shared blocks: without them a volume that a host writes to could only
    be copied while it changes, and so neither is declared. A qcow2 volume grows as a copy too, so
    that it has the old size or the new one whatever happens; to shrink one, QEMU walks all of it.
    """
    raw, shares = form is ImageFormat.RAW, features.reflink
    largest = features.file_max_bytes
    return PrimaryCapabilities(
        volume=VolumeCapabilities(
            size_min_bytes=1,
            size_max_bytes=largest if raw else min(largest // 2, QCOW2_MAX_BYTES),
            size_granularity_bytes=BLOCK_BYTES,
            thin=config.capacity_bytes is None,
        ),
        access=AccessCapabilities(
            modes=(AccessMode.EXCLUSIVE, AccessMode.READ_ONLY), enforced_at=Enforcer.STORAGE
        ),
        stats=StatsCapabilities(volume=True),
        resize=ResizeCapabilities(shrink=raw) if raw or shares else None,
        snapshot=SnapshotCapabilities(revert=True, native=True) if shares else None,
        clone=(
            CloneCapabilities(from_snapshot=True, from_volume=True, native=True) if shares else None
        ),
        fences=True,
    )
