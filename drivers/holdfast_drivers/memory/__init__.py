"""Driver ``memory``: the reference. Everything lives in this process and ends with its testbed."""

from holdfast_drivers.memory.provider import MemoryProvider

__all__ = ["MemoryProvider"]
