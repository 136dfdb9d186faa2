"""Stories about snapshots and about reverting to them."""

from collections.abc import Iterator

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
)
from holdfast_conformance.model.primary import NEVER_ISSUED
from holdfast_conformance.plan import Step
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
    snapshot_figures,
    too_many_snapshots,
)
