"""One block interface for every kind of handle, used alike by data motion, the suite and the guest
stand-in.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from holdfast.errors import Unsupported
from holdfast.handles import ExtentHandle, FileHandle, Handle


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


@asynccontextmanager
async def open_block_io(handle: Handle) -> AsyncIterator[BlockIO]:
    """Open a handle for block access and close it again, whatever happens."""
    match handle:
        case ExtentHandle():
            from holdfast.data.extents import extent_space  # noqa: PLC0415 - would be a cycle

            yield extent_space(handle.space).block_io(handle)
        case FileHandle():
            from holdfast.data.file_io import open_file_io  # noqa: PLC0415 - would be a cycle

            async with open_file_io(handle) as opened:
                yield opened
        case _:
            raise Unsupported(f"no block access to a {type(handle).__name__} yet")
