"""Stories of two primary stores of one backend, with the same names in both."""

from collections.abc import Iterator

from holdfast.contract.requests import (
    AttachHost,
    CancelMaintenance,
    DeleteSnapshot,
    DeleteStore,
    DeleteVolume,
    DetachHost,
    EnumerateOwned,
    GetSnapshot,
    GetStats,
    GetVolume,
    InitializeStore,
    ListSnapshots,
    MaintainStore,
    Open,
    ResizeVolume,
)
from holdfast_conformance.byte_steps import KeepHandle, ReadBytes
from holdfast_conformance.plan import InspectStore, Step, UseStore, WalkVolumes
from holdfast_conformance.scenarios.script import Script

_MINE, _NEXT = UseStore(number=0), UseStore(number=1)
_HANDLE = "kept"


def two_stores(script: Script) -> Iterator[Step]:
    """What is made in one store is not seen in another, and has nothing of what is there."""
    name, host = script.name(), script.host
    mine, theirs = script.create(name, script.size(2)), script.create(name, script.size(1))
    snapshot = script.snapshot(name)
    yield from (mine, script.grant(name), script.write(name, at=(0, 1)))
    if script.snapshots:
        yield snapshot
    yield from (_NEXT, InspectStore(), *_made(script))
    yield from (GetVolume(key=name), Open(volume=name, host=host), GetStats())
    if script.snapshots:
        yield GetSnapshot(key=snapshot.key)
    yield from (theirs, script.grant(name), script.write(name, at=(0, 1)), *_looks(script, name))
    yield from (_MINE, *_looks(script, name), script.write(name, at=(0, 1)))
    if script.resizes_granted:
        yield ResizeVolume(key=name, size_bytes=script.size(3))
    if script.holds_two:
        yield script.create(script.name())
    yield from (_NEXT, script.read(name), script.revoke(name), DeleteVolume(key=name), GetStats())
    yield from (_MINE, Open(volume=name, host=host))


def emptied_beside(script: Script) -> Iterator[Step]:
    """What ends in one store, and its rest, reach nothing in another."""
    name, host = script.name(), script.host
    # A host's own daemon knows a volume by its key: one that is kept open is another host's.
    other = script.hosts[-1]
    mine, theirs = script.create(name, script.size(2)), script.create(name, script.size(1))
    snapshot = script.snapshot(name)
    look = ReadBytes(volume=name, host=host, offset_bytes=0, length_bytes=4096, handle=_HANDLE)
    yield from (mine, script.grant(name), script.write(name, at=(0, 1)))
    if script.snapshots:
        yield snapshot
    yield from (KeepHandle(volume=name, host=host, handle=_HANDLE), MaintainStore())
    yield from (_NEXT, *_made(script, other), theirs, script.grant(name, other))
    if script.snapshots:
        yield from (snapshot, DeleteSnapshot(key=snapshot.key))
    yield from (script.revoke(name, other), DeleteVolume(key=name))
    yield from (_MINE, look, *_looks(script, name), CancelMaintenance())
    yield from (_NEXT, DetachHost(host=other), DeleteStore())
    yield from (_MINE, look, Open(volume=name, host=host), *_looks(script, name), InspectStore())


def given_back_beside(script: Script) -> Iterator[Step]:
    """A store that is emptied and given back takes nothing of another along."""
    name = script.name()
    mine, theirs = script.create(name, script.size(1)), script.create(name, script.size(2))
    yield mine
    yield from (_NEXT, *_made(script))
    yield from (theirs, script.grant(name), script.write(name))
    yield from (_MINE, DeleteVolume(key=name))
    yield from (DetachHost(host=attached) for attached in script.hosts)
    yield DeleteStore()
    yield from (_NEXT, script.read(name), *_looks(script, name), InspectStore())


def _made(script: Script, host: str = "") -> Iterator[Step]:
    """The neighbour becomes a store, with a host that the first one has, too."""
    yield InitializeStore(name=script.name())
    yield AttachHost(host=host or script.host)


def _looks(script: Script, name: str) -> Iterator[Step]:
    """Some ways to look at a store."""
    looks: list[Step] = [GetVolume(key=name), WalkVolumes(limit=2), EnumerateOwned(), GetStats()]
    if script.snapshots:
        looks.append(ListSnapshots(limit=2))
    yield from script.choices.shuffled(looks)[:2]


ONCE = (two_stores, emptied_beside, given_back_beside)
