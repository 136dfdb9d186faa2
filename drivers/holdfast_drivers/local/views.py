"""What a primary store shows of itself: pages of volumes and snapshots, and figures. Blocking."""

from holdfast.contract import answers, requests
from holdfast_drivers.listing import page_of
from holdfast_drivers.local.folder_usage import space_of
from holdfast_drivers.local.volumes import Volumes


def stats_of(volumes: Volumes, request: requests.GetStats) -> answers.StatsInfo:
    """Figures of the store, or of one volume."""
    volumes.place.row()
    if request.volume:
        return volumes.volumes.describe(request.volume, volumes.volume_figures)
    return space_of(volumes.place, list(volumes.figures()))


def pools_of(volumes: Volumes) -> answers.PoolList:
    """The one pool: the folder."""
    figures = stats_of(volumes, requests.GetStats())
    pool = answers.PoolInfo(
        name="folder",
        total_bytes=figures.total_bytes,
        used_bytes=figures.used_bytes,
        allocated_bytes=figures.allocated_bytes,
    )
    return answers.PoolList(items=(pool,))


def volume_page(volumes: Volumes, request: requests.ListVolumes) -> answers.VolumePage:
    """One page of volumes."""
    shelf, scope = volumes.volumes, f"{volumes.place.row().id}\0volumes"
    page = page_of(shelf.all_keys(), scope, token=request.token, limit=request.limit)
    items = tuple(shelf.describe_all(page.names, volumes.info))
    return answers.VolumePage(items=items, token=page.token)


def snapshot_page(volumes: Volumes, request: requests.ListSnapshots) -> answers.SnapshotPage:
    """One page of snapshots, of all volumes or of one."""
    shelf = volumes.snapshots
    scope = f"{volumes.place.row().id}\0snapshots\0{request.volume}"
    names = shelf.all_keys()
    if request.volume:
        names = [row.key for row in shelf.rows() if row.volume == request.volume]
    page = page_of(names, scope, token=request.token, limit=request.limit)
    items = tuple(shelf.describe_all(page.names, volumes.snapshot_info))
    return answers.SnapshotPage(items=items, token=page.token)
