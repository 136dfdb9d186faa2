"""Stories of figures: asked for around everything that changes them, and around what must not."""

from collections.abc import Iterable, Iterator

from holdfast.contract.requests import (
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    GetStats,
    Grant,
    ListPools,
    ResizeVolume,
    RevertVolume,
    Revoke,
    SnapshotSource,
    VolumeSource,
)
from holdfast_conformance.plan import Reopen, Step
from holdfast_conformance.scenarios.script import Script


def figures_of_refusals(script: Script) -> Iterator[Step]:
    """What is refused costs nothing, however it is refused."""
    volume = script.create(size_bytes=script.size(2))
    too_large = script.declared.volume.size_max_bytes + 1
    refused: list[Step] = [
        CreateVolume(key=volume.key, size_bytes=script.size(3)),
        CreateVolume(key=script.name(), size_bytes=0),
        CreateVolume(key=script.name(), size_bytes=too_large),
        DeleteVolume(key=volume.key),
        DeleteVolume(key=script.name()),
    ]
    if script.clones_volumes:
        refused += [
            CreateVolume(key=script.name(), size_bytes=script.size(1), source=source)
            for source in (VolumeSource(volume.key), VolumeSource(script.name()))
        ]
    if script.resizes:
        refused.append(ResizeVolume(key=script.name(), size_bytes=script.size(4)))
        refused.append(ResizeVolume(key=volume.key, size_bytes=script.size(1)))
    if script.snapshots:
        refused.append(CreateSnapshot(key=script.name(), volume=script.name()))
    yield volume
    yield script.grant(volume.key)
    yield from _counted(script, script.choices.shuffled(refused), volume.key)
    yield script.revoke(volume.key)
    yield DeleteVolume(key=volume.key)
    yield GetStats()


def figures_of_a_life(script: Script) -> Iterator[Step]:
    """What is written, grows, is kept, cloned and reverted counts as long as it is there."""
    first = script.create(size_bytes=script.size(2))
    life: list[Step] = [first, first]
    if script.writes:
        life += [script.grant(first.key), script.write(first.key), script.revoke(first.key)]
    if script.snapshots:
        snapshot = script.snapshot(first.key)
        life.append(snapshot)
        if script.resizes:
            life.append(ResizeVolume(key=first.key, size_bytes=script.size(4)))
        if script.clones:
            source = SnapshotSource(snapshot.key)
            clone = CreateVolume(key=script.name(), size_bytes=script.size(3), source=source)
            life += [clone, DeleteVolume(key=clone.key)]
        if script.reverts:
            life.append(RevertVolume(key=first.key, snapshot=snapshot.key))
        life.append(DeleteSnapshot(key=snapshot.key))
    elif script.resizes:
        life.append(ResizeVolume(key=first.key, size_bytes=script.size(4)))
    if script.shrinks:
        life.append(ResizeVolume(key=first.key, size_bytes=script.size(1), shrink=True))
    life.append(Reopen())
    yield GetStats()
    yield from _counted(script, life, first.key)
    yield DeleteVolume(key=first.key)
    yield from (GetStats(), ListPools())


def _counted(script: Script, steps: Iterable[Step], volume: str) -> Iterator[Step]:
    """Each step, and the figures after it: those of the store, of its pools, of a volume."""
    figures: list[Step] = [GetStats(), ListPools()]
    if script.declared.stats.volume:
        figures.append(GetStats(volume=volume))
    for step in steps:
        yield step
        if isinstance(step, Grant | Revoke):
            continue
        yield script.choices.pick(figures[:2])
        if script.choices.one_in(4):
            yield figures[-1]


STORIES = (figures_of_a_life,)

ONCE = (figures_of_refusals,)
"""This is played once, however many rounds there are."""
