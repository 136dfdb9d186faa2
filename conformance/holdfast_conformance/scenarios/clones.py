"""Stories about volumes made from snapshots, volumes and data."""

from collections.abc import Iterator

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import (
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    GetVolume,
    ResizeVolume,
    SnapshotSource,
    VolumeSource,
)
from holdfast.data import BLOCK_BYTES
from holdfast_conformance.plan import Reopen, Step, WalkVolumes
from holdfast_conformance.scenarios.script import Script

_BLOCK = (0, 1)
"""Two writes that must not be seen in each other's place go to the same block."""


def clone_diverges(script: Script) -> Iterator[Step]:
    """Clone, source and snapshot go their own ways."""
    if not script.clones:
        return
    original = script.create(size_bytes=script.roomy_size())
    snapshot = script.snapshot(original.key)
    clone = CreateVolume(
        key=script.name(), size_bytes=original.size_bytes, source=SnapshotSource(snapshot.key)
    )
    script.sizes[clone.key] = clone.size_bytes
    yield original
    yield script.grant(original.key)
    yield script.layer(original.key)
    yield snapshot
    yield clone
    yield script.grant(clone.key)
    yield script.read(clone.key)
    for volume in script.choices.shuffled((original.key, clone.key)):
        yield script.layer(volume)
    yield script.read(original.key)
    yield script.read(clone.key)
    yield clone


def clone_sizes(script: Script) -> Iterator[Step]:
    """A clone may be larger than its source and never smaller."""
    if not script.clones:
        return
    volume = script.create(size_bytes=script.size(2))
    snapshot = script.snapshot(volume.key)
    source = SnapshotSource(snapshot.key)
    larger = CreateVolume(key=script.name(), size_bytes=script.size(4), source=source)
    script.sizes[larger.key] = larger.size_bytes
    yield volume
    yield script.grant(volume.key)
    yield script.write(volume.key)
    yield snapshot
    yield larger
    if script.resizes and larger.size_bytes > volume.size_bytes:
        yield script.revoke(volume.key)
        yield ResizeVolume(key=volume.key, size_bytes=larger.size_bytes)
        yield script.grant(volume.key)
        yield script.write_ranges(volume.key, _edges(volume.size_bytes, larger.size_bytes))
    yield GetVolume(key=larger.key)
    yield script.grant(larger.key)
    yield script.read(larger.key)
    yield CreateVolume(key=script.name(), size_bytes=script.size(1), source=source)
    yield CreateVolume(
        key=script.name(), size_bytes=script.size(4), source=SnapshotSource(script.name())
    )


def clone_conflict(script: Script) -> Iterator[Step]:
    """A clone's key is taken by it alone: another source or none is a conflict."""
    if not script.clones:
        return
    volume = script.create(size_bytes=script.size(2))
    first, second = script.snapshot(volume.key), script.snapshot(volume.key)
    key, size = script.name(), script.size(2)
    yield volume
    yield first
    yield second
    yield CreateVolume(key=key, size_bytes=size, source=SnapshotSource(first.key))
    yield CreateVolume(key=key, size_bytes=size, source=SnapshotSource(first.key))
    yield CreateVolume(key=key, size_bytes=size, source=SnapshotSource(second.key))
    yield CreateVolume(key=key, size_bytes=size)
    yield CreateVolume(key=volume.key, size_bytes=size, source=SnapshotSource(first.key))
    yield WalkVolumes(limit=3)


def clone_outlives(script: Script) -> Iterator[Step]:
    """What becomes of a clone whose snapshot and volume are to be deleted, as declared."""
    if not script.clones:
        return
    key, steps = script.resting()
    snapshot = script.snapshot(key)
    clone = CreateVolume(
        key=script.name(), size_bytes=script.sizes[key], source=SnapshotSource(snapshot.key)
    )
    script.sizes[clone.key] = clone.size_bytes
    yield from steps
    yield snapshot
    yield clone
    yield DeleteSnapshot(key=snapshot.key)
    yield clone
    yield DeleteVolume(key=key)
    yield Reopen()
    yield clone
    yield script.grant(clone.key)
    yield script.read(clone.key)
    yield script.write(clone.key)
    yield Reopen()
    yield script.read(clone.key)


