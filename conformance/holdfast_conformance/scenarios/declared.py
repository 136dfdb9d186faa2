"""Stories of what few stores declare: copies, limits of I/O, clones without a source."""

from collections.abc import Iterator

from holdfast.contract.capabilities import Lifetime
from holdfast.contract.requests import (
    CancelMaintenance,
    CopyVolume,
    CreateVolume,
    DeleteVolume,
    GetVolume,
    ListVolumes,
    MaintainStore,
    ModifyVolume,
    Qos,
    ResizeVolume,
    SnapshotSource,
)
from holdfast_conformance.plan import Reopen, Step, WalkVolumes
from holdfast_conformance.scenarios.script import Script


def copy_volume(script: Script) -> Iterator[Step]:
    """A copy holds its source's bytes, and goes its own way."""
    if not script.copies:
        return
    source = script.create(size_bytes=script.size(2))
    copy = CopyVolume(key=source.key, target=script.name())
    script.sizes[copy.target] = source.size_bytes
    yield source
    yield script.grant(source.key)
    if script.writes:
        yield script.write(source.key, at=(0, 1))
    yield copy
    yield GetVolume(key=copy.target)
    yield WalkVolumes(limit=2)
    yield script.grant(copy.target)
    yield script.read(copy.target)
    if script.writes:
        yield script.write(source.key, at=(0, 1))
        yield script.read(copy.target)
        yield script.write(copy.target, at=(0, 1))
    yield script.read(source.key)
    yield script.revoke(source.key)
    yield DeleteVolume(key=source.key)
    yield script.read(copy.target)
    yield copy


def copy_refused(script: Script) -> Iterator[Step]:
    """Nothing is copied over something else, from nothing, or into a store at rest."""
    if not script.copies:
        return
    source, other = script.create(), script.create()
    copy = CopyVolume(key=source.key, target=script.name())
    absent = CopyVolume(key=script.name(), target=script.name())
    yield source
    yield absent
    yield GetVolume(key=absent.target)
    yield MaintainStore()
    yield copy
    yield CancelMaintenance()
    yield copy
    yield DeleteVolume(key=copy.target)
    yield from script.rest(other.key, other.size_bytes)
    yield CopyVolume(key=source.key, target=other.key)
    yield GetVolume(key=other.key)


def limits_of_io(script: Script) -> Iterator[Step]:
    """Limits stay as they were set, whoever looks and whatever becomes of the volume."""
    qos = script.declared.qos
    if qos is None:
        return
    low, high = max(1, qos.iops_min), qos.iops_max
    volume = script.create(size_bytes=script.size(1))
    key = volume.key
    yield volume
    yield ModifyVolume(key=key, qos=Qos(iops_min=low, iops_max=high))
    yield GetVolume(key=key)
    wrong = ((0, high), (low, high + 1), (high + 1, high + 1), (high + 1, high), (low - 1, high))
    for least, most in script.choices.shuffled(wrong):
        yield ModifyVolume(key=key, qos=Qos(iops_min=least, iops_max=most))
    middle = low + script.choices.below(min(1 << 16, high - low + 1))
    modified = ModifyVolume(key=key, qos=Qos(iops_min=low, iops_max=middle))
    yield modified
    yield modified
    if script.resizes:
        yield ResizeVolume(key=key, size_bytes=script.size(2))
    yield Reopen()
    yield GetVolume(key=key)
    yield ListVolumes()
    yield ModifyVolume(key=script.name(), qos=modified.qos)
    yield DeleteVolume(key=key)
    yield modified


def clone_in_the_place_of_its_source(script: Script) -> Iterator[Step]:
    """A snapshot that outlives its volume gives it back, where there is room for one only."""
    declared = script.declared.snapshot
    if not script.clones or declared is None or declared.lifetime is not Lifetime.INDEPENDENT:
        return
    steps = tuple(script.rest())
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    snapshot = script.snapshot(key)
    clone = CreateVolume(
        key=script.name(), size_bytes=script.sizes[key], source=SnapshotSource(snapshot.key)
    )
    script.sizes[clone.key] = clone.size_bytes
    yield from steps
    yield snapshot
    yield DeleteVolume(key=key)
    yield clone
    yield script.grant(clone.key)
    yield script.read(clone.key)
    if script.writes:
        yield script.write(clone.key)
        yield script.read(clone.key)


STORIES = (copy_volume, copy_refused, limits_of_io, clone_in_the_place_of_its_source)
