"""What a primary store lets anybody try, whatever else it declares: nothing more can be asked.

A store of one volume has no clone beside its source, one of a single size has none that grows, and
one that is only read keeps zeroes. What no plan can try does not count against a store.
"""

from holdfast.contract.capabilities import AccessMode, Lifetime, PrimaryCapabilities
from holdfast.data import BLOCK_BYTES


def true_sizes(declared: PrimaryCapabilities) -> tuple[int, int]:
    """The smallest and the largest size that a volume can have."""
    limits = declared.volume
    step = limits.size_granularity_bytes
    return -(-max(1, limits.size_min_bytes) // step) * step, limits.size_max_bytes // step * step


def can_write(declared: PrimaryCapabilities) -> bool:
    """Whether a host can be granted a volume with a whole block to write to."""
    if true_sizes(declared)[1] < BLOCK_BYTES:
        return False
    return any(mode is not AccessMode.READ_ONLY for mode in declared.access.modes)


def holds_two(declared: PrimaryCapabilities) -> bool:
    """Whether two volumes can be there at once."""
    most = declared.volume.volumes_max
    return most is None or most > 1


def has_two_sizes(declared: PrimaryCapabilities) -> bool:
    """Whether there are two sizes of volumes."""
    smallest, largest = true_sizes(declared)
    return smallest < largest


def resizes(declared: PrimaryCapabilities) -> bool:
    """Whether a volume can become larger."""
    return declared.resize is not None and has_two_sizes(declared)


def has_size_between(declared: PrimaryCapabilities) -> bool:
    """Whether a size can be asked for that is rounded up."""
    limits = declared.volume
    _, largest = true_sizes(declared)
    return limits.size_granularity_bytes > 1 and largest - 1 >= max(1, limits.size_min_bytes)


def can_clone_snapshots(declared: PrimaryCapabilities) -> bool:
    """Whether a volume can be made from a snapshot; its volume may have to go before."""
    clone, snapshot = declared.clone, declared.snapshot
    if clone is None or snapshot is None or not clone.from_snapshot:
        return False
    return holds_two(declared) or snapshot.lifetime is Lifetime.INDEPENDENT


def can_clone(declared: PrimaryCapabilities) -> bool:
    """Whether a volume can be made from anything."""
    clone = declared.clone
    if clone is None:
        return False
    from_volume = clone.from_volume or clone.from_data
    return can_clone_snapshots(declared) or (from_volume and holds_two(declared))


def out_of_reach(declared: PrimaryCapabilities) -> frozenset[str]:
    """The declared features that no plan can make work, by the names of ``model.features``."""
    features: set[str] = set()
    if not can_clone_snapshots(declared):
        features.add("clone.from_snapshot")
    if not holds_two(declared):
        features.update(("clone.from_volume", "clone.from_data", "copy"))
    return frozenset(features)


ONE_VOLUME = "the store holds one volume, so that none is made of another"
"""Why a property of two volumes does not apply to a store of one."""

COUNTED_MAX = 256
"""A limit of more things than this is reached by no plan."""


def counted_volumes(declared: PrimaryCapabilities) -> int | None:
    """How many volumes are the last, where plans make that many; they are small, then."""
    most, (smallest, _) = declared.volume.volumes_max, true_sizes(declared)
    within = most is not None and most <= COUNTED_MAX and most * smallest <= _FILLED_MAX_BYTES
    return most if within else None


def counted_snapshots(declared: PrimaryCapabilities) -> int | None:
    """How many snapshots of a volume are the last, where plans take that many."""
    most = None if declared.snapshot is None else declared.snapshot.snapshots_per_volume_max
    return most if most is not None and most <= COUNTED_MAX else None


def counted_hosts(declared: PrimaryCapabilities) -> int | None:
    """How many hosts are the last, where plans attach that many."""
    most = declared.access.hosts_max
    return most if most is not None and most <= COUNTED_MAX else None


_FILLED_MAX_BYTES = 1 << 30
"""A correct store of a testbed has room for this much."""