def volume_clone(script: Script) -> Iterator[Step]:
    """A volume made from a volume is another volume."""
    if not script.clones_volumes:
        return
    original = script.create(size_bytes=script.roomy_size())
    clone = CreateVolume(
        key=script.name(),
        size_bytes=script.after(original.size_bytes),
        source=VolumeSource(original.key),
    )
    script.sizes[clone.key] = clone.size_bytes
    yield original
    yield script.grant(original.key)
    yield script.layer(original.key)
    yield script.revoke(original.key)
    yield clone
    yield clone
    for size_bytes in (script.after(clone.size_bytes), script.size(1)):
        yield CreateVolume(
            key=script.name(), size_bytes=size_bytes, source=VolumeSource(original.key)
        )
    grows = script.resizes and clone.size_bytes > original.size_bytes
    if grows:  # what the source gets behind its end is no clone's
        yield ResizeVolume(key=original.key, size_bytes=clone.size_bytes)
    yield script.grant(original.key)
    if grows:
        yield script.write_ranges(original.key, _edges(original.size_bytes, clone.size_bytes))
    yield script.grant(clone.key)
    yield script.layer(original.key)
    yield script.layer(clone.key)
    # Of what the clone holds by now, and no more of what its source does; and so on.
    source = clone.key
    for _ in range(2):
        copy = CreateVolume(
            key=script.name(), size_bytes=clone.size_bytes, source=VolumeSource(source)
        )
        script.sizes[copy.key] = copy.size_bytes
        yield copy
        yield script.grant(copy.key)
        yield script.layer(copy.key)
        source = copy.key
    yield script.read(original.key)
    yield script.read(clone.key)
    yield script.revoke(original.key)
    yield DeleteVolume(key=original.key)
    yield script.read(clone.key)
    yield CreateVolume(
        key=script.name(), size_bytes=script.size(2), source=VolumeSource(script.name())
    )


def _edges(start_bytes: int, end_bytes: int) -> tuple[tuple[int, int], ...]:
    """The first and the last block of a range, or all of it where that is less."""
    length = min(BLOCK_BYTES, end_bytes - start_bytes)
    return (start_bytes, length), (end_bytes - length, length)


