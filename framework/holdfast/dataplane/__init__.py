"""A storage daemon per host, through which volumes are used the way a guest uses them."""

from holdfast.data.plane import HostPlane, data_plane, use_data_plane
from holdfast.dataplane.guest import Disk, Guest
from holdfast.dataplane.plane import DataPlane

__all__ = ["DataPlane", "Disk", "Guest", "HostPlane", "data_plane", "use_data_plane"]
