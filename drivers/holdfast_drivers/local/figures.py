"""Figures and health of a store's folder. Blocking functions."""

import os
from pathlib import Path
from typing import Final

from holdfast.errors import DriverError
from holdfast.infos import HealthInfo, HealthState, StatsInfo
from holdfast_drivers.local.place import Place

_SECTOR_BYTES: Final = 512  # what st_blocks counts, whatever the file system


def space_of(place: Place, statuses: list[os.stat_result]) -> StatsInfo:
    """What a store has, what its files occupy, and what they may grow to.

    Blocks that files share are counted for each, but never more than the whole has.
    """
    system = os.statvfs(place.folder)
    total_bytes = place.capacity_bytes or system.f_blocks * system.f_frsize
    occupied = sum(status.st_blocks for status in statuses) * _SECTOR_BYTES
    return StatsInfo(
        total_bytes=total_bytes,
        used_bytes=min(occupied, total_bytes),
        allocated_bytes=sum(status.st_size for status in statuses),
        objects=len(statuses),
    )


def volume_figures(path: Path) -> StatsInfo:
    """What one volume's file is, and what it occupies."""
    status = path.stat()
    return StatsInfo(
        total_bytes=status.st_size,
        used_bytes=min(status.st_blocks * _SECTOR_BYTES, status.st_size),
        allocated_bytes=status.st_size,
        objects=1,
    )


def health_of(place: Place) -> HealthInfo:
    """Whether the folder is there, is a store, and can be written."""
    try:
        place.row()
    except DriverError as error:
        dependency = "store" if place.root.is_dir() else f"folder {place.root}"
        return HealthInfo(state=HealthState.DOWN, dependency=dependency, detail=error.cause)
    if not os.access(place.folder, os.W_OK | os.X_OK):
        return HealthInfo(
            state=HealthState.DOWN, dependency=f"folder {place.root}", detail="it is read-only"
        )
    return HealthInfo(state=HealthState.UP)
