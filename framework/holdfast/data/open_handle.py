"""From a handle to block access: the one place that knows every kind of handle."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.contract.errors import Unsupported
from holdfast.contract.handles import BlockNodeHandle, ExtentHandle, FileHandle, Handle, HttpHandle
from holdfast.data.block_io import BlockIO
from holdfast.data.current_plane import data_plane
from holdfast.data.file_io import open_file_io
from holdfast.data.in_process_spaces import extent_space


@asynccontextmanager
async def open_block_io(handle: Handle) -> AsyncIterator[BlockIO]:
    """Open a handle for block access and close it again, whatever happens.

    Raises:
        Unsupported: the handle needs a data plane and none is open, or is native to its provider.
    """
    match handle:
        case ExtentHandle():
            yield extent_space(handle.space).block_io(handle)
        case FileHandle():
            async with open_file_io(handle) as opened:
                yield opened
        case BlockNodeHandle():
            plane = data_plane()
            if plane is None:
                raise Unsupported(
                    "the volume is used through a host's storage daemon, and no data plane is open",
                    object=handle.volume,
                )
            async with plane.open(handle) as opened:
                yield opened
        case HttpHandle():
            from holdfast.data.http_io import open_http_io  # noqa: PLC0415 - optional dependency

            async with open_http_io(handle) as opened:
                yield opened
        case _:
            raise Unsupported(f"no block access to a {type(handle).__name__}")
