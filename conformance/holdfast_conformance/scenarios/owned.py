"""Stories of what a primary store owns: enumerated after every kind of change."""

from collections.abc import Iterator

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import (
    CancelMaintenance,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    EnumerateOwned,
    MaintainStore,
    ResizeVolume,
    RevertVolume,
    SnapshotSource,
)
from holdfast_conformance.plan import Reopen, Step
from holdfast_conformance.scenarios.probes import RELATIVES
from holdfast_conformance.scenarios.script import Script

_LOOK = EnumerateOwned()


def owned_grants(script: Script) -> Iterator[Step]:
    """Grants are shown for as long as they live, of each volume and host."""
    modes = [mode for mode in script.declared.access.modes if mode is not AccessMode.EXCLUSIVE]
    mode = modes[0] if modes else None
    volume = script.create()
    other = script.create(f"{volume.key}{script.choices.pick(RELATIVES)}")
    hosts = script.hosts if mode else script.hosts[:1]
    several = script.declared.volume.volumes_max != 1
    yield volume
    for host in hosts:
        yield script.grant(volume.key, host, mode)
        yield _LOOK
    if several:
        yield other
        yield script.grant(other.key)
        yield _LOOK
    yield Reopen()
    yield MaintainStore()
    yield _LOOK
    yield CancelMaintenance()
    for host in script.choices.shuffled(hosts):
        yield script.revoke(volume.key, host)
        yield _LOOK
    yield script.grant(volume.key)
    yield _LOOK


def owned_things(script: Script) -> Iterator[Step]:
    """Volumes and snapshots are shown as they are, after each change."""
    volume = script.create(size_bytes=script.size(2))
    snapshot = script.snapshot(volume.key, volume.key)
    second = script.snapshot(volume.key, f"{volume.key}{script.choices.pick(RELATIVES)}")
    yield from script.written(volume.key, volume.size_bytes)
    if script.snapshots:
        yield snapshot
        yield second
        yield _LOOK
    yield script.revoke(volume.key)
    if script.resizes:
        yield ResizeVolume(key=volume.key, size_bytes=script.size(4))
        yield _LOOK
    if script.reverts:
        yield RevertVolume(key=volume.key, snapshot=second.key)
        yield _LOOK
    if script.clones:
        source = SnapshotSource(second.key)
        clone = CreateVolume(key=script.name(), size_bytes=script.size(3), source=source)
        yield clone
        yield _LOOK
        yield DeleteVolume(key=clone.key)
    if script.snapshots:
        yield DeleteSnapshot(key=script.choices.pick((snapshot, second)).key)
        yield _LOOK
    yield DeleteVolume(key=volume.key)
    yield _LOOK


STORIES = (owned_grants, owned_things)
