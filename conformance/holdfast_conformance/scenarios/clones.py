"""Stories about volumes made from snapshots, volumes and data."""

from collections.abc import Iterator

from holdfast.capabilities import AccessMode
from holdfast.requests import (
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    GetVolume,
    SnapshotSource,
    VolumeSource,
)
from holdfast_conformance.plan import CreateFromData, Reopen, Step, WalkVolumes
from holdfast_conformance.scenarios.script import Script

_BLOCK = (0, 1)
"""Two writes that must not be seen in each other's place go to the same block."""


def clone_diverges(script: Script) -> Iterator[Step]:
    """Clone, source and snapshot go their own ways."""
    if not script.clones:
        return
    made = script.create()
    taken = script.snapshot(made.key)
    clone = CreateVolume(
        key=script.name(), size_bytes=made.size_bytes, source=SnapshotSource(taken.key)
    )
    script.sizes[clone.key] = clone.size_bytes
    yield made
    yield script.grant(made.key)
    yield script.write(made.key, at=_BLOCK)
    yield taken
    yield clone
    yield script.grant(clone.key)
    yield script.read(clone.key)
    for volume in script.choices.shuffled((made.key, clone.key)):
        yield script.write(volume, at=_BLOCK)
    yield script.read(made.key)
    yield script.read(clone.key)
    yield clone


def clone_sizes(script: Script) -> Iterator[Step]:
    """A clone may be larger than its source and never smaller."""
    if not script.clones:
        return
    made = script.create(size_bytes=script.size(2))
    taken = script.snapshot(made.key)
    source = SnapshotSource(taken.key)
    larger = CreateVolume(key=script.name(), size_bytes=script.size(4), source=source)
    script.sizes[larger.key] = larger.size_bytes
    yield made
    yield script.grant(made.key)
    yield script.write(made.key)
    yield taken
    yield larger
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
    made = script.create(size_bytes=script.size(2))
    first, second = script.snapshot(made.key), script.snapshot(made.key)
    key, size = script.name(), script.size(2)
    yield made
    yield first
    yield second
    yield CreateVolume(key=key, size_bytes=size, source=SnapshotSource(first.key))
    yield CreateVolume(key=key, size_bytes=size, source=SnapshotSource(first.key))
    yield CreateVolume(key=key, size_bytes=size, source=SnapshotSource(second.key))
    yield CreateVolume(key=key, size_bytes=size)
    yield CreateVolume(key=made.key, size_bytes=size, source=SnapshotSource(first.key))
    yield WalkVolumes(limit=3)


def clone_outlives(script: Script) -> Iterator[Step]:
    """What becomes of a clone whose snapshot and volume are to be deleted, as declared."""
    if not script.clones:
        return
    steps = tuple(script.rest())
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    taken = script.snapshot(key)
    clone = CreateVolume(
        key=script.name(), size_bytes=script.sizes[key], source=SnapshotSource(taken.key)
    )
    script.sizes[clone.key] = clone.size_bytes
    yield from steps
    yield taken
    yield clone
    yield DeleteSnapshot(key=taken.key)
    yield DeleteVolume(key=key)
    yield script.grant(clone.key)
    yield script.read(clone.key)
    yield script.write(clone.key)
    yield Reopen()
    yield script.read(clone.key)


def volume_clone(script: Script) -> Iterator[Step]:
    """A volume made from a volume is another volume."""
    if not script.clones_volumes:
        return
    made = script.create(size_bytes=script.size(2))
    clone = CreateVolume(
        key=script.name(),
        size_bytes=script.size(2 + script.choices.below(2)),
        source=VolumeSource(made.key),
    )
    script.sizes[clone.key] = clone.size_bytes
    yield made
    yield script.grant(made.key)
    yield script.write(made.key, at=_BLOCK)
    yield script.revoke(made.key)
    yield clone
    yield clone
    for steps in (4, 1):
        yield CreateVolume(
            key=script.name(), size_bytes=script.size(steps), source=VolumeSource(made.key)
        )
    yield script.grant(made.key)
    yield script.grant(clone.key)
    yield script.write(made.key, at=_BLOCK)
    yield script.write(clone.key, at=_BLOCK)
    yield script.read(made.key)
    yield script.read(clone.key)
    yield script.revoke(made.key)
    yield DeleteVolume(key=made.key)
    yield script.read(clone.key)
    yield CreateVolume(
        key=script.name(), size_bytes=script.size(2), source=VolumeSource(script.name())
    )


def from_data(script: Script) -> Iterator[Step]:
    """A volume made from data holds that data, and then goes its own way."""
    clone = script.declared.clone
    if clone is None or not clone.from_data:
        return
    made = script.create(size_bytes=script.size(2))
    copied = CreateFromData(
        key=script.name(),
        size_bytes=script.size(2 + script.choices.below(2)),
        volume=made.key,
        host=script.host,
    )
    script.sizes[copied.key] = copied.size_bytes
    yield made
    yield script.grant(made.key)
    yield script.write(made.key, at=_BLOCK)
    yield copied
    yield script.write(made.key, at=_BLOCK)
    yield script.grant(copied.key)
    yield script.read(copied.key)
    yield script.write(copied.key)
    yield script.read(made.key)
    for steps in (1, 5):
        yield CreateFromData(
            key=script.name(), size_bytes=script.size(steps), volume=made.key, host=script.host
        )


def read_only_clone(script: Script) -> Iterator[Step]:
    """A snapshot of a volume that is granted read-only, and its clone, hold what was written."""
    if not (script.clones and script.has(AccessMode.READ_ONLY)):
        return
    steps = tuple(script.rest())
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    taken = script.snapshot(key)
    yield from steps
    yield script.grant(key, mode=AccessMode.READ_ONLY)
    yield taken
    clone = script.name()
    script.sizes[clone] = script.sizes[key]
    yield CreateVolume(key=clone, size_bytes=script.sizes[key], source=SnapshotSource(taken.key))
    yield script.grant(clone, mode=AccessMode.READ_ONLY)
    yield script.read(clone)


STORIES = (
    clone_diverges,
    clone_sizes,
    clone_conflict,
    clone_outlives,
    volume_clone,
    from_data,
    read_only_clone,
)
