"""Stories about a primary store as a whole: maintenance, giving it back, outages."""

from collections.abc import Iterator

from holdfast.requests import (
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
from holdfast.testbed import Fault
from holdfast_conformance.plan import (
    HealFault,
    InjectFault,
    InspectStore,
    Step,
)
from holdfast_conformance.scenarios.script import Script


def maintain(script: Script) -> Iterator[Step]:
    """In maintenance nothing new is made, and what was granted works on; then all is as before."""
    steps = tuple(script.written())
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    other = script.create()
    yield from steps
    yield other
    yield MaintainStore()
    yield MaintainStore()
    yield InspectStore()
    refused: list[Step] = [script.create(), script.grant(other.key)]
    if script.snapshots:
        refused.append(script.snapshot(key))
    yield from script.choices.shuffled(refused)
    yield script.read(key)
    yield script.write(key)
    yield GetVolume(key=key)
    yield DeleteVolume(key=other.key)
    yield CancelMaintenance()
    yield CancelMaintenance()
    yield InspectStore()
    yield script.create()
    yield script.read(key)
    yield script.write(key)


def delete_live(script: Script) -> Iterator[Step]:
    """A store with something in it is not given back."""
    steps = tuple(script.rest())
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    yield from steps
    yield DeleteStore()
    yield InspectStore()
    yield GetVolume(key=key)
    if script.snapshots and script.declared.snapshot is not None:
        taken = script.snapshot(key)
        yield taken
        yield DeleteVolume(key=key)
        yield DeleteStore()
        yield DeleteSnapshot(key=taken.key)
    for host in script.hosts:
        yield DetachHost(host=host)
    yield DeleteStore()
    yield DeleteVolume(key=key)
    yield DeleteStore()
    yield DeleteStore()
    yield InspectStore()


def outage(script: Script) -> Iterator[Step]:
    """While the backend is down every verb says so and does nothing; then all is as before."""
    made, other = script.create(), script.create()
    yield made
    yield other
    yield script.grant(made.key)
    yield script.write(made.key)
    taken = script.snapshot(made.key)
    if script.snapshots:
        yield taken
    yield InjectFault(fault=Fault.DOWN)
    yield CheckHealth()
    tried: list[Step] = [
        script.create(),
        made,
        GetVolume(key=made.key),
        ListVolumes(),
        DeleteVolume(key=other.key),
        DeleteVolume(key=script.name()),
        script.grant(other.key),
        script.revoke(made.key),
        script.revoke(other.key),
        Open(volume=made.key, host=script.host),
        GetStats(),
        ListPools(),
        EnumerateOwned(),
    ]
    if script.resizes:
        tried.append(ResizeVolume(key=other.key, size_bytes=script.size(5)))
    if script.snapshots:
        tried.extend((script.snapshot(made.key), DeleteSnapshot(key=taken.key)))
    if script.reverts:
        tried.append(RevertVolume(key=other.key, snapshot=taken.key))
    yield from script.choices.shuffled(tried)[:6]
    yield CheckHealth()
    yield HealFault()
    yield CheckHealth()
    yield GetVolume(key=made.key)
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
