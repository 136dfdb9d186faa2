"""Stories of calls that come late on a primary store: their fence is lower than those after them.

A call that was given up may act whenever it likes: what was done since, through whichever driver,
must stand.
"""

from collections.abc import Iterator

from holdfast.contract.requests import (
    CancelMaintenance,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    GetVolume,
    MaintainStore,
    ResizeVolume,
    RevertVolume,
    SnapshotSource,
)
from holdfast_conformance.plan import FencedCall, GiveUp, LateCall, ProbeCall, Reopen, Step
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.script import Script

OTHERS = 9
"""On so many other objects calls are made before one comes late."""


def late(choices: Choices, call: FencedCall) -> LateCall:
    """The call, given up by this owner of the catalogue or by the one before it."""
    return LateCall(call=call, former_owner=bool(choices.below(2)))


def late_on_a_volume(script: Script) -> Iterator[Step]:
    """Each call of a volume's life, late: before it is there, while it is, and when it is gone."""
    if not script.declared.fences:
        return
    volume = script.create(size_bytes=script.size(2))
    gone = DeleteVolume(key=volume.key)
    calls: list[FencedCall] = [volume, gone]
    yield volume
    if script.resizes:
        larger = ResizeVolume(key=volume.key, size_bytes=script.size(4))
        calls.append(larger)
        yield larger
        yield late(script.choices, ResizeVolume(key=volume.key, size_bytes=script.size(3)))
    if script.shrinks:
        shrunk = ResizeVolume(key=volume.key, size_bytes=script.size(1), shrink=True)
        yield late(script.choices, shrunk)
    if script.declared.access.modes:
        grant, revoke = script.grant(volume.key), script.revoke(volume.key)
        calls += (grant, revoke)
        yield grant
        yield late(script.choices, revoke)
        yield late(script.choices, gone)
        yield revoke
        yield late(script.choices, grant)
    yield GetVolume(key=volume.key)
    yield late(script.choices, gone)
    yield gone
    yield late(script.choices, volume)
    yield Reopen()
    for call in script.choices.shuffled(calls):
        yield late(script.choices, call)


def late_on_a_snapshot(script: Script) -> Iterator[Step]:
    """What was taken and reverted stands; what was deleted does not come back."""
    if not script.declared.fences or not script.snapshots:
        return
    volume, other = script.create(), script.name()
    snapshot = CreateSnapshot(key=script.name(), volume=volume.key)
    gone = DeleteSnapshot(key=snapshot.key)
    yield volume
    if script.writes:
        yield script.grant(volume.key)
        yield script.write(volume.key)
        yield script.revoke(volume.key)
    yield snapshot
    yield GiveUp(name="after the snapshot")
    yield late(script.choices, gone)
    if script.writes:
        yield script.grant(volume.key)
        yield script.write(volume.key)
        yield script.revoke(volume.key)
    if script.reverts:
        revert = RevertVolume(key=volume.key, snapshot=snapshot.key)
        yield late(script.choices, revert)
        yield revert
        # What a volume was taken back to does not take its fence back.
        overtaken: FencedCall = DeleteVolume(key=volume.key)
        if script.resizes:
            overtaken = ResizeVolume(key=volume.key, size_bytes=script.size(5))
        yield LateCall(call=overtaken, given_up="after the snapshot")
    if script.clones and script.holds_two:
        source = SnapshotSource(snapshot.key)
        yield CreateVolume(key=other, size_bytes=volume.size_bytes, source=source)
        yield late(script.choices, DeleteVolume(key=other))
        yield DeleteVolume(key=other)
    yield gone
    yield late(script.choices, snapshot)
    yield Reopen()
    yield late(script.choices, gone)
    yield late(script.choices, snapshot)


def late_after_nothing(script: Script) -> Iterator[Step]:
    """What was deleted before it was there, or told to be absent, is not made by the call that was
    given up.
    """
    if not script.declared.fences:
        return
    volume, asked = script.create(), script.create()
    yield DeleteVolume(key=volume.key)
    yield late(script.choices, volume)
    yield from (ProbeCall(call=asked), late(script.choices, asked))
    if script.snapshots:
        other = script.create()
        snapshot = script.snapshot(other.key)
        yield from (other, DeleteSnapshot(key=snapshot.key), late(script.choices, snapshot))
    if script.declared.access.modes:
        granted = script.create()
        grant = script.grant(granted.key)
        yield from (granted, script.revoke(granted.key), late(script.choices, grant))
    yield GetVolume(key=volume.key)


def late_after_others(script: Script) -> Iterator[Step]:
    """Calls on others are in nobody's way, and make no store forget who was late."""
    if not script.declared.fences:
        return
    volume = script.create()
    yield volume
    for _ in range(OTHERS):
        yield DeleteVolume(key=script.name())
    yield late(script.choices, DeleteVolume(key=volume.key))
    yield GetVolume(key=volume.key)
    if script.holds_two:
        yield late(script.choices, script.create())
    for _ in range(3):
        yield late(script.choices, DeleteVolume(key=script.name()))
    yield LateCall(call=DeleteVolume(key=volume.key), former_owner=True)


def late_between(script: Script) -> Iterator[Step]:
    """A call is late for what was changed since it was given up, and for nothing else."""
    if not script.declared.fences:
        return
    first, second = script.create(), script.create()
    changes = (script.grant(first.key), script.revoke(first.key))
    yield first
    yield GiveUp(name="before the second")
    if script.declared.access.modes:
        yield from changes
    if script.holds_two:
        yield second
    else:
        yield DeleteVolume(key=second.key)
        yield LateCall(call=second, given_up="before the second")
    yield LateCall(call=DeleteVolume(key=first.key), given_up="before the second")
    yield LateCall(call=DeleteVolume(key=second.key), given_up="before the second")
    yield GiveUp(name="after both")
    if script.declared.access.modes:
        yield from changes
    # In time, for nothing was done to it since; a call that was refused may have left its fence.
    yield LateCall(call=DeleteVolume(key=second.key), given_up="after both")
    yield LateCall(call=DeleteVolume(key=first.key), given_up="after both")
    yield GetVolume(key=first.key)


def late_between_snapshots(script: Script) -> Iterator[Step]:
    """What is done to one snapshot makes no call on another late."""
    if not script.declared.fences or not script.snapshots:
        return
    volume = script.create()
    first, second = script.snapshot(volume.key), script.snapshot(volume.key)
    yield from (volume, first, GiveUp(name="here"), DeleteSnapshot(key=second.key))
    yield LateCall(call=second, given_up="here")
    yield LateCall(call=DeleteSnapshot(key=first.key), given_up="here")


def late_on_the_store(script: Script) -> Iterator[Step]:
    """A store that serves again is not put to rest by a call from before."""
    if not script.declared.fences:
        return
    yield MaintainStore()
    yield late(script.choices, CancelMaintenance())
    yield CancelMaintenance()
    yield late(script.choices, MaintainStore())
    yield script.create()


STORIES = (
    late_on_a_volume,
    late_on_a_snapshot,
    late_after_nothing,
    late_after_others,
    late_between,
    late_between_snapshots,
    late_on_the_store,
)
