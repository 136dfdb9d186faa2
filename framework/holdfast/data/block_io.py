"""One block interface for every kind of handle, used alike by data motion, the suite and the guest
stand-in.
"""

from abc import ABC, abstractmethod

import msgspec


class Extent(msgspec.Struct, frozen=True):
    """A run of bytes that holds data; what lies between extents reads as zeroes."""

    offset_bytes: int
    length_bytes: int


class BlockIO(ABC):
    """Random access to the bytes behind one handle. Every method may raise any ``DriverError``.

    After the grant is revoked each call raises ``Denied``; a write through a read-only handle does
    too.
    """

    size_bytes: int

    @abstractmethod
    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly ``length_bytes`` from ``offset_bytes``; past the end is ``OutOfRange``."""

    @abstractmethod
    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        """Write all of ``data``; past the end is ``OutOfRange``. Durable only after ``flush``."""

    @abstractmethod
    async def flush(self) -> None:
        """Return when everything written before is durable."""

    @abstractmethod
    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        """Make the range read as zeroes and give its space back where the backend can."""

    @abstractmethod
    async def extents(self) -> tuple[Extent, ...]:
        """Where data is, in ascending order."""
