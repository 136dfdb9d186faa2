"""Long plans for primary stores: what shows only after a while, or after many operations."""

from collections.abc import Callable, Iterator

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import (
    AttachHost,
    CancelMaintenance,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    EnumerateOwned,
    GetSnapshot,
    GetVolume,
    ListSnapshots,
    MaintainStore,
    Open,
)
from holdfast_conformance.plan import InspectStore, Reopen, Step, UseDriver, Wait, WalkVolumes
from holdfast_conformance.scenarios.script import Script

WAIT_MAX_S = 2.2
"""How long is waited without a step between."""

Story = Callable[[Script], Iterator[Step]]


def waits(seconds: float) -> Iterator[Step]:
    """So many seconds, in pieces, for a worker that says nothing for long counts as hung."""
    while seconds > 0:
        yield Wait(seconds=min(seconds, WAIT_MAX_S))
        seconds = round(seconds - WAIT_MAX_S, 3)


def time_passes(seconds: float, *, in_maintenance: bool) -> Story:
    """A story of a store with everything in it, that nobody touches for so long."""

    def story(script: Script) -> Iterator[Step]:
        granted, resting, gone = script.create(), script.create(), script.create()
        snapshot = script.snapshot(granted.key)
        mode = AccessMode.EXCLUSIVE if script.has(AccessMode.EXCLUSIVE) else script.mode
        yield from (granted, script.grant(granted.key, mode=mode), script.write(granted.key))
        if script.snapshots:
            yield from (snapshot, script.write(granted.key))
        yield from (resting, script.grant(resting.key), script.revoke(resting.key))
        yield from (gone, DeleteVolume(key=gone.key))
        again = script.create()
        yield from (again, DeleteVolume(key=again.key), again)
        if script.third_host is not None:
            yield AttachHost(host=script.third_host)
        if in_maintenance:
            yield from (MaintainStore(), resting)
        yield UseDriver(number=1)
        yield GetVolume(key=granted.key)
        yield UseDriver(number=0)
        yield from waits(seconds)
        yield from _everything(script, granted, snapshot.key)
        yield UseDriver(number=1)
        yield from (GetVolume(key=granted.key), Reopen(), WalkVolumes(limit=2))
        yield from (GetVolume(key=gone.key), script.read(granted.key))
        if in_maintenance:
            yield from (script.create(), CancelMaintenance())
        yield script.write(granted.key)

    story.__name__ = "time_passes"
    return story


def _everything(script: Script, granted: CreateVolume, snapshot: str) -> Iterator[Step]:
    key = granted.key
    yield from (WalkVolumes(limit=2), GetVolume(key=key), Open(volume=key, host=script.host))
    if script.snapshots:
        yield from (GetSnapshot(key=snapshot), ListSnapshots(limit=2))
    yield from (EnumerateOwned(), InspectStore(), granted)


def many_operations(steps: int, kind: int) -> Story:
    """A story of so many steps, in which few kinds of operation come again and again.

    Args:
        steps: how many there are, about.
        kind: which; 0 are some of all.
    """

    def story(script: Script) -> Iterator[Step]:
        base = script.create()
        yield base
        cycles = _cycles(script, base.key)
        chosen = cycles if kind == 0 else (cycles[(kind - 1) % len(cycles)],)
        length = 1
        while length < steps:
            for cycle in chosen:
                made = tuple(cycle())
                yield from made
                length += len(made)
        yield WalkVolumes(limit=1000)

    story.__name__ = "many_operations"
    return story


def _cycles(script: Script, base: str) -> tuple[Callable[[], Iterator[Step]], ...]:
    """What can be done again and again, and leaves the store as it was."""

    def volumes() -> Iterator[Step]:
        volume = script.create(size_bytes=script.size(1))
        yield from (volume, DeleteVolume(key=volume.key))

    def grants() -> Iterator[Step]:
        yield from (script.grant(base), script.revoke(base))

    def snapshots() -> Iterator[Step]:
        snapshot = script.snapshot(base)
        yield from (snapshot, DeleteSnapshot(key=snapshot.key))

    return (volumes, grants, snapshots) if script.snapshots else (volumes, grants)
