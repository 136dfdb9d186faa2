"""Stories about snapshots and about reverting to them."""

from collections.abc import Iterator

from holdfast.contract.requests import (
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
)
from holdfast_conformance.list_steps import WalkSnapshots
from holdfast_conformance.model.primary_store import NEVER_ISSUED
from holdfast_conformance.plan import Step
from holdfast_conformance.scenarios.script import Script

_BLOCK = (0, 1)
"""Two writes that must not be seen in each other's place go to the same block."""


def overwrite_and_revert(script: Script) -> Iterator[Step]:
    """Write, snapshot, overwrite, revert, read."""
    if not script.reverts:
        return
    volume = script.create(size_bytes=script.roomy_size())
    snapshot = script.snapshot(volume.key)
    yield volume
    yield script.grant(volume.key)
    yield script.layer(volume.key)
    yield snapshot
    yield script.layer(volume.key)
    yield script.write(volume.key)
    yield script.revoke(volume.key)
    yield RevertVolume(key=volume.key, snapshot=snapshot.key)
    yield RevertVolume(key=volume.key, snapshot=snapshot.key)
    yield script.grant(volume.key)
    yield script.read(volume.key)
    yield script.layer(volume.key)
    yield GetSnapshot(key=snapshot.key)


def snapshot_stays(script: Script) -> Iterator[Step]:
    """A snapshot keeps its bytes while its volume goes on."""
    if not script.snapshots:
        return
    volume = script.create(size_bytes=script.roomy_size())
    first, second = script.snapshot(volume.key), script.snapshot(volume.key)
    yield volume
    yield script.grant(volume.key)
    yield script.layer(volume.key)
    yield first
    yield script.layer(volume.key)
    yield second
    yield script.layer(volume.key)
    yield GetSnapshot(key=first.key)
    yield WalkSnapshots(volume=volume.key, limit=1)
    yield WalkSnapshots(volume="", limit=1)
    yield ListSnapshots(volume=volume.key)
    yield DeleteSnapshot(key=script.choices.pick((first, second)).key)
    yield script.write(volume.key)
    yield ListSnapshots()


def snapshot_again(script: Script) -> Iterator[Step]:
    """The same snapshot again is the same; of another volume it is a conflict."""
    if not script.snapshots:
        return
    volume, other = script.create(), script.create()
    snapshot = script.snapshot(volume.key)
    yield volume
    yield other
    yield script.grant(volume.key)
    yield script.write(volume.key, at=_BLOCK)
    yield snapshot
    yield snapshot
    yield script.write(volume.key, at=_BLOCK)
    yield snapshot
    yield CreateSnapshot(key=snapshot.key, volume=other.key)
    yield GetSnapshot(key=snapshot.key)
    yield ListSnapshots(volume=other.key)
    yield CreateSnapshot(key=script.name(), volume=script.name())


def snapshot_keys(script: Script) -> Iterator[Step]:
    """Snapshots of two volumes are told apart, and volumes from snapshots."""
    if not script.snapshots:
        return
    volume, other = script.create(), script.create()
    yield volume
    yield other
    yield CreateSnapshot(key=volume.key, volume=volume.key)
    yield CreateSnapshot(key=f"{volume.key}-2", volume=other.key)
    yield GetVolume(key=volume.key)
    yield ListSnapshots(limit=1)
    yield ListSnapshots(volume=other.key)
    yield ListSnapshots(token=NEVER_ISSUED)
    yield GetSnapshot(key=script.name())
    yield DeleteSnapshot(key=volume.key)
    yield GetVolume(key=volume.key)
    yield EnumerateOwned()


def delete_from_chain(script: Script) -> Iterator[Step]:
    """Any snapshot of a chain can go; the others stay restorable."""
    if not script.snapshots:
        return
    volume = script.create(size_bytes=script.roomy_size())
    chain = [script.snapshot(volume.key) for _ in range(3)]
    yield volume
    yield script.grant(volume.key)
    for snapshot in chain:
        yield script.layer(volume.key)
        yield snapshot
    yield script.layer(volume.key)
    # The one with neighbours on both sides first, then one at an end of what is left.
    gone, others = chain[1], script.choices.shuffled((chain[0], chain[2]))
    yield DeleteSnapshot(key=gone.key)
    yield DeleteSnapshot(key=gone.key)
    yield GetSnapshot(key=gone.key)
    yield script.read(volume.key)
    yield script.layer(volume.key)
    yield script.snapshot(volume.key)  # in the place of the one that has gone
    if script.reverts:
        yield script.revoke(volume.key)
        newest = max(others, key=chain.index)
        yield RevertVolume(key=volume.key, snapshot=newest.key)
        yield script.grant(volume.key)
        yield script.read(volume.key)
    yield DeleteSnapshot(key=others[0].key)
    yield ListSnapshots(volume=volume.key)


def delete_volume_with_snapshots(script: Script) -> Iterator[Step]:
    """The snapshots outlive the volume, or keep it alive, as declared."""
    if not script.snapshots:
        return
    key, steps = script.resting()
    snapshot = script.snapshot(key)
    yield from steps
    yield snapshot
    yield DeleteVolume(key=key)
    yield GetSnapshot(key=snapshot.key)
    yield ListSnapshots()
    if script.clones:
        yield CreateVolume(
            key=script.name(), size_bytes=script.sizes[key], source=SnapshotSource(snapshot.key)
        )
    yield DeleteSnapshot(key=snapshot.key)
    yield GetVolume(key=key)


