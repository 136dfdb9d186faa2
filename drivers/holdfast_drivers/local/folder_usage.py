"""Figures and health of a store's folder. Blocking functions."""

import os
from typing import Final

from holdfast.contract.answers import HealthInfo, HealthState, StatsInfo
from holdfast.contract.capabilities import BYTES_MAX
from holdfast.contract.errors import DriverError
from holdfast_drivers.local.store_folder import Place

_SECTOR_BYTES: Final = 512  # what st_blocks counts, whatever the file system


def space_of(place: Place, each: list[StatsInfo]) -> StatsInfo:
    """What a store has, what its files occupy, and what they may grow to.

    Blocks that files share are counted for each, but never more than the whole has.
    """
    fd = place.folder.open(os.O_RDONLY | os.O_DIRECTORY)
    try:
        system = os.statvfs(fd)
    finally:
        os.close(fd)
    # A file system over a network may say that it has 16 EiB.
    total_bytes = place.capacity_bytes or min(system.f_blocks * system.f_frsize, BYTES_MAX)
    return StatsInfo(
        total_bytes=total_bytes,
        used_bytes=min(sum(usage.used_bytes for usage in each), total_bytes),
        allocated_bytes=min(sum(usage.allocated_bytes for usage in each), BYTES_MAX),
        objects=len(each),
    )


def figures_of(status: os.stat_result, size_bytes: int | None = None) -> StatsInfo:
    """What a file is, and what it occupies; ``size_bytes`` of the disk in it, if it is no raw one.

    A file may occupy more than its disk has.
    """
    size_bytes = status.st_size if size_bytes is None else size_bytes
    return StatsInfo(
        total_bytes=size_bytes,
        used_bytes=min(status.st_blocks * _SECTOR_BYTES, size_bytes),
        allocated_bytes=size_bytes,
        objects=1,
    )


def health_of(place: Place) -> HealthInfo:
    """Whether the folder is there, is a store, and can be written."""
    try:
        place.row()
    except DriverError as error:
        dependency = "store" if place.root.is_dir() else f"folder {place.root}"
        return HealthInfo(state=HealthState.DOWN, dependency=dependency, detail=error.cause)
    if not os.access(place.folder.path, os.W_OK | os.X_OK):
        return HealthInfo(
            state=HealthState.DOWN, dependency=f"folder {place.root}", detail="it is read-only"
        )
    return HealthInfo(state=HealthState.UP)
