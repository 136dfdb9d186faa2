"""Stories about bytes: any range, any place, discards, holes, and handles that stay open."""

from collections.abc import Iterator
from itertools import pairwise

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import (
    CreateVolume,
    DeleteVolume,
    ResizeVolume,
    RevertVolume,
    SnapshotSource,
    VolumeSource,
)
from holdfast_conformance.byte_steps import KeepHandle
from holdfast_conformance.plan import CreateFromData, Reopen, Step
from holdfast_conformance.scenarios import ranges
from holdfast_conformance.scenarios.script import Script


def any_ranges(script: Script) -> Iterator[Step]:
    """Whatever range is written, no byte beside it changes."""
    key, size_bytes = script.name(), script.odd_size()
    yield script.create(key, size_bytes)
    yield script.grant(key)
    for _ in range(5):
        yield script.write_range(key)
    yield script.discard_range(key)
    yield script.write_range(key, zeroes=True)
    yield script.read_range(key)
    yield script.write_range(key, at=(0, size_bytes if size_bytes <= ranges.MIB else 5000))
    yield script.discard_range(key)
    yield script.read_range(key)


def far_ranges(script: Script) -> Iterator[Step]:
    """A large volume has its bytes where they were put, and so have its copies."""
    yield from _far_ranges(script, script.far_size())


def farthest_ranges(script: Script) -> Iterator[Step]:
    """So has one of a tebibyte, where there can be one."""
    size_bytes = ranges.farthest_size(script.unit, script.size_max_bytes)
    if size_bytes > ranges.farther_size(script.unit, script.size_max_bytes):
        yield from _far_ranges(script, size_bytes)


def _far_ranges(script: Script, size_bytes: int) -> Iterator[Step]:
    key = script.name()
    yield script.create(key, size_bytes)
    yield script.grant(key)
    # All in one plan, in any order: what wraps around lands on what was written elsewhere.
    places = (*ranges.ends(size_bytes), *ranges.around_powers(size_bytes, 16))
    yield script.write_ranges(key, script.choices.shuffled(places))
    yield script.write_range(key, at=ranges.ends(size_bytes)[1])
    yield script.write_range(key, at=ranges.long_range(script.choices, size_bytes))
    yield from _copies(script, key, size_bytes)


