"""Arithmetic on extents, which are told in ascending order."""

from holdfast.data.block_io import Extent


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
