"""Stories about volumes: create, conflict, delete, sizes, lists, names."""

from collections.abc import Iterator

from holdfast.requests import (
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
from holdfast_conformance.model.primary import NEVER_ISSUED
from holdfast_conformance.plan import Reopen, Step, WalkVolumes
from holdfast_conformance.scenarios.script import Script


def create_and_look(script: Script) -> Iterator[Step]:
    """A volume is what was asked for, wherever one looks."""
    made = script.create()
    yield made
    yield GetVolume(key=made.key)
    yield ListVolumes()
    yield script.grant(made.key)
    yield script.read(made.key)
    yield script.write(made.key)
    yield script.read(made.key)
    yield EnumerateOwned()


def odd_size(script: Script) -> Iterator[Step]:
    """A size that is no multiple of the granularity is rounded up."""
    size = script.small_size() + 1 + script.choices.below(max(1, script.granularity - 1))
    made = script.create(size_bytes=min(size, script.declared.volume.size_max_bytes))
    yield made
    yield GetVolume(key=made.key)
    yield made
    yield ListVolumes()
    if script.resizes:
        larger = ResizeVolume(key=made.key, size_bytes=made.size_bytes + script.granularity)
        yield larger
        yield GetVolume(key=made.key)
        yield larger


def create_again(script: Script) -> Iterator[Step]:
    """The same request again is answered with the same volume."""
    made = script.create()
    yield made
    yield made
    yield script.grant(made.key)
    yield script.write(made.key)
    yield made
    yield script.read(made.key)
    yield WalkVolumes(limit=2)


def create_conflict(script: Script) -> Iterator[Step]:
    """A key that is taken stays with its volume, untouched."""
    made = script.create(size_bytes=script.size(2 + script.choices.below(3)))
    yield made
    yield script.grant(made.key)
    yield script.write(made.key)
    if script.snapshots:
        yield script.snapshot(made.key)
    for size in script.choices.shuffled((script.size(1), script.size(6))):
        yield CreateVolume(key=made.key, size_bytes=size)
    yield GetVolume(key=made.key)
    yield script.read(made.key)


def delete_unknown(script: Script) -> Iterator[Step]:
    """What is not there can be deleted, as often as one likes."""
    kept = script.create()
    yield kept
    yield DeleteVolume(key=script.name())
    yield DeleteVolume(key=kept.key[:-1])
    yield DeleteVolume(key=f"{kept.key}0")
    yield GetVolume(key=kept.key)
    yield DeleteVolume(key=kept.key)
    yield DeleteVolume(key=kept.key)


def delete_and_look(script: Script) -> Iterator[Step]:
    """A deleted volume is nowhere, and its successor of the same name is new."""
    yield script.create()
    steps = tuple(script.rest())
    yield from steps
    gone = next(step.key for step in steps if isinstance(step, CreateVolume))
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
        made = script.create(size_bytes=size)
        yield made
        yield GetVolume(key=made.key)
        yield DeleteVolume(key=made.key)


def page_walk(script: Script) -> Iterator[Step]:
    """Pages of every size show every volume once, in order."""
    keys = script.choices.shuffled(("b", "a", "a0", "B", "a-1", "c", "Z9"))
    limit = script.declared.volume.volumes_max or len(keys)
    made = [script.create(key) for key in keys[: min(limit, 5)]]
    yield from made
    yield WalkVolumes(limit=1 + script.choices.below(3))
    yield ListVolumes(limit=2)
    yield ListVolumes(token=NEVER_ISSUED)
    yield DeleteVolume(key=made[:2][-1].key)
    yield WalkVolumes(limit=2)
    yield WalkVolumes(limit=1000)


def reopened(script: Script) -> Iterator[Step]:
    """Nothing depends on the driver instance."""
    made = script.create()
    yield made
    yield script.grant(made.key)
    yield script.write(made.key)
    yield Reopen()
    yield GetVolume(key=made.key)
    yield script.read(made.key)
    yield made
    yield script.write(made.key)
    yield script.revoke(made.key)
    yield Reopen()
    yield Open(volume=made.key, host=script.host)
    yield DeleteVolume(key=made.key)
    yield Reopen()
    yield GetVolume(key=made.key)


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


def figures(script: Script) -> Iterator[Step]:
    """What is created and deleted again leaves no trace in the counters."""
    first, second = script.create(), script.create()
    yield GetStats()
    yield ListPools()
    yield first
    yield GetStats()
    yield ListPools()
    yield second
    yield GetStats()
    if script.resizes:
        yield ResizeVolume(key=second.key, size_bytes=second.size_bytes + script.unit)
        yield GetStats()
    yield DeleteVolume(key=second.key)
    yield GetStats()
    yield ListPools()
    yield DeleteVolume(key=first.key)
    yield GetStats()
    yield ListPools()


def full_figures(script: Script) -> Iterator[Step]:
    """The counters stay sane with data, snapshots and clones, and reach zero at the end."""
    steps = tuple(script.rest())
    yield from steps
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    yield GetStats()
    if script.declared.stats.volume:
        yield GetStats(volume=key)
        yield GetStats(volume=script.name())
    yield DeleteVolume(key=key)
    yield GetStats()
    yield ListPools()


def too_many_volumes(script: Script) -> Iterator[Step]:
    """One volume more than declared is refused."""
    limit = script.declared.volume.volumes_max
    if limit is None or limit > 32:
        return
    made = [script.create(size_bytes=script.size(1)) for _ in range(limit + 1)]
    yield from made
    yield DeleteVolume(key=made[0].key)
    yield made[-1]


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
    """Already that large: nothing happens."""
    if not script.resizes:
        return
    made = script.create(size_bytes=script.size(3))
    yield made
    yield ResizeVolume(key=made.key, size_bytes=script.size(3))
    yield ResizeVolume(key=made.key, size_bytes=script.size(1))
    yield GetVolume(key=made.key)
    yield ResizeVolume(key=script.name(), size_bytes=script.size(4))


def resize_granted(script: Script) -> Iterator[Step]:
    """A granted volume grows only where that is declared."""
    if not script.resizes:
        return
    made = script.create(size_bytes=script.size(2))
    yield made
    yield script.grant(made.key)
    yield script.write(made.key)
    yield ResizeVolume(key=made.key, size_bytes=script.size(4))
    yield GetVolume(key=made.key)
    yield ResizeVolume(key=made.key, size_bytes=script.size(1))
    yield Open(volume=made.key, host=script.host)


def shrink(script: Script) -> Iterator[Step]:
    """Shrinking keeps the front, and growing again shows zeroes."""
    if not script.shrinks:
        return
    made = script.create(size_bytes=script.size(3))
    last = min(script.size(3) // 4096, 64) - 1
    yield made
    yield script.grant(made.key)
    yield script.write(made.key, at=(last, 1))
    yield script.write(made.key, at=(0, 1))
    yield script.revoke(made.key)
    yield ResizeVolume(key=made.key, size_bytes=script.size(1), shrink=True)
    yield GetVolume(key=made.key)
    yield ResizeVolume(key=made.key, size_bytes=script.size(3))
    yield script.grant(made.key)
    yield script.read(made.key)


STORIES = (
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
    figures,
    full_figures,
    too_many_volumes,
    grow,
    resize_nowhere,
    resize_granted,
    shrink,
)
