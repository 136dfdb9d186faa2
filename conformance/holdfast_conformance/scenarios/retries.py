"""Stories of refusals: once the cause has gone, the call that was refused succeeds."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import (
    AttachHost,
    CancelMaintenance,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteStore,
    DeleteVolume,
    DetachHost,
    GetStats,
    GetVolume,
    InitializeStore,
    ListPools,
    ListVolumes,
    MaintainStore,
    Open,
    ResizeVolume,
    RevertVolume,
    SnapshotSource,
    VolumeSource,
)
from holdfast_conformance.plan import InspectStore, ReadStale, Step
from holdfast_conformance.scenarios.script import STRANGER, Script

MISSES = 18
"""In two verbs together more than the ten connections of a pool of botocore."""


def many_misses(script: Script) -> Iterator[Step]:
    """However often something is asked for that is not there: what is there is found."""
    volume, absent = script.create(), script.name()
    yield volume
    looks = (GetVolume(key=absent), Open(volume=absent, host=script.host))
    for number in range(MISSES):
        yield looks[number % len(looks)]
    yield GetVolume(key=volume.key)


def refused_in_use(script: Script) -> Iterator[Step]:
    """What a granted volume refuses it does as soon as the grant has gone."""
    volume = script.create(size_bytes=script.size(2))
    snapshot = script.snapshot(volume.key)
    tried: list[Step] = []
    if script.reverts:
        tried.append(RevertVolume(key=volume.key, snapshot=snapshot.key))
    if script.resizes and not script.resizes_granted:
        tried.append(ResizeVolume(key=volume.key, size_bytes=script.size(4)))
    if script.declared.volume.delete_in_use == "refuses":
        tried.append(DeleteVolume(key=volume.key))
    yield volume
    if script.reverts:
        yield snapshot
    yield script.grant(volume.key)
    yield from script.choices.shuffled(tried)
    yield DetachHost(host=script.host)
    yield script.revoke(volume.key)
    yield from (step for step in tried if not isinstance(step, DeleteVolume))
    yield DeleteVolume(key=volume.key)
    if script.reverts:
        yield DeleteSnapshot(key=snapshot.key)
        yield DeleteVolume(key=volume.key)
    yield GetVolume(key=volume.key)
    yield DetachHost(host=script.host)
    yield AttachHost(host=script.host)
    yield volume


def refused_source(script: Script) -> Iterator[Step]:
    """A key whose creation was refused is free, and so is the source that was too large."""
    volume = script.create(size_bytes=script.size(2))
    late, small = script.name(), script.name()
    wrong = CreateVolume(key=script.name(), size_bytes=0)
    again = script.name()
    yield volume
    yield wrong
    yield CreateVolume(key=wrong.key, size_bytes=script.size(1))
    yield DeleteVolume(key=wrong.key)
    if script.clones_volumes and script.holds_two:
        source = VolumeSource(volume.key)
        yield CreateVolume(key=small, size_bytes=script.size(1), source=source)
        yield CreateVolume(key=small, size_bytes=script.size(2), source=source)
        yield DeleteVolume(key=small)
        yield CreateVolume(key=again, size_bytes=script.size(2), source=VolumeSource(late))
        yield script.create(late, script.size(2))
        yield CreateVolume(key=again, size_bytes=script.size(2), source=VolumeSource(late))
        yield DeleteVolume(key=again)
    if script.snapshots:
        yield from _refused_snapshot(script, volume.key)


def _refused_snapshot(script: Script, volume: str) -> Iterator[Step]:
    """The same for snapshots, as what is made and as what is made from."""
    key, small, larger = script.name(), script.name(), script.name()
    source = SnapshotSource(key)
    yield CreateSnapshot(key=key, volume=script.name())
    if script.clones and script.holds_two:
        yield CreateVolume(key=larger, size_bytes=script.size(2), source=source)
    yield CreateSnapshot(key=key, volume=volume)
    if script.clones and script.holds_two:
        yield CreateVolume(key=small, size_bytes=script.size(1), source=source)
        yield CreateVolume(key=larger, size_bytes=script.size(2), source=source)
        yield CreateVolume(key=small, size_bytes=script.size(1))
        yield DeleteVolume(key=larger)
    yield DeleteSnapshot(key=key)
    yield CreateSnapshot(key=key, volume=volume)


def refused_grant(script: Script) -> Iterator[Step]:
    """A host that was refused is granted the volume once nothing is in its way."""
    volume = script.create()
    late = script.third_host
    yield volume
    yield script.grant(volume.key, host=STRANGER)
    if late is not None:
        yield script.grant(volume.key, host=late)
        yield AttachHost(host=late)
        yield script.grant(volume.key, host=late)
        yield script.revoke(volume.key, host=late)
    if script.several_hosts and script.has(AccessMode.EXCLUSIVE):
        first, second = script.choices.shuffled(script.hosts)
        grant = script.grant(volume.key, host=second, mode=AccessMode.EXCLUSIVE)
        yield msgspec.structs.replace(grant, host=first)
        yield grant
        yield script.revoke(volume.key, host=first)
        yield grant
        yield script.revoke(volume.key, host=second)
    absent = script.name()
    yield script.grant(absent)
    yield DeleteVolume(key=volume.key)
    yield script.create(absent)
    yield script.grant(absent)
    yield script.read(absent)


def refused_at_rest(script: Script) -> Iterator[Step]:
    """What a store at rest refuses it does when it is in service again."""
    volume, other = script.create(), script.create()
    refused: list[Step] = [script.grant(volume.key)]
    if script.holds_two:
        refused.append(other)
    if script.snapshots:
        refused.append(script.snapshot(volume.key))
    yield volume
    yield MaintainStore()
    yield from script.choices.shuffled(refused)
    yield from (GetStats(), ListPools())
    yield CancelMaintenance()
    yield from script.choices.shuffled(refused)
    yield script.read(volume.key)


def refused_store(script: Script) -> Iterator[Step]:
    """A store that could not be given back serves on, and is given back when it is empty."""
    volume = script.create()
    yield InitializeStore(name=script.name())
    yield AttachHost(host=script.host)
    yield volume
    yield script.grant(volume.key)
    yield DeleteStore()
    yield DetachHost(host=script.host)
    yield script.read(volume.key)
    if script.holds_two:
        yield script.create()
    yield script.revoke(volume.key)
    yield DeleteStore()
    yield DeleteVolume(key=volume.key)
    yield DetachHost(host=script.host)
    yield DeleteStore()


def second_life(script: Script) -> Iterator[Step]:
    """What is made where a store was given back is another store, and nothing of the first."""
    name, volume = script.name(), script.create()
    opened = ReadStale(volume=volume.key, host=script.host, first=0, count=1)
    yield InitializeStore(name=name)
    yield AttachHost(host=script.host)
    yield volume
    yield script.grant(volume.key)
    yield Open(volume=volume.key, host=script.host)
    yield script.revoke(volume.key)
    yield DeleteVolume(key=volume.key)
    yield MaintainStore()
    yield InitializeStore(name=name)
    yield InspectStore()
    yield DeleteStore()
    yield DetachHost(host=script.host)
    yield DeleteStore()
    yield InspectStore()
    yield InitializeStore(name=name)
    yield InspectStore()
    yield ListVolumes()
    yield volume
    yield script.grant(volume.key)
    yield AttachHost(host=script.host)
    yield script.grant(volume.key)
    yield opened
    yield script.read(volume.key)


FRESH_STORIES = (refused_store, second_life)
"""These begin in a place that is no store yet."""

STORIES = (refused_in_use, refused_grant, refused_at_rest)

ONCE = (many_misses, refused_source, *FRESH_STORIES)
"""These are played once, however many rounds there are."""
