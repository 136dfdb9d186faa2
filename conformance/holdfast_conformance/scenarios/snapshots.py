"""Stories about snapshots, reverting and clones."""

from collections.abc import Iterator

from holdfast.capabilities import AccessMode
from holdfast.requests import (
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    EnumerateOwned,
    GetSnapshot,
    GetStats,
    GetVolume,
    ListSnapshots,
    ResizeVolume,
    RevertVolume,
    SnapshotSource,
    VolumeSource,
)
from holdfast_conformance.model.primary import NEVER_ISSUED
from holdfast_conformance.plan import CreateFromData, Reopen, Step, WalkVolumes
from holdfast_conformance.scenarios.script import Script

_BLOCK = (0, 1)
"""Two writes that must not be seen in each other's place go to the same block."""


def overwrite_and_revert(script: Script) -> Iterator[Step]:
    """Write, snapshot, overwrite, revert, read."""
    if not script.reverts:
        return
    made = script.create()
    taken = script.snapshot(made.key)
    yield made
    yield script.grant(made.key)
    yield script.write(made.key, at=_BLOCK)
    yield taken
    yield script.write(made.key, at=_BLOCK)
    yield script.write(made.key)
    yield script.revoke(made.key)
    yield RevertVolume(key=made.key, snapshot=taken.key)
    yield RevertVolume(key=made.key, snapshot=taken.key)
    yield script.grant(made.key)
    yield script.read(made.key)
    yield script.write(made.key, at=_BLOCK)
    yield GetSnapshot(key=taken.key)


def snapshot_stays(script: Script) -> Iterator[Step]:
    """A snapshot keeps its bytes while its volume goes on."""
    if not script.snapshots:
        return
    made = script.create()
    first, second = script.snapshot(made.key), script.snapshot(made.key)
    yield made
    yield script.grant(made.key)
    yield script.write(made.key, at=_BLOCK)
    yield first
    yield script.write(made.key, at=_BLOCK)
    yield second
    yield script.write(made.key, at=_BLOCK)
    yield GetSnapshot(key=first.key)
    yield ListSnapshots(volume=made.key)
    yield DeleteSnapshot(key=script.choices.pick((first, second)).key)
    yield script.write(made.key)
    yield ListSnapshots()


def snapshot_again(script: Script) -> Iterator[Step]:
    """The same snapshot again is the same; of another volume it is a conflict."""
    if not script.snapshots:
        return
    made, other = script.create(), script.create()
    taken = script.snapshot(made.key)
    yield made
    yield other
    yield script.grant(made.key)
    yield script.write(made.key, at=_BLOCK)
    yield taken
    yield taken
    yield script.write(made.key, at=_BLOCK)
    yield taken
    yield CreateSnapshot(key=taken.key, volume=other.key)
    yield GetSnapshot(key=taken.key)
    yield ListSnapshots(volume=other.key)
    yield CreateSnapshot(key=script.name(), volume=script.name())


def snapshot_keys(script: Script) -> Iterator[Step]:
    """Snapshots of two volumes are told apart, and volumes from snapshots."""
    if not script.snapshots:
        return
    made, other = script.create(), script.create()
    yield made
    yield other
    yield CreateSnapshot(key=made.key, volume=made.key)
    yield CreateSnapshot(key=f"{made.key}-2", volume=other.key)
    yield GetVolume(key=made.key)
    yield ListSnapshots(limit=1)
    yield ListSnapshots(volume=other.key)
    yield ListSnapshots(token=NEVER_ISSUED)
    yield GetSnapshot(key=script.name())
    yield DeleteSnapshot(key=made.key)
    yield GetVolume(key=made.key)
    yield EnumerateOwned()


def delete_from_chain(script: Script) -> Iterator[Step]:
    """Any snapshot of a chain can go; the others stay restorable."""
    if not script.snapshots:
        return
    made = script.create()
    chain = [script.snapshot(made.key) for _ in range(3)]
    yield made
    yield script.grant(made.key)
    for taken in chain:
        yield script.write(made.key, at=_BLOCK)
        yield taken
    yield script.write(made.key, at=_BLOCK)
    gone, *kept = script.choices.shuffled(chain)
    yield DeleteSnapshot(key=gone.key)
    yield DeleteSnapshot(key=gone.key)
    yield GetSnapshot(key=gone.key)
    yield script.read(made.key)
    if script.reverts:
        yield script.revoke(made.key)
        newest = max(kept, key=chain.index)
        yield RevertVolume(key=made.key, snapshot=newest.key)
        yield script.grant(made.key)
        yield script.read(made.key)
    yield DeleteSnapshot(key=kept[0].key)
    yield ListSnapshots(volume=made.key)


