"""Stories of equal requests, and of requests that need what is not declared."""

from collections.abc import Iterator

from holdfast.capabilities import AccessMode
from holdfast.handles import ExtentHandle
from holdfast.requests import (
    CopyVolume,
    CreateSnapshot,
    CreateVolume,
    DataSource,
    DeleteSnapshot,
    DeleteVolume,
    GetSnapshot,
    GetStats,
    GetVolume,
    Grant,
    ListSnapshots,
    ModifyVolume,
    Qos,
    ResizeVolume,
    RevertVolume,
    SnapshotSource,
    VolumeSource,
)
from holdfast_conformance.model.features import declared_features, features_of
from holdfast_conformance.plan import Step
from holdfast_conformance.scenarios.lives import times
from holdfast_conformance.scenarios.script import Script


def repeated_volume(script: Script) -> Iterator[Step]:
    """Creating, growing and deleting again and again is doing it once."""
    made = script.create(size_bytes=script.size(1))
    yield from times(script, made)
    if script.resizes:
        yield from times(script, ResizeVolume(key=made.key, size_bytes=script.size(3)))
    if script.shrinks:
        yield from times(script, ResizeVolume(key=made.key, size_bytes=script.size(2), shrink=True))
    yield from times(script, DeleteVolume(key=made.key))


def repeated_snapshot(script: Script) -> Iterator[Step]:
    """Snapshots, reverts and clones again and again are one of each."""
    if not script.snapshots:
        return
    steps = tuple(script.rest())
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    taken = script.snapshot(key)
    yield from steps
    yield from times(script, taken)
    if script.reverts:
        yield from times(script, RevertVolume(key=key, snapshot=taken.key))
    if script.clones:
        clone = CreateVolume(
            key=script.name(), size_bytes=script.sizes[key], source=SnapshotSource(taken.key)
        )
        yield from times(script, clone)
        yield DeleteVolume(key=clone.key)
    yield from times(script, DeleteSnapshot(key=taken.key))


def repeated_grant(script: Script) -> Iterator[Step]:
    """Granting and revoking again and again is doing it once."""
    made = script.create()
    yield made
    yield from times(script, script.grant(made.key))
    yield script.write(made.key)
    yield from times(script, script.revoke(made.key))


def undeclared(script: Script) -> Iterator[Step]:
    """What is not declared is refused and does nothing."""
    steps = tuple(script.rest())
    made = next(step for step in steps if isinstance(step, CreateVolume))
    declared = declared_features(script.declared)
    asked = [step for step in _wishes(script, made) if not declared.issuperset(features_of(step))]
    if asked:
        yield from steps
        yield from script.choices.shuffled(asked)


def _wishes(script: Script, made: CreateVolume) -> Iterator[Step]:
    """One request or more for each feature there is, valid in every other respect."""
    key, size = made.key, made.size_bytes
    yield ResizeVolume(key=key, size_bytes=size + script.unit)
    yield ResizeVolume(key=key, size_bytes=script.size(1), shrink=True)
    yield CreateSnapshot(key=script.name(), volume=key)
    yield GetSnapshot(key=script.name())
    yield ListSnapshots()
    yield DeleteSnapshot(key=script.name())
    yield RevertVolume(key=key, snapshot=script.name())
    yield CreateVolume(key=script.name(), size_bytes=size, source=SnapshotSource(key))
    yield CreateVolume(key=script.name(), size_bytes=size, source=VolumeSource(key))
    nowhere = ExtentHandle(space="nowhere", token="none", size_bytes=size)  # noqa: S106 - no secret
    yield CreateVolume(key=script.name(), size_bytes=size, source=DataSource(nowhere, size))
    yield CopyVolume(key=key, target=script.name())
    yield ModifyVolume(key=key, qos=Qos(iops_min=100, iops_max=200))
    yield GetStats(volume=key)
    for mode in AccessMode:
        yield Grant(volume=key, host=script.host, mode=mode)
    yield GetVolume(key=key)


STORIES = (repeated_volume, repeated_snapshot, repeated_grant, undeclared)
