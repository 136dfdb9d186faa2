"""From a handle to block access: the one place that knows every kind of handle."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.data.block_io import BlockIO
from holdfast.data.extents import extent_space
from holdfast.data.file_io import open_file_io
from holdfast.errors import Unsupported
from holdfast.handles import ExtentHandle, FileHandle, Handle


@asynccontextmanager
async def open_block_io(handle: Handle) -> AsyncIterator[BlockIO]:
    """Open a handle for block access and close it again, whatever happens."""
    match handle:
        case ExtentHandle():
            yield extent_space(handle.space).block_io(handle)
        case FileHandle():
            async with open_file_io(handle) as opened:
                yield opened
        case _:
            raise Unsupported(f"no block access to a {type(handle).__name__} yet")
