"""Stories about volumes: create, conflict, delete, sizes, lists, names."""

from collections.abc import Iterator

from holdfast.contract.requests import (
    CreateVolume,
    DeleteVolume,
    EnumerateOwned,
    GetStats,
    GetVolume,
    ListPools,
    ListVolumes,
    Open,
    ResizeVolume,
)
from holdfast.data import BLOCK_BYTES
from holdfast_conformance.model.primary_store import NEVER_ISSUED
from holdfast_conformance.plan import Reopen, Step, WalkVolumes
from holdfast_conformance.scenarios.lists import PLANES, keys_alike
from holdfast_conformance.scenarios.script import Script


def create_and_look(script: Script) -> Iterator[Step]:
    """A volume is what was asked for, wherever one looks."""
    volume = script.create()
    yield volume
    yield GetVolume(key=volume.key)
    yield ListVolumes()
    yield script.grant(volume.key)
    yield script.read(volume.key)
    yield script.write(volume.key)
    yield script.read(volume.key)
    yield EnumerateOwned()


def odd_size(script: Script) -> Iterator[Step]:
    """A size that is no multiple of the granularity is rounded up."""
    size = script.small_size() + 1 + script.choices.below(max(1, script.granularity - 1))
    volume = script.create(size_bytes=min(size, script.declared.volume.size_max_bytes))
    yield volume
    yield GetVolume(key=volume.key)
    yield volume
    yield ListVolumes()
    if script.resizes:
        larger = ResizeVolume(key=volume.key, size_bytes=volume.size_bytes + script.granularity)
        yield larger
        yield GetVolume(key=volume.key)
        yield larger


def create_again(script: Script) -> Iterator[Step]:
    """The same request again is answered with the same volume."""
    volume = script.create()
    yield volume
    yield volume
    yield script.grant(volume.key)
    yield script.write(volume.key)
    yield volume
    yield script.read(volume.key)
    yield WalkVolumes(limit=2)


def create_conflict(script: Script) -> Iterator[Step]:
    """A key that is taken stays with its volume, untouched."""
    volume = script.create(size_bytes=script.size(2 + script.choices.below(3)))
    yield volume
    yield script.grant(volume.key)
    yield script.write(volume.key)
    if script.snapshots:
        yield script.snapshot(volume.key)
    for size in script.choices.shuffled((script.size(1), script.size(6))):
        yield CreateVolume(key=volume.key, size_bytes=size)
    yield GetVolume(key=volume.key)
    yield script.read(volume.key)


def delete_unknown(script: Script) -> Iterator[Step]:
    """What is not there can be deleted, as often as one likes."""
    volume = script.create()
    yield volume
    yield DeleteVolume(key=script.name())
    yield DeleteVolume(key=volume.key[:-1])
    yield DeleteVolume(key=f"{volume.key}0")
    yield GetVolume(key=volume.key)
    yield DeleteVolume(key=volume.key)
    yield DeleteVolume(key=volume.key)


def delete_and_look(script: Script) -> Iterator[Step]:
    """A deleted volume is nowhere, and its successor of the same name is new."""
    yield script.create()
    gone, steps = script.resting()
    yield from steps
    yield DeleteVolume(key=gone)
    yield GetVolume(key=gone)
    yield ListVolumes()
    yield EnumerateOwned()
    yield script.create(gone, script.sizes[gone])
    yield script.grant(gone)
    yield script.read(gone)
    yield script.revoke(gone)
    yield DeleteVolume(key=gone)
    yield DeleteVolume(key=gone)
    yield GetVolume(key=gone)


def delete_granted(script: Script) -> Iterator[Step]:
    """A granted volume is protected."""
    steps = tuple(script.written())
    yield from steps
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    yield DeleteVolume(key=key)
    if script.declared.volume.delete_in_use == "refuses":
        yield script.read(key)
        yield DeleteVolume(key=key)
        yield script.read(key)
        yield script.revoke(key)
        yield DeleteVolume(key=key)


def boundary_sizes(script: Script) -> Iterator[Step]:
    """Sizes at and around every declared limit."""
    limits = script.declared.volume
    step = script.granularity
    sizes = {0, 1, step - 1, step, step + 1, limits.size_min_bytes - 1, limits.size_min_bytes}
    sizes |= {limits.size_min_bytes + 1, limits.size_max_bytes, limits.size_max_bytes + 1}
    yield from _each_alone(script, sizes)


def word_sizes(script: Script) -> Iterator[Step]:
    """Sizes at and around those that no longer fit into a machine's word."""
    sizes = {(1 << bits) + offset for bits in (31, 32) for offset in (-1, 0, 1)}
    yield from _each_alone(script, sizes | {(1 << 63) - 1})


def _each_alone(script: Script, sizes: set[int]) -> Iterator[Step]:
    for size in script.choices.shuffled(sorted(size for size in sizes if size >= 0)):
        volume = script.create(size_bytes=size)
        yield volume
        yield GetVolume(key=volume.key)
        yield DeleteVolume(key=volume.key)


def page_walk(script: Script) -> Iterator[Step]:
    """Pages of every size show every volume once, in order, also where keys begin alike."""
    most = min(5, script.declared.volume.volumes_max or 5)
    keys = [*keys_alike(script, 3), *PLANES][:most]
    volumes = [script.create(key) for key in keys]
    yield from volumes
    for limit in range(1, len(keys) + 1):
        yield WalkVolumes(limit=limit)
    yield ListVolumes(limit=2)
    yield ListVolumes(token=NEVER_ISSUED)
    yield DeleteVolume(key=volumes[:2][-1].key)
    yield WalkVolumes(limit=2)
    yield WalkVolumes(limit=1000)


