"""Copy what is behind one handle to another, in bounded memory; holes stay holes."""

from holdfast.contract.errors import OutOfRange
from holdfast.data.block_io import BlockIO, Extent

CHUNK_BYTES = 1 << 20


async def copy_blocks(source: BlockIO, target: BlockIO) -> int:
    """Make ``target`` start with the bytes of ``source`` and read as zeroes after them.

    Returns the bytes moved; holes cost nothing. What was in ``target`` is gone. The copy is durable
    when this returns.

    Raises:
        OutOfRange: ``target`` is smaller than ``source``; nothing was written.
        DriverError: whatever reading and writing raise; ``target`` then holds a part.
    """
    if source.size_bytes > target.size_bytes:
        raise OutOfRange(
            f"{source.size_bytes} bytes do not fit into the target's {target.size_bytes}"
        )
    extents = await source.extents()
    for stale in subtract(await target.extents(), extents):
        await target.discard(stale.offset_bytes, stale.length_bytes)
    moved = 0
    for extent in extents:
        moved += await _copy_extent(source, target, extent)
    await target.flush()
    return moved


async def _copy_extent(source: BlockIO, target: BlockIO, extent: Extent) -> int:
    moved = 0
    end = extent.offset_bytes + extent.length_bytes
    for offset in range(extent.offset_bytes, end, CHUNK_BYTES):
        data = await source.read_at(offset, min(CHUNK_BYTES, end - offset))
        await target.write_at(offset, data)
        moved += len(data)
    return moved


def subtract(extents: tuple[Extent, ...], others: tuple[Extent, ...]) -> tuple[Extent, ...]:
    """The parts of ``extents`` that no extent of ``others`` covers; both in ascending order."""
    rest: list[Extent] = []
    for extent in extents:
        start, end = extent.offset_bytes, extent.offset_bytes + extent.length_bytes
        for other in others:
            other_end = other.offset_bytes + other.length_bytes
            if other_end <= start or other.offset_bytes >= end:
                continue
            if other.offset_bytes > start:
                rest.append(Extent(start, other.offset_bytes - start))
            start = max(start, other_end)
        if start < end:
            rest.append(Extent(start, end - start))
    return tuple(rest)
