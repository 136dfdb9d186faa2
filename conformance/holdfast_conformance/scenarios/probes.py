"""Stories of lost answers on a primary store: what a probe says of calls of every kind and fate."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.requests import (
    CancelMaintenance,
    CreateSnapshot,
    DeleteSnapshot,
    DeleteVolume,
    GetVolume,
    MaintainStore,
    ResizeVolume,
    RevertVolume,
)
from holdfast.contract.testbed import Fault
from holdfast_conformance.plan import HealFault, InjectFault, ProbeCall, ProbedCall, Reopen, Step
from holdfast_conformance.scenarios.script import STRANGER, Script

RELATIVES = ("0", "-1", "/0", ".", "%", "_")
"""Ends that make another key of one; the first key is a prefix of the second."""


def around(call: ProbedCall) -> Iterator[Step]:
    """A call with the question before it and after it."""
    yield ProbeCall(call=call)
    yield call
    yield ProbeCall(call=call)


def probed(call: ProbedCall) -> Iterator[Step]:
    """A call, and the question what became of it."""
    yield call
    yield ProbeCall(call=call)


def probed_volume(script: Script) -> Iterator[Step]:
    """A volume's calls, asked about before and after each, and after later ones."""
    volume = script.create(size_bytes=script.size(2) - script.choices.below(script.granularity))
    gone = DeleteVolume(key=volume.key)
    yield from around(volume)
    yield from probed(msgspec.structs.replace(volume, size_bytes=script.size(5)))
    yield script.grant(volume.key)
    if script.declared.volume.delete_in_use == "refuses":
        yield from probed(gone)
    yield script.write(volume.key)
    yield ProbeCall(call=volume)
    yield script.revoke(volume.key)
    if script.shrinks:
        yield ProbeCall(call=ResizeVolume(key=volume.key, size_bytes=script.size(1), shrink=True))
    odd = script.choices.below(script.granularity)
    if script.resizes:
        yield from around(ResizeVolume(key=volume.key, size_bytes=script.size(4) - odd))
        yield ProbeCall(call=ResizeVolume(key=volume.key, size_bytes=script.size(6)))
        yield ProbeCall(call=volume)
    if script.shrinks:
        smaller = ResizeVolume(key=volume.key, size_bytes=script.size(2) - odd, shrink=True)
        yield from probed(smaller)
    yield from around(gone)
    yield from probed(gone)
    yield ProbeCall(call=volume)


def probed_relatives(script: Script) -> Iterator[Step]:
    """A key that another begins with is asked about for itself."""
    if script.declared.volume.volumes_max == 1:
        return
    short = script.create()
    longer = script.create(f"{short.key}{script.choices.pick(RELATIVES)}", script.sizes[short.key])
    yield short
    yield ProbeCall(call=longer)
    yield ProbeCall(call=DeleteVolume(key=short.key))
    if script.snapshots:
        yield from around(CreateSnapshot(key=short.key, volume=short.key))
        yield ProbeCall(call=CreateSnapshot(key=longer.key, volume=short.key))
        yield DeleteSnapshot(key=short.key)
    yield longer
    yield from probed(DeleteVolume(key=short.key))
    yield ProbeCall(call=longer)


def probed_grants(script: Script) -> Iterator[Step]:
    """Grants and their ends, of one host and of the others."""
    volume = script.create()
    grant, revoke = script.grant(volume.key), script.revoke(volume.key)
    yield volume
    yield from around(grant)
    for mode in script.declared.access.modes:
        if mode is not grant.mode:
            yield from probed(msgspec.structs.replace(grant, mode=mode))
    for host in (*script.hosts[1:], STRANGER):
        yield from probed(msgspec.structs.replace(grant, host=host))
        yield ProbeCall(call=script.revoke(volume.key, host))
    yield ProbeCall(call=revoke)
    yield Reopen()
    yield ProbeCall(call=grant)
    yield from probed(revoke)
    yield from probed(revoke)
    yield ProbeCall(call=grant)


def probed_snapshots(script: Script) -> Iterator[Step]:
    """Snapshots and reverts, asked about while their volume goes on, and when it is gone."""
    if not script.snapshots:
        return
    volume = script.create()
    snapshot, second = script.snapshot(volume.key), script.snapshot(volume.key)
    revert = RevertVolume(key=volume.key, snapshot=second.key)
    yield volume
    yield script.grant(volume.key)
    yield script.write(volume.key, at=(0, 1))
    yield from around(snapshot)
    yield script.write(volume.key, at=(0, 1))
    yield second
    yield ProbeCall(call=snapshot)
    yield script.write(volume.key, at=(0, 1))
    if script.reverts:
        yield from probed(revert)
    yield script.revoke(volume.key)
    if script.reverts:
        yield from around(revert)
        yield ProbeCall(call=RevertVolume(key=volume.key, snapshot=snapshot.key))
    yield from around(DeleteSnapshot(key=snapshot.key))
    yield ProbeCall(call=snapshot)
    yield from probed(DeleteSnapshot(key=snapshot.key))
    yield from probed(DeleteVolume(key=volume.key))


def probed_at_rest(script: Script) -> Iterator[Step]:
    """What maintenance refuses did not happen; what happened before it did."""
    first, second = script.create(), script.create()
    yield first
    yield MaintainStore()
    yield from probed(second)
    yield ProbeCall(call=first)
    yield from probed(script.grant(first.key))
    if script.snapshots:
        yield from probed(script.snapshot(first.key))
    yield CancelMaintenance()
    yield from probed(second)


def probed_outage(script: Script) -> Iterator[Step]:
    """Nobody can tell while the backend is down; once it is back, what happened shows."""
    first, second = script.create(), script.create()
    gone = DeleteVolume(key=first.key)
    yield first
    yield InjectFault(fault=Fault.DOWN)
    yield ProbeCall(call=first)
    yield from probed(second)
    yield from probed(gone)
    yield HealFault()
    calls: tuple[ProbedCall, ...] = (first, second, gone)
    for call in script.choices.shuffled(calls):
        yield ProbeCall(call=call)
    yield GetVolume(key=first.key)


STORIES = (
    probed_volume,
    probed_relatives,
    probed_grants,
    probed_snapshots,
    probed_at_rest,
    probed_outage,
)
