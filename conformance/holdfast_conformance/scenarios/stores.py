"""Stories about a primary store as a whole: maintenance, giving it back, outages."""

from collections.abc import Iterator

from holdfast.contract.requests import (
    AttachHost,
    CancelMaintenance,
    CheckHealth,
    CreateVolume,
    DeleteSnapshot,
    DeleteStore,
    DeleteVolume,
    DetachHost,
    EnumerateOwned,
    GetStats,
    GetVolume,
    ListPools,
    ListVolumes,
    MaintainStore,
    Open,
    ResizeVolume,
    RevertVolume,
)
from holdfast.contract.testbed import Fault
from holdfast_conformance.plan import (
    HealFault,
    InjectFault,
    InspectStore,
    Step,
)
from holdfast_conformance.scenarios.script import Script

_TRIED = 9
"""So many verbs are tried in an outage, and again after it, beside two that always are."""


def maintain(script: Script) -> Iterator[Step]:
    """In maintenance nothing new is made, and what was granted works on; then all is as before."""
    steps = tuple(script.written())
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    other = script.create()
    yield from steps
    yield other
    yield MaintainStore()
    yield MaintainStore()
    yield AttachHost(host=script.host)
    if script.third_host is not None:
        yield AttachHost(host=script.third_host)
        yield DetachHost(host=script.third_host)
    yield InspectStore()
    refused: list[Step] = [script.create(), script.grant(other.key)]
    if script.snapshots:
        refused.append(script.snapshot(key))
    yield from script.choices.shuffled(refused)
    yield script.read(key)
    yield script.write(key)
    yield GetVolume(key=key)
    yield DeleteVolume(key=other.key)
    yield CheckHealth()
    yield DeleteStore()
    yield script.create()
    yield CancelMaintenance()
    yield CancelMaintenance()
    yield InspectStore()
    yield script.create()
    yield script.read(key)
    yield script.write(key)


def delete_live(script: Script) -> Iterator[Step]:
    """A store with something in it is not given back."""
    key, steps = script.resting()
    yield from steps
    yield DeleteStore()
    yield InspectStore()
    yield GetVolume(key=key)
    if script.snapshots and script.declared.snapshot is not None:
        snapshot = script.snapshot(key)
        yield snapshot
        yield DeleteVolume(key=key)
        yield DeleteStore()
        yield DeleteSnapshot(key=snapshot.key)
    for host in script.hosts:
        yield DetachHost(host=host)
    yield DeleteStore()
    yield DeleteVolume(key=key)
    yield DeleteStore()
    yield DeleteStore()
    yield InspectStore()


def outage(script: Script) -> Iterator[Step]:
    """While the backend is down every verb says so and does nothing; then all is as before, and
    what failed succeeds.
    """
    volume, other = script.create(), script.create()
    yield volume
    yield other
    yield script.grant(volume.key)
    yield script.write(volume.key)
    snapshot = script.snapshot(volume.key)
    if script.snapshots:
        yield snapshot
    yield InjectFault(fault=Fault.DOWN)
    yield CheckHealth()
    tried: list[Step] = [
        script.create(),
        volume,
        GetVolume(key=volume.key),
        DeleteVolume(key=other.key),
        DeleteVolume(key=script.name()),
        script.grant(other.key),
        script.revoke(other.key),
        Open(volume=volume.key, host=script.host),
        GetStats(),
        ListPools(),
        EnumerateOwned(),
    ]
    if script.resizes:
        tried.append(ResizeVolume(key=other.key, size_bytes=script.size(5)))
    if script.snapshots:
        tried.extend((script.snapshot(volume.key), DeleteSnapshot(key=snapshot.key)))
    if script.reverts:
        tried.append(RevertVolume(key=other.key, snapshot=snapshot.key))
    # What is told gone, and is not, shows once the backend is back.
    some = script.choices.shuffled(tried)[:_TRIED]
    failed = [script.revoke(volume.key), ListVolumes(), *some]
    yield from failed
    yield CheckHealth()
    yield HealFault()
    yield CheckHealth()
    yield GetVolume(key=volume.key)
    yield from failed
    yield ListVolumes()


def healthy(script: Script) -> Iterator[Step]:
    """A store that works says so, before an outage and after it."""
    yield CheckHealth()
    yield InjectFault(fault=Fault.DOWN)
    yield CheckHealth()
    yield HealFault()
    yield CheckHealth()
    yield script.create()


STORIES = (maintain, delete_live, outage, healthy)