def far_remains(script: Script) -> Iterator[Step]:
    """A discard far into a volume takes what it names, and a new volume has nothing of an old one,
    however far.
    """
    key, size_bytes = script.name(), ranges.farther_size(script.unit, script.size_max_bytes)
    if size_bytes < ranges.MIB:
        return
    yield script.create(key, size_bytes)
    yield script.grant(key)
    pairs = tuple(ranges.odd_pairs(size_bytes, script.choices))
    yield script.write_ranges(key, script.choices.shuffled(pairs))
    for offset, length in script.choices.shuffled(pairs[-3:])[:2]:
        yield script.discard_range(key, at=(offset + length // 2, length // 2))
    yield script.revoke(key)
    yield DeleteVolume(key=key)
    other = script.create(script.name(), size_bytes)
    yield other
    yield script.grant(other.key)
    yield script.read_range(other.key, at=pairs[-1])


def far_growth(script: Script) -> Iterator[Step]:
    """A volume that grows past powers of two, in larger and larger steps, keeps its end."""
    if not script.resizes:
        return
    sizes = [size for size in ranges.growing_sizes(script.unit) if size <= script.size_max_bytes]
    if len(sizes) < 2:
        return
    key = script.name()
    yield script.create(key, sizes[0])
    for before, after in pairwise(sizes):
        script.sizes[key] = before
        yield script.grant(key)
        yield script.write_range(key, at=ranges.ends(before)[1])
        yield script.revoke(key)
        yield ResizeVolume(key=key, size_bytes=after)
    yield script.grant(key)
    yield script.read_range(key, at=ranges.ends(sizes[0])[1])


def shrunk_to_odd_sizes(script: Script) -> Iterator[Step]:
    """A volume ends exactly where it was asked to, a few MiB and a little more: the last bytes of
    what stays are there, and can be written.
    """
    unit, smallest = script.granularity, script.declared.volume.size_min_bytes
    before, after = (
        mib * ranges.MIB // unit * unit + (1 + script.choices.below(200)) * unit for mib in (5, 2)
    )
    if not script.shrinks or not smallest <= after < before <= script.size_max_bytes:
        return
    key = script.name()
    yield script.create(key, before)
    yield script.grant(key)
    yield script.write_ranges(key, (ranges.ends(before)[1], ranges.ends(after)[1]))
    yield script.revoke(key)
    yield ResizeVolume(key=key, size_bytes=after, shrink=True)
    script.sizes[key] = after
    yield script.grant(key)
    yield script.read_range(key, at=ranges.ends(after)[1])
    yield script.write_range(key, at=ranges.ends(after)[1])


def _copies(script: Script, key: str, size_bytes: int) -> Iterator[Step]:
    """A snapshot, what is written after it, and every way back."""
    if script.snapshots:
        snapshot = script.snapshot(key)
        yield snapshot
        yield script.write_range(key, at=ranges.ends(size_bytes)[1])
        yield script.discard_range(key)
        if script.clones:
            clone = CreateVolume(
                key=script.name(), size_bytes=size_bytes, source=SnapshotSource(snapshot.key)
            )
            script.sizes[clone.key] = size_bytes
            yield clone
            yield script.grant(clone.key)
            yield script.write_range(clone.key)
        if script.reverts:
            yield script.revoke(key)
            yield RevertVolume(key=key, snapshot=snapshot.key)
            yield script.grant(key)
    if script.clones_data:
        data = CreateFromData(
            key=script.name(), size_bytes=size_bytes, volume=key, host=script.host
        )
        script.sizes[data.key] = size_bytes
        yield data
        yield script.grant(data.key)
    if script.clones_volumes:
        copy = CreateVolume(key=script.name(), size_bytes=size_bytes, source=VolumeSource(key))
        script.sizes[copy.key] = size_bytes
        yield copy
        yield script.grant(copy.key)
    if script.resizes_granted and size_bytes + script.unit <= script.size_max_bytes:
        yield ResizeVolume(key=key, size_bytes=size_bytes + script.unit)
        script.sizes[key] = size_bytes + script.unit
        yield script.write_range(key)


def discards(script: Script) -> Iterator[Step]:
    """What is discarded reads as zeroes, and nothing else does, in no volume."""
    first, second = script.create(), script.create()
    yield first
    yield second
    for volume in (first, second):
        yield script.grant(volume.key)
        yield script.write_range(volume.key, at=(0, min(volume.size_bytes, 16 * 4096)))
    for _ in range(3):
        yield script.discard_range(script.choices.pick((first, second)).key)
    yield script.discard_range(first.key, at=(4096, 0))
    yield script.discard_range(first.key, at=(first.size_bytes - 1, 2))
    yield script.write_range(first.key, at=(first.size_bytes - 5, 6))
    yield script.read_range(first.key, at=(first.size_bytes - 1, 1))
    if script.snapshots:
        yield script.snapshot(first.key)
        yield script.discard_range(first.key, at=(0, first.size_bytes))
    yield script.revoke(first.key)
    if script.has(AccessMode.READ_ONLY):
        yield script.grant(first.key, mode=AccessMode.READ_ONLY)
        yield script.discard_range(first.key)
        yield script.write_range(first.key)
        yield script.read_range(first.key)


def several_ranges(script: Script) -> Iterator[Step]:
    """Of what overlaps before a flush the last one shows; many runs of data are copied all."""
    volume = script.create(size_bytes=script.odd_size(least_bytes=5 * ranges.MIB))
    yield volume
    yield script.grant(volume.key)
    for _ in range(2):
        yield script.write_ranges(volume.key, ranges.overlapping(script.choices, volume.size_bytes))
    yield script.write_ranges(volume.key, ranges.scattered(script.choices, volume.size_bytes))
    yield from _copies(script, volume.key, volume.size_bytes)


def holes(script: Script) -> Iterator[Step]:
    """Data, a hole, data: a copy has the same, also when the hole is filled later."""
    volume = script.create(size_bytes=script.size(4))
    blocks = max(3, min(volume.size_bytes // 4096, 64))
    low, high = 0, (blocks - 1) * 4096
    middle = (1 + script.choices.below(max(1, blocks - 2))) * 4096
    yield volume
    yield script.grant(volume.key)
    for offset in script.choices.shuffled((low, high)):
        yield script.write_range(volume.key, at=(offset, 4096))
    yield script.write_range(volume.key, at=(middle, 4096), zeroes=True)
    yield from _copies(script, volume.key, volume.size_bytes)
    yield script.write_range(volume.key, at=(middle, 4096))
    yield script.write_range(volume.key, at=(low, 4096), zeroes=True)
    yield script.discard_range(volume.key, at=(high, 4096))
    if script.snapshots:
        yield script.snapshot(volume.key)
    yield script.write_range(volume.key, at=(low, 4096))


def long_runs(script: Script) -> Iterator[Step]:
    """More than a mebibyte at once is moved to its last byte."""
    key, size_bytes = script.name(), script.odd_size(least_bytes=3 * ranges.MIB)
    yield script.create(key, size_bytes)
    yield script.grant(key)
    yield script.write_range(key, at=(0, min(size_bytes, 5 * ranges.MIB // 2)))
    yield script.write_range(key, at=ranges.long_range(script.choices, size_bytes), zeroes=True)
    yield script.discard_range(key, at=ranges.long_range(script.choices, size_bytes))
    yield script.write_range(key, at=ranges.long_range(script.choices, size_bytes))
    yield from _copies(script, key, size_bytes)


def handles_kept_open(script: Script) -> Iterator[Step]:
    """A handle works as long as its grant, whatever else happens."""
    first, second = script.create(), script.create()
    yield first
    yield second
    yield script.grant(first.key)
    yield KeepHandle(volume=first.key, host=script.host, handle="first")
    yield script.write_range(first.key, handle="first")
    yield script.grant(second.key)
    yield script.write_range(second.key)
    if script.snapshots:
        yield script.snapshot(first.key)
        yield script.write_range(first.key, handle="first")
    yield Reopen()
    yield script.discard_range(first.key, handle="first")
    larger = first.size_bytes + script.unit
    if script.resizes_granted and larger <= script.size_max_bytes:
        yield ResizeVolume(key=first.key, size_bytes=larger)
        yield script.write_range(first.key, handle="first")
        script.sizes[first.key] = larger
        yield script.write_range(first.key)
    yield script.revoke(second.key)
    yield DeleteVolume(key=second.key)
    yield script.write_range(first.key, at=(0, 1), handle="first")
    yield script.read_range(first.key, at=(0, 1), handle="first")


def handles_of_two_hosts(script: Script) -> Iterator[Step]:
    """What one host writes another one reads, through a handle that was open before and has read
    before.
    """
    if not (script.several_hosts and script.has(AccessMode.SHARED)):
        return
    volume = script.create()
    place = (0, min(4096, volume.size_bytes))
    writer, reader = script.hosts[:2]
    yield volume
    for host in (writer, reader):
        yield script.grant(volume.key, host, AccessMode.SHARED)
        yield KeepHandle(volume=volume.key, host=host, handle=host)
    for _ in range(2):
        yield script.write_range(volume.key, writer, at=place, handle=writer)
        yield script.read_range(volume.key, reader, at=place, handle=reader)
    # In turns, into one block: each has read it before the other wrote.
    for number, host in enumerate((writer, reader, writer)):
        yield script.write_range(volume.key, host, at=(512 * number, 512), handle=host)
    yield script.discard_range(volume.key, writer, at=place, handle=writer)
    yield script.read_range(volume.key, reader, at=place, handle=reader)


def handles_gone_stale(script: Script) -> Iterator[Step]:
    """A handle ends with its grant, also when another volume has the place that was left."""
    first, second = script.create(), script.create()
    yield first
    yield second
    yield script.grant(first.key)
    yield KeepHandle(volume=first.key, host=script.host, handle="first")
    yield script.write_range(first.key, handle="first")
    yield script.revoke(first.key)
    for _ in range(2):
        yield script.any_use(first.key, handle="first")
    yield script.grant(second.key)
    yield script.write_range(second.key)
    yield script.read_range(first.key, handle="first")
    yield script.write_range(first.key, handle="first")
    yield script.discard_range(first.key, handle="first")
    yield script.grant(first.key)
    yield script.read_range(first.key, handle="first")
    yield script.read_range(first.key)
    yield script.revoke(first.key)
    yield DeleteVolume(key=first.key)
    yield script.any_use(first.key, handle="first")


VARIED = (any_ranges, discards, several_ranges, holes, long_runs)
"""What is another story with other places."""
STORIES = (
    any_ranges,
    far_ranges,
    farthest_ranges,
    far_remains,
    far_growth,
    shrunk_to_odd_sizes,
    discards,
    several_ranges,
    holes,
    long_runs,
    handles_kept_open,
    handles_of_two_hosts,
    handles_gone_stale,
)
