"""A storage daemon per host, through which volumes are used the way a guest uses them."""

from holdfast.data.current_plane import HostPlane, data_plane, use_data_plane
from holdfast.storage_daemon.guest import Disk, Guest
from holdfast.storage_daemon.plane import DataPlane

__all__ = ["DataPlane", "Disk", "Guest", "HostPlane", "data_plane", "use_data_plane"]
