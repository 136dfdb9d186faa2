"""Driver ``local``: volumes as sparse raw files, and objects as files, in a folder of this host."""

from holdfast_drivers.local.provider import LocalProvider

__all__ = ["LocalProvider"]
