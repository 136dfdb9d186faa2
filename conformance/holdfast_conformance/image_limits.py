"""How large the objects and parts are that plans store: within limits, and within reason."""

from holdfast.capabilities import ImageCapabilities

LARGE_MAX_BYTES = 32 << 20
"""The largest object that a plan stores anywhere."""

_PART_BYTES = 1000


def object_max_bytes(declared: ImageCapabilities) -> int:
    """The largest object that a plan stores in such a store."""
    return min(LARGE_MAX_BYTES, declared.upload.object_max_bytes)


def part_bytes(declared: ImageCapabilities) -> int:
    """The size of an ordinary part: above the minimum, and not round."""
    wanted = max(_PART_BYTES, declared.upload.part_min_bytes + 1)
    return min(wanted, declared.upload.part_max_bytes)


def can_join(declared: ImageCapabilities) -> bool:
    """Whether objects of three ordinary parts can be stored."""
    fits = 3 * part_bytes(declared) <= object_max_bytes(declared)
    return declared.upload.parts_max > 2 and fits


def large_bytes(declared: ImageCapabilities) -> int | None:
    """A little more than one part holds; ``None`` where that is more than a plan stores."""
    size_bytes = declared.upload.part_max_bytes + 7
    fits = declared.upload.parts_max > 1 and size_bytes <= object_max_bytes(declared)
    return size_bytes if fits else None


def can_exceed_part(declared: ImageCapabilities) -> bool:
    """Whether a part larger than the maximum is still within what a plan stores."""
    return declared.upload.part_max_bytes < LARGE_MAX_BYTES


def binding_minimum(declared: ImageCapabilities) -> int | None:
    """The minimum of a part where a smaller one exists and plans can tell; else ``None``."""
    minimum = declared.upload.part_min_bytes
    return minimum if can_join(declared) and minimum > 1 else None


def page_items(declared: ImageCapabilities, wanted: int) -> int:
    """How many items a page is asked for: as many as wanted, where the store gives that many."""
    return min(wanted, declared.list.page_max)
