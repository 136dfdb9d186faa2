"""What the ``memory`` driver is told, and what it declares."""

from typing import Final

import msgspec

from holdfast.contract.capabilities import (
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    CopyCapabilities,
    ImageCapabilities,
    Lifetime,
    ListCapabilities,
    PrimaryCapabilities,
    RangeCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    StatsCapabilities,
    UploadCapabilities,
    UrlCapabilities,
    VolumeCapabilities,
)

KIB: Final = 1024
TIB: Final = 1024**4
TOTAL_BYTES: Final = 1024 * TIB


class MemoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A store in the memory of this process.

    Args:
        space: the backend's name, as its testbed gave it.
        namespace: the place of this store in it.
        token: the backend's credential.
    """

    space: str
    namespace: str
    token: str = ""

    def __repr__(self) -> str:
        """Everything but the token."""
        return f"MemoryConfig(space={self.space!r}, namespace={self.namespace!r})"


PRIMARY_CAPABILITIES: Final = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=1,
        size_max_bytes=TIB,
        size_granularity_bytes=4 * KIB,
        volumes_max=64,
        zeroes_new=True,
        thin=True,
    ),
    access=AccessCapabilities(modes=tuple(AccessMode), hosts_max=8),
    fences=True,
    stats=StatsCapabilities(volume=True),
    resize=ResizeCapabilities(shrink=True, online=True),
    snapshot=SnapshotCapabilities(
        revert=True,
        revert_keeps_newer=True,
        lifetime=Lifetime.BLOCKS_DELETE,
        snapshots_per_volume_max=8,
        native=True,
    ),
    clone=CloneCapabilities(
        from_snapshot=True,
        from_volume=True,
        from_data=True,
        lifetime=Lifetime.INDEPENDENT,
        native=True,
    ),
)

IMAGE_CAPABILITIES: Final = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=1024 * KIB,
        part_min_bytes=16,
        part_max_bytes=64 * KIB,
        parts_max=32,
    ),
    list=ListCapabilities(page_max=1000, delimiter=True),
    range=RangeCapabilities(suffix=True),
    copy=CopyCapabilities(native=True),
    url=UrlCapabilities(expires_max_s=7 * 24 * 3600.0),
    fences=True,
)
