"""One block interface for every kind of handle, used alike by data motion, the suite and the guest
stand-in.
"""

from abc import ABC, abstractmethod

import msgspec

from holdfast.contract.errors import OutOfRange


class Extent(msgspec.Struct, frozen=True):
    """A run of bytes that holds data; what lies between extents reads as zeroes."""

    offset_bytes: int
    length_bytes: int


def check_range(offset_bytes: int, length_bytes: int, size_bytes: int, subject: str = "") -> None:
    """Refuse a range that is not wholly within the bytes there are, before anything is done.

    Raises:
        OutOfRange: it begins or ends outside, or its length is negative.
    """
    if min(offset_bytes, length_bytes) < 0 or offset_bytes + length_bytes > size_bytes:
        raise OutOfRange(
            f"{length_bytes} bytes at {offset_bytes} are not within {size_bytes} bytes",
            object=subject,
        )


class BlockIO(ABC):
    """Random access to the bytes behind one handle. Every method may raise any ``DriverError``.

    Any range within ``size_bytes`` will do, down to single bytes and to none at all, whatever the
    blocks of the backend are: bytes beside it are never changed. Any other range is ``OutOfRange``,
    and nothing was done. A range of no bytes does nothing.

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
