"""Stories of limits that are really reached: as many as declared, one more, and room again.

Most have many steps, so that each is played once, however many rounds there are.
"""

from collections.abc import Iterator

from holdfast.contract.requests import (
    AttachHost,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    DetachHost,
    EnumerateOwned,
    GetStats,
    GetVolume,
    InitializeStore,
    ResizeVolume,
    SnapshotSource,
    VolumeSource,
)
from holdfast_conformance.plan import InspectStore, Step, UseDriver, WalkVolumes
from holdfast_conformance.primary_limits import counted_hosts, counted_snapshots, counted_volumes
from holdfast_conformance.scenarios.script import ALL_HOSTS, STRANGER, Script

_LAYERS = 9
"""So many of the snapshots of a volume differ each from the one before it."""


def every_volume(script: Script) -> Iterator[Step]:
    """As many volumes as are declared, however they are made, and not one more."""
    most = counted_volumes(script.declared)
    if most is None:
        return
    size = script.size(1)
    volumes = [script.create(size_bytes=size) for _ in range(most)]
    more = script.create(size_bytes=size)
    yield volumes[0]
    yield from _costing_nothing(script, volumes[0])
    if script.snapshots:
        yield from (script.snapshot(volumes[0].key) for _ in range(2))
    yield from volumes[1:]
    yield more
    yield DeleteVolume(key=script.name())
    yield from _other_ways(script, volumes[0].key)
    yield more
    yield volumes[0]
    yield GetStats()
    # Whoever counts for itself has not heard of what another one freed.
    yield UseDriver(number=1)
    yield DeleteVolume(key=script.choices.pick(volumes).key)
    yield UseDriver(number=0)
    yield more
    yield script.create(size_bytes=size)
    yield WalkVolumes(limit=most)
    yield EnumerateOwned()


def _costing_nothing(script: Script, volume: CreateVolume) -> Iterator[Step]:
    """What takes no slot: a volume that is there already, and what cannot be made."""
    size, absent = volume.size_bytes, script.name()
    yield volume
    yield CreateVolume(key=volume.key, size_bytes=script.size(2))
    if script.clones_volumes:
        yield CreateVolume(key=script.name(), size_bytes=size, source=VolumeSource(absent))
    if script.clones:
        yield CreateVolume(key=script.name(), size_bytes=size, source=SnapshotSource(absent))


def _other_ways(script: Script, volume: str) -> Iterator[Step]:
    """What makes a volume, too."""
    size = script.size(1)
    if script.clones_volumes:
        yield CreateVolume(key=script.name(), size_bytes=size, source=VolumeSource(volume))
    if script.clones:
        snapshot = script.snapshot(volume)
        source = SnapshotSource(snapshot.key)
        yield snapshot
        yield CreateVolume(key=script.name(), size_bytes=size, source=source)
        yield DeleteSnapshot(key=snapshot.key)


def every_snapshot(script: Script) -> Iterator[Step]:
    """As many snapshots of each volume as are declared, and not one more."""
    most = counted_snapshots(script.declared)
    if most is None:
        return
    volume, other = script.create(size_bytes=script.roomy_size()), script.create()
    snapshots = [script.snapshot(volume.key) for _ in range(most)]
    more = script.snapshot(volume.key)
    yield volume
    yield script.grant(volume.key)
    for index, snapshot in enumerate(snapshots):
        if index < _LAYERS:
            yield script.layer(volume.key)
        yield snapshot
    yield snapshots[0]
    yield CreateSnapshot(key=script.name(), volume=script.name())
    yield more
    yield DeleteSnapshot(key=script.name())
    yield more
    yield snapshots[0]
    if script.holds_two:
        yield other
        yield script.snapshot(other.key)
    yield GetStats()
    yield DeleteSnapshot(key=script.choices.pick(snapshots).key)
    yield more
    yield script.snapshot(volume.key)


def every_host(script: Script) -> Iterator[Step]:
    """As many hosts as are declared, and not one more."""
    most = counted_hosts(script.declared)
    if most is None:
        return
    further = (f"host-{number}" for number in range(len(ALL_HOSTS), most + 2))
    hosts = [*ALL_HOSTS, *further]
    yield InitializeStore(name=script.name())
    yield AttachHost(host=hosts[0])
    for host in hosts[: most + 1]:
        yield AttachHost(host=host)
    yield DetachHost(host=STRANGER)
    yield AttachHost(host=hosts[most])
    yield AttachHost(host=hosts[0])
    yield InspectStore()
    yield DetachHost(host=script.choices.pick(hosts[:most]))
    yield AttachHost(host=hosts[most])
    yield AttachHost(host=hosts[most + 1])
    yield InspectStore()


def resized_to_the_limits(script: Script) -> Iterator[Step]:
    """A volume grows to the largest size there is and shrinks to the smallest, and no further."""
    if not script.resizes:
        return
    limits, step = script.declared.volume, script.granularity
    largest = limits.size_max_bytes // step * step
    smallest = -(-max(1, limits.size_min_bytes) // step) * step
    volume = script.create(size_bytes=script.size(1))
    yield volume
    for size in (largest, largest + 1, limits.size_max_bytes + 1, largest + step):
        yield ResizeVolume(key=volume.key, size_bytes=size)
    yield GetVolume(key=volume.key)
    yield ResizeVolume(key=volume.key, size_bytes=0)
    if script.shrinks:
        yield ResizeVolume(key=volume.key, size_bytes=smallest + step, shrink=True)
        for size in (smallest, smallest - 1, 0):
            yield ResizeVolume(key=volume.key, size_bytes=size, shrink=True)
        yield GetVolume(key=volume.key)


FRESH_STORIES = (every_host,)
"""These begin in a place that is no store yet."""

STORIES = (every_volume, every_snapshot, resized_to_the_limits, *FRESH_STORIES)
