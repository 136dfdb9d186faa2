"""How large the objects and parts are that plans store: within limits, and within reason."""

from holdfast.contract.capabilities import ImageCapabilities

LARGE_MAX_BYTES = 32 << 20
"""The largest object that a plan stores anywhere."""

LARGEST_MAX_BYTES = 64 << 20
"""The largest object that a store may declare so that a plan stores one of just that size."""

PUT_PARTS_MAX = 256
"""As many parts as one put of a plan has at most: it is one step, with one call's deadline."""

_PART_BYTES = 1000
_MANY_PARTS = 17
"""One more than the tenth and the sixteenth: a Swift gives one small part a second after ten."""
_MANY_BYTES = 8 << 20
"""What the many parts of one object have together at most."""


def object_max_bytes(declared: ImageCapabilities) -> int:
    """The largest object that a plan stores in such a store."""
    return min(LARGE_MAX_BYTES, declared.upload.object_max_bytes, _one_put_bytes(declared))


def _one_put_bytes(declared: ImageCapabilities) -> int:
    upload = declared.upload
    return upload.part_max_bytes * min(upload.parts_max, PUT_PARTS_MAX)


def part_bytes(declared: ImageCapabilities) -> int:
    """The size of an ordinary part: above the minimum, not round, and one of three at best."""
    upload = declared.upload
    wanted, third = max(_PART_BYTES, upload.part_min_bytes + 1), upload.object_max_bytes // 3
    if third >= max(1, upload.part_min_bytes):
        wanted = min(wanted, third)
    return min(wanted, upload.part_max_bytes, upload.object_max_bytes)


def whole_bytes(declared: ImageCapabilities, wanted: int) -> int:
    """The size of a small object: as wanted, where one can be that large."""
    return min(wanted, declared.upload.object_max_bytes, _one_put_bytes(declared))


def can_join(declared: ImageCapabilities) -> bool:
    """Whether objects of three ordinary parts can be stored."""
    fits = 3 * part_bytes(declared) <= object_max_bytes(declared)
    return declared.upload.parts_max > 2 and fits


def large_bytes(declared: ImageCapabilities) -> int | None:
    """A little more than one part holds; ``None`` where that is more than a plan stores."""
    size_bytes = declared.upload.part_max_bytes + 7
    fits = declared.upload.parts_max > 1 and size_bytes <= object_max_bytes(declared)
    return size_bytes if fits else None


def largest_bytes(declared: ImageCapabilities) -> int | None:
    """The largest object that there can be; ``None`` where it is more than a plan stores."""
    limits = declared.upload
    size_bytes = min(limits.object_max_bytes, limits.part_max_bytes * limits.parts_max)
    stored = size_bytes <= min(LARGEST_MAX_BYTES, _one_put_bytes(declared))
    return size_bytes if stored else None


def many_parts(declared: ImageCapabilities, wanted: int = _MANY_PARTS) -> int:
    """How many parts an object of many has: all that there can be, or as many as tell."""
    room = min(_MANY_BYTES, object_max_bytes(declared)) // part_bytes(declared)
    return min(declared.upload.parts_max, wanted, room)


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