def delete_volume_with_snapshots(script: Script) -> Iterator[Step]:
    """The snapshots outlive the volume, or keep it alive, as declared."""
    if not script.snapshots:
        return
    steps = tuple(script.rest())
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    taken = script.snapshot(key)
    yield from steps
    yield taken
    yield DeleteVolume(key=key)
    yield GetSnapshot(key=taken.key)
    yield ListSnapshots()
    if script.clones:
        yield CreateVolume(
            key=script.name(), size_bytes=script.sizes[key], source=SnapshotSource(taken.key)
        )
    yield DeleteSnapshot(key=taken.key)
    yield GetVolume(key=key)


def resize_between(script: Script) -> Iterator[Step]:
    """Reverting returns the size, too."""
    if not (script.reverts and script.resizes):
        return
    made = script.create(size_bytes=script.size(2))
    taken = script.snapshot(made.key)
    yield made
    yield script.grant(made.key)
    yield script.write(made.key)
    yield script.revoke(made.key)
    yield taken
    yield ResizeVolume(key=made.key, size_bytes=script.size(4))
    yield GetSnapshot(key=taken.key)
    yield RevertVolume(key=made.key, snapshot=taken.key)
    yield GetVolume(key=made.key)
    yield ResizeVolume(key=made.key, size_bytes=script.size(3))
    yield script.grant(made.key)
    script.sizes[made.key] = script.size(3)
    yield script.read(made.key)


def revert_past_newer(script: Script) -> Iterator[Step]:
    """A revert keeps newer snapshots, or is refused, as declared."""
    if not script.reverts:
        return
    made = script.create()
    old, new = script.snapshot(made.key), script.snapshot(made.key)
    yield made
    yield script.grant(made.key)
    yield script.write(made.key, at=_BLOCK)
    yield old
    yield script.write(made.key, at=_BLOCK)
    yield new
    yield script.revoke(made.key)
    yield RevertVolume(key=made.key, snapshot=old.key)
    yield GetSnapshot(key=new.key)
    yield RevertVolume(key=made.key, snapshot=new.key)
    yield script.grant(made.key)
    yield script.read(made.key)


def revert_refused(script: Script) -> Iterator[Step]:
    """A revert of a granted volume, to a stranger's snapshot or to nothing changes nothing."""
    if not script.reverts:
        return
    made, other = script.create(), script.create()
    taken, foreign = script.snapshot(made.key), script.snapshot(other.key)
    yield made
    yield other
    yield taken
    yield foreign
    yield script.grant(made.key)
    yield script.write(made.key)
    yield RevertVolume(key=made.key, snapshot=taken.key)
    yield script.revoke(made.key)
    yield RevertVolume(key=made.key, snapshot=foreign.key)
    yield RevertVolume(key=made.key, snapshot=script.name())
    yield RevertVolume(key=script.name(), snapshot=taken.key)


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


def snapshot_figures(script: Script) -> Iterator[Step]:
    """Snapshots and clones come and go in the counters as well."""
    if not script.snapshots:
        return
    steps = tuple(script.rest())
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    taken = script.snapshot(key)
    yield GetStats()
    yield from steps
    yield GetStats()
    yield taken
    yield GetStats()
    yield DeleteSnapshot(key=taken.key)
    yield GetStats()
    yield DeleteVolume(key=key)
    yield GetStats()


def too_many_snapshots(script: Script) -> Iterator[Step]:
    """One snapshot more than declared is refused."""
    declared = script.declared.snapshot
    limit = None if declared is None else declared.snapshots_per_volume_max
    if limit is None or limit > 32:
        return
    made = script.create()
    yield made
    for _ in range(limit + 1):
        yield script.snapshot(made.key)


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
    overwrite_and_revert,
    snapshot_stays,
    snapshot_again,
    snapshot_keys,
    delete_from_chain,
    delete_volume_with_snapshots,
    resize_between,
    revert_past_newer,
    revert_refused,
    clone_diverges,
    clone_sizes,
    clone_conflict,
    clone_outlives,
    volume_clone,
    from_data,
    snapshot_figures,
    too_many_snapshots,
    read_only_clone,
)
