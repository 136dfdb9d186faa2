"""Drivers ``nfs`` and ``nfs-image``: volumes, and objects, as files on an NFS server.

The providers are imported when they are asked for: the agent on the storage host runs other modules
of this folder, and need not have what the providers need.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast_drivers.nfs.image_provider import NfsImageProvider
    from holdfast_drivers.nfs.primary_provider import NfsProvider

__all__ = ["NfsImageProvider", "NfsProvider"]


def __getattr__(name: str) -> object:
    if name == "NfsImageProvider":
        from holdfast_drivers.nfs.image_provider import NfsImageProvider  # noqa: PLC0415 - above

        return NfsImageProvider
    if name == "NfsProvider":
        from holdfast_drivers.nfs.primary_provider import NfsProvider  # noqa: PLC0415 - see above

        return NfsProvider
    raise AttributeError(f"module {__name__} has no attribute {name!r}")
