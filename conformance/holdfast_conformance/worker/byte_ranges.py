"""Bytes through handles: opened for one step or kept open, written, read, discarded, looked at."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import xxhash

from holdfast.contract.errors import Denied, DriverError
from holdfast.contract.handles import Handle
from holdfast.data import BLOCK_BYTES, BlockIO, Extent, open_block_io
from holdfast_conformance.byte_steps import DiscardBytes, ReadBytes, WriteBytes, WriteRanges
from holdfast_conformance.stamps import decode, stamped_bytes
from holdfast_conformance.trace import BlockRead, BytesRead, Nonsense
from holdfast_conformance.worker.containment import Failed

READ_BLOCKS_MAX = 1 << 16
"""More than any plan leaves in a volume: what gives more without an end is not read."""
_READ_BLOCKS = 256
_WHOLE_MAX_BYTES = 64 << 20
"""A volume up to this size is read wherever its handle says that data is."""
_FIRST_POWER = 20
_NEIGHBOURS = (-1, 0, 1)
Opening = Callable[[], Awaitable[Handle]]


class ByteRanges:
    """What the hosts of one plan do with bytes.

    Args:
        run: the plan's id, which is in every stamp.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._stack = AsyncExitStack()
        self._kept: dict[str, BlockIO] = {}
        self._touched: set[int] = set()
        """The blocks that were written, in any volume: a copy has them at the same place."""

    async def keep(self, name: str, handle: Handle) -> None:
        """Open a handle that stays open until the plan is over, under a name that is taken over."""
        self._kept[name] = await self._stack.enter_async_context(open_block_io(handle))

    async def close(self) -> None:
        """Close all that was kept open."""
        self._kept.clear()
        await self._stack.aclose()

    async def write(self, step: WriteBytes, opening: Opening) -> BytesRead:
        """Write, read back, flush."""
        data = stamped_bytes(
            self._run, step.volume, step.offset_bytes, step.length_bytes, step.generation
        )
        async with self._content(step.handle, opening) as content:
            await content.write_at(step.offset_bytes, data)
            seen = await content.read_at(step.offset_bytes, step.length_bytes)
            await content.flush()
            self.note(step.offset_bytes, step.length_bytes)
            return _read(content, seen)

    async def write_ranges(self, step: WriteRanges, opening: Opening) -> int:
        """Write all ranges, then flush; how many bytes were written."""
        async with self._content(step.handle, opening) as content:
            for index, (offset, length) in enumerate(step.ranges):
                generation = step.generation + index
                data = stamped_bytes(self._run, step.volume, offset, length, generation)
                await content.write_at(offset, data)
                self.note(offset, length)
            await content.flush()
        return sum(length for _, length in step.ranges)

    async def read(self, step: ReadBytes, opening: Opening) -> BytesRead:
        """Read a range."""
        async with self._content(step.handle, opening) as content:
            try:
                data = await content.read_at(step.offset_bytes, step.length_bytes)
            except Denied:
                await _denied_too(content)
                raise
            return _read(content, data)

    async def discard(self, step: DiscardBytes, opening: Opening) -> None:
        """Discard a range, and flush."""
        async with self._content(step.handle, opening) as content:
            await content.discard(step.offset_bytes, step.length_bytes)
            await content.flush()
        end_bytes = step.offset_bytes + step.length_bytes
        for edge in (step.offset_bytes, max(step.offset_bytes, end_bytes - 1)):
            self._touched.add(edge // BLOCK_BYTES)

    def note(self, offset_bytes: int, length_bytes: int) -> None:
        """Keep in mind where something was written."""
        end_bytes = offset_bytes + length_bytes
        self._touched.update(range(offset_bytes // BLOCK_BYTES, -(-end_bytes // BLOCK_BYTES)))

    async def data_blocks(self, content: BlockIO) -> tuple[BlockRead, ...]:
        """The blocks that hold something but zeroes, each once, in ascending order.

        A small volume is read wherever its handle says that data is. A large one, of which some
        handles say that it is data from end to end, is read where that is little, and where a
        careless backend would put what it should not: at what was written, at both ends and around
        every power of two.
        """
        runs = tuple(_runs_of(content.size_bytes, await content.extents()))
        if content.size_bytes > _WHOLE_MAX_BYTES:
            total = sum(end - first for first, end in runs)
            near = _joined((number, number + 1) for number in self._near(content.size_bytes))
            runs = _joined((*runs, *near)) if total * BLOCK_BYTES <= _WHOLE_MAX_BYTES else near
        return tuple([block async for block in self._read_runs(content, runs)])

    def _near(self, size_bytes: int) -> Iterable[int]:
        last = (size_bytes - 1) // BLOCK_BYTES
        powers = (1 << bits for bits in range(_FIRST_POWER, size_bytes.bit_length()))
        marks = {0, last, *(power // BLOCK_BYTES for power in powers), *self._touched}
        numbers = {mark + offset for mark in marks for offset in _NEIGHBOURS}
        return sorted(number for number in numbers if 0 <= number <= last)

    async def _read_runs(
        self, content: BlockIO, runs: Iterable[tuple[int, int]]
    ) -> AsyncIterator[BlockRead]:
        read = 0
        for first, end in runs:
            for start in range(first, end, _READ_BLOCKS):
                count = min(_READ_BLOCKS, end - start)
                length = min(count * BLOCK_BYTES, content.size_bytes - start * BLOCK_BYTES)
                data = await content.read_at(start * BLOCK_BYTES, length)
                read += count
                if read > READ_BLOCKS_MAX:
                    reason = f"the handle gives data without an end, {read} blocks of it"
                    raise Failed(Nonsense(reason))
                for block in decoded(data, start, self._run):
                    if block.state != "zero":
                        yield block

    @asynccontextmanager
    async def _content(self, name: str, opening: Opening) -> AsyncIterator[BlockIO]:
        kept = self._kept.get(name)
        if kept is not None:
            yield kept
            return
        # A reduced plan may have lost the step that opened it.
        async with open_block_io(await opening()) as content:
            yield content


async def _denied_too(content: BlockIO) -> None:
    """Whoever may not read through a handle may do nothing else with it either.

    Raises:
        Failed: something else is done.
    """
    verbs: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
        ("flushes", content.flush),
        ("tells where data is", content.extents),
    )
    for what, verb in verbs:
        try:
            await verb()
        except DriverError:
            continue
        raise Failed(Nonsense(f"a handle through which nothing may be read {what}"))


def decoded(data: bytes, first: int, run: str) -> tuple[BlockRead, ...]:
    """The blocks in what was read from block ``first`` on."""
    return tuple(
        decode(data[start : start + BLOCK_BYTES], first + start // BLOCK_BYTES, run)
        for start in range(0, len(data), BLOCK_BYTES)
    )


def _read(content: BlockIO, data: bytes) -> BytesRead:
    return BytesRead(content.size_bytes, len(data), xxhash.xxh3_128_hexdigest(data))


def _runs_of(size_bytes: int, extents: Iterable[Extent]) -> Iterator[tuple[int, int]]:
    """The blocks in which data is, as first and end, each once, whatever the handle says."""
    after = 0
    for extent in extents:
        first = max(after, extent.offset_bytes // BLOCK_BYTES)
        end_bytes = min(extent.offset_bytes + extent.length_bytes, size_bytes)
        after = max(after, -(-end_bytes // BLOCK_BYTES))
        if first < after:
            yield first, after


def _joined(runs: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The runs in ascending order, those that meet as one."""
    joined: list[tuple[int, int]] = []
    for first, end in sorted(runs):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((first, end))
    return tuple(joined)
