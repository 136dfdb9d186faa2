"""Stories about keys that look like something else, or like each other, and keys that are none.

A store may refuse names that are not plain, as ``Invalid``; what it takes it takes exactly.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import (
    KEY_MAX_BYTES,
    AttachHost,
    CopyVolume,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    DetachHost,
    EnumerateOwned,
    GetVolume,
    Open,
    ResizeVolume,
    RevertVolume,
    SnapshotSource,
    VolumeSource,
)
from holdfast_conformance.list_steps import WalkSnapshots
from holdfast_conformance.plan import InspectStore, Step, WalkVolumes
from holdfast_conformance.scenarios.name_classes import groups_of, without_joining
from holdfast_conformance.scenarios.script import Script

BAD_NAMES = ("", "y" * (KEY_MAX_BYTES + 1), "\u00e9" * (KEY_MAX_BYTES // 2) + "z")
"""Keys that the contract does not allow."""

_KEPT_MAX = 5


def volume_names(script: Script) -> Iterator[Step]:
    """Volumes whose names look like each other are different volumes."""
    room = script.declared.volume.volumes_max or _KEPT_MAX + 3
    kept: list[str] = []
    for group in groups_of(script.choices):
        while kept and len(kept) + len(group) > min(room, _KEPT_MAX + 3):
            yield DeleteVolume(key=kept.pop(0))
        for index, name in enumerate(group):
            yield CreateVolume(key=name, size_bytes=script.size(1 + index % 3))
        yield script.choices.pick(_looks_at_a_volume(script, group[-1]))
        if script.snapshots:
            yield CreateSnapshot(key="of the first", volume=group[0])
            # The first two of a group are the pair that is one to somebody.
            yield CreateSnapshot(key="of the second", volume=group[:2][-1])
            yield DeleteSnapshot(key="of the first")
            yield DeleteSnapshot(key="of the second")
        yield DeleteVolume(key=group[0])
        kept.extend(group[1:])
    yield WalkVolumes(limit=3)
    yield DeleteVolume(key="../" + kept[0][: KEY_MAX_BYTES // 4])
    yield EnumerateOwned()


def _looks_at_a_volume(script: Script, name: str) -> Sequence[Step]:
    grows = (ResizeVolume(key=name, size_bytes=script.size(4)),) if script.resizes else ()
    return GetVolume(key=name), *grows


def snapshot_names(script: Script) -> Iterator[Step]:
    """Snapshots whose names look like each other are different snapshots."""
    declared = script.declared.snapshot
    if declared is None:
        return
    room = declared.snapshots_per_volume_max or 2
    yield from script.written()
    volume = next(iter(script.sizes))
    for group in groups_of(script.choices):
        for name in group[:room]:
            yield CreateSnapshot(key=name, volume=volume)
            yield script.write(volume)
        yield WalkSnapshots(limit=2)
        if script.reverts:
            yield script.revoke(volume)
            yield RevertVolume(key=volume, snapshot=group[0])
            yield script.grant(volume)
        if script.clones:
            name = group[:room][-1]
            source = SnapshotSource(name)
            yield CreateVolume(key=name, size_bytes=script.sizes[volume], source=source)
            yield DeleteVolume(key=name)
        for name in group[:room]:
            yield DeleteSnapshot(key=name)


def clone_names(script: Script) -> Iterator[Step]:
    """Copies are made of what was named, under the name that was asked for."""
    copies = script.declared.copy is not None
    limit = script.declared.volume.volumes_max
    if not script.clones_volumes and not copies:
        return
    yield from script.rest("source-1")
    size_bytes = script.sizes["source-1"]
    for group in groups_of(script.choices):
        names = ("source-1", *group)[:limit]
        for source, target in pairwise(names):
            if script.clones_volumes:
                yield CreateVolume(key=target, size_bytes=size_bytes, source=VolumeSource(source))
            else:
                yield CopyVolume(key=source, target=target)
        for name in names[1:]:
            yield DeleteVolume(key=name)


def host_names(script: Script) -> Iterator[Step]:
    """Hosts whose names look like each other are different hosts."""
    limit = script.declared.access.hosts_max
    yield from (DetachHost(host=host) for host in script.hosts)
    for group in map(without_joining, groups_of(script.choices)):
        for host in group[:limit]:
            yield AttachHost(host=host)
        yield DetachHost(host=group[0])
        if len(group) > 1:
            yield InspectStore()
        yield from (DetachHost(host=host) for host in group[1:limit])


def grants_of_odd_names(script: Script) -> Iterator[Step]:
    """A grant is one volume's to one host, whatever their names are when they are put together."""
    limit = script.declared.access.hosts_max
    rooms = script.declared.volume.volumes_max
    if (limit is not None and limit < 4) or (rooms is not None and rooms < 2):
        return
    stem = script.choices.pick(("vol", "x", "Disk"))
    mark = script.choices.pick("/:-_.@ ") if script.choices.turn % 2 else "/"
    volumes = (f"{stem}{mark}a", stem)
    hosts = ("b", f"a{mark}b")
    for volume in volumes:
        yield script.create(volume)
    for host in hosts:
        yield AttachHost(host=host)
    yield script.grant(volumes[0], hosts[0])
    yield Open(volume=volumes[1], host=hosts[1])
    yield script.grant(volumes[1], hosts[1])
    yield script.revoke(volumes[0], hosts[0])
    yield Open(volume=volumes[1], host=hosts[1])
    yield DetachHost(host=hosts[0])


def hosts_that_begin_alike(script: Script) -> Iterator[Step]:
    """A host whose name is the beginning of another's is sent away alone."""
    limit = script.declared.access.hosts_max
    sharing = [mode for mode in script.declared.access.modes if mode is not AccessMode.EXCLUSIVE]
    if not sharing or (limit is not None and limit < len(script.hosts) + 2):
        return
    volume, mode = script.create(), script.choices.pick(sharing)
    short = script.choices.pick(("node-1", "Host", "h"))
    longer = short + script.choices.pick(("0", ".example", "-b", "/1"))
    yield volume
    for host in (short, longer):
        yield from (AttachHost(host=host), script.grant(volume.key, host, mode))
    yield script.revoke(volume.key, short)
    yield Open(volume=volume.key, host=longer)
    yield DetachHost(host=short)
    yield Open(volume=volume.key, host=longer)


def hostile_data(script: Script) -> Iterator[Step]:
    """A volume and a snapshot of one odd name hold their data."""
    group = without_joining(script.choices.pick(groups_of(script.choices)))
    name = script.choices.pick(group)
    yield script.create(name)
    yield script.grant(name)
    yield script.write(name)
    if script.snapshots:
        yield CreateSnapshot(key=name, volume=name)
    yield script.read(name)


def bad_names(script: Script) -> Iterator[Step]:
    """Keys that nothing can have are refused by every verb."""
    for name in script.choices.shuffled(BAD_NAMES):
        yield CreateVolume(key=name, size_bytes=script.size(1))
        yield GetVolume(key=name)
        yield DeleteVolume(key=name)
        yield script.grant(name)
        yield Open(volume=name, host=script.host)
        if script.snapshots:
            yield CreateSnapshot(key=name, volume="any")


STORIES = (
    volume_names,
    snapshot_names,
    clone_names,
    host_names,
    grants_of_odd_names,
    hosts_that_begin_alike,
    hostile_data,
    bad_names,
)
VARIED = (volume_names, snapshot_names, grants_of_odd_names, hostile_data)
"""Those of which a second round tells more, and not much the same once more."""