def resize_between(script: Script) -> Iterator[Step]:
    """Reverting returns the size, too."""
    if not (script.reverts and script.resizes):
        return
    volume = script.create(size_bytes=script.size(2))
    snapshot = script.snapshot(volume.key)
    yield volume
    yield script.grant(volume.key)
    yield script.write(volume.key)
    yield script.revoke(volume.key)
    yield snapshot
    yield ResizeVolume(key=volume.key, size_bytes=script.size(4))
    if script.declared.stats.volume:
        yield GetStats(volume=volume.key)
    yield snapshot
    yield script.grant(volume.key)
    tail = (script.size(2), script.size(3) - script.size(2))
    yield script.write_range(volume.key, at=tail)
    yield RevertVolume(key=volume.key, snapshot=snapshot.key)  # in use: refused, as a rule
    yield script.read_range(volume.key, at=tail)
    yield script.revoke(volume.key)
    yield GetSnapshot(key=snapshot.key)
    yield RevertVolume(key=volume.key, snapshot=snapshot.key)
    yield GetVolume(key=volume.key)
    yield ResizeVolume(key=volume.key, size_bytes=script.size(3))
    yield script.grant(volume.key)
    script.sizes[volume.key] = script.size(3)
    yield script.read_range(volume.key, at=tail)
    yield script.read(volume.key)


def shrink_between(script: Script) -> Iterator[Step]:
    """What a volume had before it was made smaller is in its snapshot, and comes back with it."""
    if not (script.reverts and script.shrinks):
        return
    volume = script.create(size_bytes=script.size(4))
    snapshot = script.snapshot(volume.key)
    tail = (script.size(3), script.size(4) - script.size(3))
    yield volume
    yield script.grant(volume.key)
    yield script.write_range(volume.key, at=tail)
    yield script.revoke(volume.key)
    yield snapshot
    yield ResizeVolume(key=volume.key, size_bytes=script.size(2), shrink=True)
    if script.clones:
        source = SnapshotSource(snapshot.key)
        yield CreateVolume(key=script.name(), size_bytes=script.size(4), source=source)
    yield RevertVolume(key=volume.key, snapshot=snapshot.key)
    yield script.grant(volume.key)
    yield script.read_range(volume.key, at=tail)
    yield script.revoke(volume.key)
    yield ResizeVolume(key=volume.key, size_bytes=script.size(2), shrink=True)
    yield ResizeVolume(key=volume.key, size_bytes=script.size(4))


def revert_past_newer(script: Script) -> Iterator[Step]:
    """A revert keeps newer snapshots, or is refused, as declared."""
    if not script.reverts:
        return
    volume = script.create(size_bytes=script.roomy_size())
    old, new = script.snapshot(volume.key), script.snapshot(volume.key)
    yield volume
    yield script.grant(volume.key)
    yield script.layer(volume.key)
    yield old
    yield script.layer(volume.key)
    yield new
    yield script.revoke(volume.key)
    yield RevertVolume(key=volume.key, snapshot=old.key)
    yield GetSnapshot(key=new.key)
    yield RevertVolume(key=volume.key, snapshot=new.key)
    yield script.grant(volume.key)
    yield script.read(volume.key)


def revert_to_a_name_used_again(script: Script) -> Iterator[Step]:
    """A revert is to the snapshot that has the name now, not to one that had it."""
    if not script.reverts:
        return
    volume = script.create(size_bytes=script.roomy_size())
    snapshot = script.snapshot(volume.key)
    yield volume
    for _ in range(2):
        yield from (script.grant(volume.key), script.layer(volume.key), snapshot)
        yield from (script.layer(volume.key), script.revoke(volume.key))
        yield RevertVolume(key=volume.key, snapshot=snapshot.key)
        yield DeleteSnapshot(key=snapshot.key)
    yield from (script.grant(volume.key), script.read(volume.key))


def revert_refused(script: Script) -> Iterator[Step]:
    """A revert of a granted volume, to a stranger's snapshot or to nothing changes nothing."""
    if not script.reverts:
        return
    volume, other = script.create(), script.create()
    snapshot, foreign = script.snapshot(volume.key), script.snapshot(other.key)
    yield volume
    yield other
    yield snapshot
    yield foreign
    yield script.grant(volume.key)
    yield script.write(volume.key)
    yield RevertVolume(key=volume.key, snapshot=snapshot.key)
    yield script.revoke(volume.key)
    yield RevertVolume(key=volume.key, snapshot=foreign.key)
    yield RevertVolume(key=volume.key, snapshot=script.name())
    yield RevertVolume(key=script.name(), snapshot=snapshot.key)


STORIES = (
    overwrite_and_revert,
    snapshot_stays,
    snapshot_again,
    snapshot_keys,
    delete_from_chain,
    delete_volume_with_snapshots,
    resize_between,
    shrink_between,
    revert_past_newer,
    revert_to_a_name_used_again,
    revert_refused,
)