def discards_in_a_clone(script: Script) -> Iterator[Step]:
    """What is discarded in a clone reads as zeroes there, and stays where it was made from."""
    if not (script.writes and (script.clones or script.clones_volumes)):
        return
    original = script.create(size_bytes=script.size(4))
    blocks = max(1, min(original.size_bytes // BLOCK_BYTES, 8))
    yield from (original, script.grant(original.key), script.write(original.key, at=(0, blocks)))
    source: SnapshotSource | VolumeSource = VolumeSource(original.key)
    if script.clones:
        snapshot = script.snapshot(original.key)
        source = SnapshotSource(snapshot.key)
        yield snapshot
    clone = CreateVolume(key=script.name(), size_bytes=original.size_bytes, source=source)
    script.sizes[clone.key] = clone.size_bytes
    first, count = script.choices.below(blocks), 1 + script.choices.below(2)
    place = first * BLOCK_BYTES, min(count, blocks - first) * BLOCK_BYTES
    yield from (clone, script.grant(clone.key), script.discard_range(clone.key, at=place))
    yield from (script.read(clone.key), script.read(original.key))
    yield script.discard_range(original.key, at=(0, BLOCK_BYTES))
    yield from (script.read(clone.key), script.read(original.key))


def read_only_clone(script: Script) -> Iterator[Step]:
    """A snapshot of a volume that is granted read-only, and its clone, hold what was written."""
    if not (script.clones and script.has(AccessMode.READ_ONLY)):
        return
    key, steps = script.resting()
    snapshot = script.snapshot(key)
    yield from steps
    yield script.grant(key, mode=AccessMode.READ_ONLY)
    yield snapshot
    clone = script.name()
    script.sizes[clone] = script.sizes[key]
    yield CreateVolume(key=clone, size_bytes=script.sizes[key], source=SnapshotSource(snapshot.key))
    yield script.grant(clone, mode=AccessMode.READ_ONLY)
    yield script.read(clone)


def clones_of_what_changes(script: Script) -> Iterator[Step]:
    """A clone has what its source held at that moment, also where a name was used before."""
    original = script.create(size_bytes=script.roomy_size())
    yield original
    yield script.grant(original.key)
    name = script.name()
    for _ in range(2):
        yield script.layer(original.key)
        if script.clones_volumes:
            yield CreateVolume(
                key=script.name(),
                size_bytes=original.size_bytes,
                source=VolumeSource(original.key),
            )
        if script.clones:
            yield script.snapshot(original.key, name)
            clone = CreateVolume(
                key=script.name(), size_bytes=original.size_bytes, source=SnapshotSource(name)
            )
            yield clone
            yield DeleteVolume(key=clone.key)
            yield DeleteSnapshot(key=name)


def clones_beside_each_other(script: Script) -> Iterator[Step]:
    """Clones of one snapshot keep what they have when it goes, and when one of them does."""
    if not script.clones:
        return
    original = script.create(size_bytes=script.roomy_size())
    snapshot = script.snapshot(original.key)
    yield original
    yield script.grant(original.key)
    yield script.write(original.key)
    yield snapshot
    clones = [
        CreateVolume(
            key=script.name(), size_bytes=original.size_bytes, source=SnapshotSource(snapshot.key)
        )
        for _ in range(3)
    ]
    for clone in clones:
        script.sizes[clone.key] = clone.size_bytes
        yield clone
    yield DeleteSnapshot(key=snapshot.key)
    for clone in clones:
        yield from (script.grant(clone.key), script.layer(clone.key))
    gone = script.choices.pick(clones)
    yield from (script.revoke(gone.key), DeleteVolume(key=gone.key))


def generations(script: Script) -> Iterator[Step]:
    """What was made of what was made, and never written, stays whatever goes that it came from."""
    if not script.clones:
        return
    key, steps = script.resting()
    size_bytes, snapshot = script.sizes[key], script.snapshot(key)
    yield from (*steps, snapshot)
    kept = [snapshot.key]
    volumes: list[str] = []
    source: SnapshotSource | VolumeSource = SnapshotSource(snapshot.key)
    for _ in range(3):
        clone = CreateVolume(key=script.name(), size_bytes=size_bytes, source=source)
        script.sizes[clone.key] = size_bytes
        volumes.append(clone.key)
        yield clone
        source = VolumeSource(clone.key)
        if not script.clones_volumes:
            following = script.snapshot(clone.key)
            yield following
            kept.append(following.key)
            source = SnapshotSource(following.key)
    yield from (DeleteSnapshot(key=name) for name in kept)
    yield DeleteVolume(key=script.choices.pick((key, volumes[0])))
    for name in volumes[1:]:
        yield from (script.grant(name), script.read(name))


def written_generations(script: Script) -> Iterator[Step]:
    """A generation has what its source had when it was made and what was written to it, and keeps
    both when the one between goes.
    """
    if not (script.clones or script.clones_volumes):
        return
    volume = script.create(size_bytes=script.roomy_size())
    yield from (volume, script.grant(volume.key), script.layer(volume.key))
    volumes = [volume.key]
    for by_snapshot in (True, False, False):
        source: SnapshotSource | VolumeSource = VolumeSource(volumes[-1])
        if not script.clones_volumes or (by_snapshot and script.clones):
            snapshot = script.snapshot(volumes[-1])
            source = SnapshotSource(snapshot.key)
            yield snapshot
        made = CreateVolume(key=script.name(), size_bytes=volume.size_bytes, source=source)
        script.sizes[made.key] = made.size_bytes
        yield from (made, script.grant(made.key), script.layer(made.key))
        volumes.append(made.key)
    gone = volumes[2]
    yield from (script.revoke(gone), DeleteVolume(key=gone), script.read(volumes[-1]))


def sources_of_one_key(script: Script) -> Iterator[Step]:
    """A volume and a snapshot of one key are two sources."""
    if not (script.clones and script.clones_volumes):
        return
    original = script.create()
    key = script.name()
    yield from (original, script.grant(original.key), script.write(original.key))
    yield script.snapshot(original.key, original.key)
    yield script.write(original.key, at=(0, 1))
    size = original.size_bytes
    sources: tuple[SnapshotSource | VolumeSource, ...] = (
        SnapshotSource(original.key),
        VolumeSource(original.key),
    )
    sources = tuple(script.choices.shuffled(sources))
    for source in sources:
        yield CreateVolume(key=key, size_bytes=size, source=source)
    yield CreateVolume(key=key, size_bytes=size)
    yield CreateVolume(key=script.name(), size_bytes=size, source=sources[1])


STORIES = (
    generations,
    written_generations,
    clones_beside_each_other,
    sources_of_one_key,
    clones_of_what_changes,
    clone_diverges,
    clone_sizes,
    clone_conflict,
    clone_outlives,
    volume_clone,
    discards_in_a_clone,
    read_only_clone,
)
