"""Stories of two drivers that are open on one primary store."""

from collections.abc import Iterator

from holdfast.contract.capabilities import DeleteInUse
from holdfast.contract.requests import (
    AttachHost,
    CancelMaintenance,
    DeleteSnapshot,
    DeleteVolume,
    EnumerateOwned,
    GetSnapshot,
    GetStats,
    GetVolume,
    ListSnapshots,
    MaintainStore,
    Open,
    ResizeVolume,
)
from holdfast_conformance.plan import Step, UseDriver, WalkVolumes
from holdfast_conformance.scenarios.script import Script


def seen_by_another(script: Script) -> Iterator[Step]:
    """Whatever one driver changes, another one that has looked before sees as it is now."""
    volume, other = script.create(size_bytes=script.size(1)), script.create()
    key, snapshot = volume.key, script.snapshot(volume.key)
    yield volume
    if script.snapshots:
        yield snapshot
    yield from _looks(script, key, snapshot.key)
    yield UseDriver(number=1)
    yield other
    if script.resizes:
        yield ResizeVolume(key=key, size_bytes=script.size(3))
    yield UseDriver(number=0)
    yield GetVolume(key=other.key)
    yield from _looks(script, key, snapshot.key)
    yield UseDriver(number=1)
    if script.snapshots:
        yield DeleteSnapshot(key=snapshot.key)
    yield DeleteVolume(key=other.key)
    yield UseDriver(number=0)
    yield GetVolume(key=other.key)
    yield from _looks(script, key, snapshot.key)


def granted_by_another(script: Script) -> Iterator[Step]:
    """Who may use a volume, and whether it is there, is told alike by both drivers."""
    volume = script.create(size_bytes=script.size(1))
    key, grant = volume.key, script.grant(volume.key)
    opening = Open(volume=key, host=script.host)
    yield from (volume, grant, opening)
    if script.declared.volume.delete_in_use is DeleteInUse.REFUSES:
        yield DeleteVolume(key=key)
    yield UseDriver(number=1)
    if script.resizes_granted:
        yield ResizeVolume(key=key, size_bytes=script.size(2))
        yield UseDriver(number=0)
        yield opening
        yield UseDriver(number=1)
    yield from (script.write(key), script.revoke(key))
    yield UseDriver(number=0)
    yield from (opening, grant)
    yield UseDriver(number=1)
    yield from (opening, script.revoke(key))
    yield UseDriver(number=0)
    yield DeleteVolume(key=key)
    yield UseDriver(number=1)
    yield from (GetVolume(key=key), volume)
    yield UseDriver(number=0)
    yield from (GetVolume(key=key), WalkVolumes(limit=2))


def resized_by_another(script: Script) -> Iterator[Step]:
    """Whether a volume grows or shrinks is told by what it is, and not by what it was here."""
    if not script.resizes:
        return
    volume = script.create(size_bytes=script.size(1))
    key = volume.key
    yield from (volume, UseDriver(number=1))
    yield ResizeVolume(key=key, size_bytes=script.size(4))
    yield from (script.grant(key), script.write(key), script.revoke(key), UseDriver(number=0))
    yield from (ResizeVolume(key=key, size_bytes=script.size(2)), GetVolume(key=key))
    yield from (script.grant(key), script.read(key))


def rested_by_another(script: Script) -> Iterator[Step]:
    """Maintenance, hosts and figures are of the store, not of a driver."""
    first, second, third = script.create(), script.create(), script.create()
    yield from (GetStats(), first, GetStats())
    yield UseDriver(number=1)
    yield from (GetStats(), second, GetStats(), MaintainStore())
    yield UseDriver(number=0)
    yield from (third, CancelMaintenance())
    if script.third_host is not None:
        yield AttachHost(host=script.third_host)
    yield UseDriver(number=1)
    yield third
    yield script.grant(third.key, script.third_host or script.host)
    yield DeleteVolume(key=first.key)
    yield UseDriver(number=0)
    yield from (DeleteVolume(key=third.key), GetStats(), EnumerateOwned())


def _looks(script: Script, key: str, snapshot: str) -> Iterator[Step]:
    """Most ways to look at a store, in some order."""
    looks: list[Step] = [
        GetVolume(key=key),
        WalkVolumes(limit=2),
        EnumerateOwned(),
    ]
    if script.snapshots:
        looks += [GetSnapshot(key=snapshot), ListSnapshots(limit=2)]
    yield from script.choices.shuffled(looks)


STORIES = (seen_by_another, granted_by_another, resized_by_another, rested_by_another)
