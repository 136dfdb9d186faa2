"""What the ``local`` driver is told, and what it declares for the file system it finds."""

import enum
from typing import Final

import msgspec

from holdfast.contract.capabilities import (
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    Enforcer,
    ImageCapabilities,
    ListCapabilities,
    PrimaryCapabilities,
    RangeCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    StatsCapabilities,
    UploadCapabilities,
    VolumeCapabilities,
)
from holdfast_drivers.local.features import Features

BLOCK_BYTES: Final = 4096
PART_MAX_BYTES: Final = 16 << 20
PARTS_MAX: Final = 1 << 16


class Attach(enum.StrEnum):
    """How a host uses the volumes that it was granted."""

    FILE = "file"
    """As files, by whatever program of this host."""
    DAEMON = "daemon"
    """Through the host's storage daemon, which lets go when the grant is taken back."""


class LocalConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A store in a folder of this host.

    Args:
        root: the absolute path of a folder that exists.
        namespace: the part of it that belongs to this store; nothing else is ever touched.
        capacity_bytes: how much may be promised to volumes and snapshots together, or to objects;
            without it, what the file system has.
        attach: how a host uses its volumes. A storage daemon takes no notice of file locks, so
            that with it snapshots and clones need a file system that makes them at once.
    """

    root: str
    namespace: str
    capacity_bytes: int | None = None
    attach: Attach = Attach.FILE


def primary_capabilities(config: LocalConfig, features: Features) -> PrimaryCapabilities:
    """What a primary store in this folder can do."""
    copies = features.reflink or config.attach is Attach.FILE
    return PrimaryCapabilities(
        volume=VolumeCapabilities(
            size_min_bytes=1,
            size_max_bytes=features.file_max_bytes,
            size_granularity_bytes=BLOCK_BYTES,
            thin=config.capacity_bytes is None,
        ),
        access=AccessCapabilities(
            modes=(AccessMode.EXCLUSIVE, AccessMode.READ_ONLY),
            enforced_at=Enforcer.CONSUMER,
            hosts_max=1,
        ),
        stats=StatsCapabilities(volume=True),
        fences=True,
        resize=ResizeCapabilities(shrink=True),
        snapshot=(SnapshotCapabilities(revert=True, native=features.reflink) if copies else None),
        clone=(
            CloneCapabilities(from_snapshot=True, from_volume=True, native=features.reflink)
            if copies
            else None
        ),
    )


def image_capabilities(features: Features) -> ImageCapabilities:
    """What an image store in this folder can do."""
    return ImageCapabilities(
        upload=UploadCapabilities(
            object_max_bytes=min(features.file_max_bytes, PART_MAX_BYTES * PARTS_MAX),
            part_min_bytes=1,
            part_max_bytes=PART_MAX_BYTES,
            parts_max=PARTS_MAX,
        ),
        list=ListCapabilities(page_max=1000),
        range=RangeCapabilities(),
        fences=True,
    )