def reopened(script: Script) -> Iterator[Step]:
    """Nothing depends on the driver instance."""
    volume = script.create()
    yield volume
    yield script.grant(volume.key)
    yield script.write(volume.key)
    yield Reopen()
    yield GetVolume(key=volume.key)
    yield script.read(volume.key)
    yield volume
    yield script.write(volume.key)
    yield script.revoke(volume.key)
    yield Reopen()
    yield Open(volume=volume.key, host=script.host)
    yield DeleteVolume(key=volume.key)
    yield Reopen()
    yield GetVolume(key=volume.key)


def neighbours(script: Script) -> Iterator[Step]:
    """Two volumes written in turn do not touch each other."""
    first, second = script.create(), script.create()
    yield first
    yield second
    yield script.grant(first.key)
    yield script.grant(second.key)
    yield script.write(first.key)
    yield script.write(second.key, at=(0, 1))
    yield script.write(first.key, at=(0, 1))
    yield script.read(first.key)
    yield script.read(second.key)


def full_figures(script: Script) -> Iterator[Step]:
    """The counters stay sane with data, snapshots and clones, and reach zero at the end."""
    key, steps = script.resting()
    yield from steps
    yield GetStats()
    if script.declared.stats.volume:
        yield GetStats(volume=key)
        yield GetStats(volume=script.name())
    yield DeleteVolume(key=key)
    yield GetStats()
    yield ListPools()


def grow(script: Script) -> Iterator[Step]:
    """A larger size is seen everywhere, and the bytes stay."""
    if not script.resizes:
        return
    steps = tuple(script.written())
    yield from steps
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    if not script.resizes_granted:
        yield script.revoke(key)
    size = script.sizes[key] + script.unit * (1 + script.choices.below(3))
    if size > script.declared.volume.size_max_bytes:
        return
    yield ResizeVolume(key=key, size_bytes=size)
    script.sizes[key] = size
    yield GetVolume(key=key)
    if not script.resizes_granted:
        yield script.grant(key)
    yield script.read(key)
    yield script.write(key, at=(size // 4096 - 1, 1) if size // 4096 <= 64 else None)
    yield script.read(key)


def resize_nowhere(script: Script) -> Iterator[Step]:
    """Already that large: nothing happens, and in a store of one size nothing else can."""
    if script.declared.resize is None:
        return
    volume = script.create(size_bytes=script.size(3))
    yield volume
    yield ResizeVolume(key=volume.key, size_bytes=volume.size_bytes)
    if not script.resizes:
        if script.declared.resize.shrink:
            yield ResizeVolume(key=volume.key, size_bytes=volume.size_bytes, shrink=True)
        yield from (ResizeVolume(key=volume.key, size_bytes=volume.size_bytes) for _ in range(2))
        return
    yield ResizeVolume(key=volume.key, size_bytes=script.size(1))
    yield GetVolume(key=volume.key)
    yield ResizeVolume(key=script.name(), size_bytes=script.size(4))


def resize_granted(script: Script) -> Iterator[Step]:
    """A granted volume grows only where that is declared."""
    if not script.resizes:
        return
    volume = script.create(size_bytes=script.size(2))
    yield volume
    yield script.grant(volume.key)
    yield script.write(volume.key)
    yield ResizeVolume(key=volume.key, size_bytes=script.size(4))
    yield GetVolume(key=volume.key)
    yield ResizeVolume(key=volume.key, size_bytes=script.size(1))
    yield Open(volume=volume.key, host=script.host)


def shrink(script: Script) -> Iterator[Step]:
    """Shrinking keeps the front, and growing again shows zeroes."""
    if not script.shrinks:
        return
    volume = script.create(size_bytes=script.size(3))
    last = min(script.size(3) // 4096, 64) - 1
    yield volume
    yield script.grant(volume.key)
    yield script.write(volume.key, at=(last, 1))
    yield script.write(volume.key, at=(0, 1))
    yield script.revoke(volume.key)
    yield ResizeVolume(key=volume.key, size_bytes=script.size(1), shrink=True)
    yield GetVolume(key=volume.key)
    yield ResizeVolume(key=volume.key, size_bytes=script.size(3), shrink=True)  # which may grow
    yield script.grant(volume.key)
    yield script.read(volume.key)


def grown_after_others(script: Script) -> Iterator[Step]:
    """What a volume grows by shows nothing of those that are gone."""
    if not script.resizes:
        return
    old, volume = script.create(size_bytes=script.size(4)), script.create(size_bytes=script.size(1))
    blocks = max(1, min(old.size_bytes // BLOCK_BYTES, 16))
    yield from (old, script.grant(old.key), script.write(old.key, at=(0, blocks)))
    yield from (script.revoke(old.key), DeleteVolume(key=old.key), volume)
    yield ResizeVolume(key=volume.key, size_bytes=script.size(4))
    script.sizes[volume.key] = script.size(4)
    yield from (script.grant(volume.key), script.read(volume.key))


STORIES = (
    grown_after_others,
    create_and_look,
    odd_size,
    create_again,
    create_conflict,
    delete_unknown,
    delete_and_look,
    delete_granted,
    boundary_sizes,
    word_sizes,
    page_walk,
    reopened,
    neighbours,
    full_figures,
    grow,
    resize_nowhere,
    resize_granted,
    shrink,
)
