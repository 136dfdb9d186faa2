"""Arithmetic on extents, which are told in ascending order."""

from holdfast.data.block_io import Extent


def subtract(extents: tuple[Extent, ...], others: tuple[Extent, ...]) -> tuple[Extent, ...]:
    """The parts of ``extents`` that no extent of ``others`` covers; both in ascending order."""
    rest: list[Extent] = []
    later = iter(others)
    other = next(later, None)
    for extent in extents:
        start, end = extent.offset_bytes, extent.offset_bytes + extent.length_bytes
        while other is not None and other.offset_bytes < end:
            if other.offset_bytes > start:
                rest.append(Extent(start, other.offset_bytes - start))
            start = max(start, other.offset_bytes + other.length_bytes)
            if start > end:
                break  # it reaches into what comes next
            other = next(later, None)
        if start < end:
            rest.append(Extent(start, end - start))
    return tuple(rest)
