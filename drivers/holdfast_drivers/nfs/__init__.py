"""Drivers ``nfs`` and ``nfs-image``: volumes, and objects, as files on an NFS server."""

from holdfast_drivers.nfs.image_provider import NfsImageProvider

__all__ = ["NfsImageProvider"]
