"""Stories of equal requests, and of requests that need what is not declared."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.requests import (
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
from holdfast_conformance.plan import Reopen, Step
from holdfast_conformance.scenarios.lives import times
from holdfast_conformance.scenarios.script import Script


def repeated_volume(script: Script) -> Iterator[Step]:
    """Creating, growing and deleting again and again is doing it once."""
    volume = script.create(size_bytes=script.size(1))
    yield from times(script, volume)
    yield Reopen()
    yield msgspec.structs.replace(volume, size_bytes=script.size(5))
    if script.resizes:
        yield from times(script, ResizeVolume(key=volume.key, size_bytes=script.size(3)))
    if script.shrinks:
        yield from times(
            script, ResizeVolume(key=volume.key, size_bytes=script.size(2), shrink=True)
        )
    yield from times(script, DeleteVolume(key=volume.key))


def repeated_snapshot(script: Script) -> Iterator[Step]:
    """Snapshots, reverts and clones again and again are one of each."""
    if not script.snapshots:
        return
    key, steps = script.resting()
    snapshot = script.snapshot(key)
    yield from steps
    yield from times(script, snapshot)
    if script.reverts:
        yield from times(script, RevertVolume(key=key, snapshot=snapshot.key))
    if script.clones:
        clone = CreateVolume(
            key=script.name(), size_bytes=script.sizes[key], source=SnapshotSource(snapshot.key)
        )
        yield from times(script, clone)
        yield DeleteVolume(key=clone.key)
    yield from times(script, DeleteSnapshot(key=snapshot.key))


def repeated_grant(script: Script) -> Iterator[Step]:
    """Granting and revoking again and again is doing it once."""
    volume = script.create()
    yield volume
    yield from times(script, script.grant(volume.key))
    yield from (Reopen(), script.grant(volume.key))
    yield script.write(volume.key)
    yield from times(script, script.revoke(volume.key))


def undeclared(script: Script) -> Iterator[Step]:
    """What is not declared is refused and does nothing."""
    steps = tuple(script.rest())
    volume = next(step for step in steps if isinstance(step, CreateVolume))
    declared = declared_features(script.declared)
    wishes = [
        step for step in _wishes(script, volume) if not declared.issuperset(features_of(step))
    ]
    if wishes:
        yield from steps
        yield from script.choices.shuffled(wishes)


def _wishes(script: Script, volume: CreateVolume) -> Iterator[Step]:
    """One request or more for each feature there is, valid in every other respect."""
    key, size = volume.key, volume.size_bytes
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
