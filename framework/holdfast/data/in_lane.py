"""A store's bytes are read and written in its lane: a dead disk holds no threads of others."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from holdfast.concurrency.lanes import Lane, in_lane
from holdfast.concurrency.runtime import runtime
from holdfast.contract.handles import Handle
from holdfast.data.block_io import BlockIO, Extent
from holdfast.data.open_handle import open_block_io


@asynccontextmanager
async def open_in_lane(handle: Handle, lane: Lane) -> AsyncIterator[BlockIO]:
    """Block access whose blocking work, its opening too, is done in a lane."""
    async with AsyncExitStack() as stack:
        with in_lane(lane):
            opened = await stack.enter_async_context(open_block_io(handle))
        yield InLane(opened, lane)


@asynccontextmanager
async def open_apart(handle: Handle, *, threads: int = 1) -> AsyncIterator[BlockIO]:
    """Block access to what lies in no store, in a lane that ends with it: its disk may be dead."""
    lane = runtime().open_lane(threads)
    try:
        async with open_in_lane(handle, lane) as opened:
            yield opened
    finally:
        lane.close()


class InLane(BlockIO):
    """Another block access, whose blocking work is done in a lane."""

    def __init__(self, inner: BlockIO, lane: Lane) -> None:
        self.size_bytes = inner.size_bytes
        self._inner = inner
        self._lane = lane

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        with in_lane(self._lane):
            return await self._inner.read_at(offset_bytes, length_bytes)

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        with in_lane(self._lane):
            await self._inner.write_at(offset_bytes, data)

    async def flush(self) -> None:
        with in_lane(self._lane):
            await self._inner.flush()

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        with in_lane(self._lane):
            await self._inner.discard(offset_bytes, length_bytes)

    async def extents(self) -> tuple[Extent, ...]:
        with in_lane(self._lane):
            return await self._inner.extents()
