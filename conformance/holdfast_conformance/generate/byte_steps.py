"""What a random walk does with bytes: any range, any place, and handles that stay open."""

from collections.abc import Iterator

from holdfast.contract.requests import CreateVolume, Grant, SnapshotSource, VolumeSource
from holdfast_conformance.byte_steps import KeepHandle
from holdfast_conformance.generate.walk import VOLUMES_MAX, Rule, Walk
from holdfast_conformance.plan import Step
from holdfast_conformance.scenarios import ranges

_HANDLES = ("h1", "h2", "h3")


def _granted(walk: Walk) -> tuple[str, str] | None:
    """A volume and a host that has it, whose size the script knows from then on."""
    grants = tuple(walk.state.grants)
    if not grants:
        return None
    volume, host = walk.choices.pick(grants)
    walk.script.sizes[volume] = walk.state.volumes[volume].size_bytes
    return volume, host


def _with_grant(walk: Walk) -> Iterator[Step]:
    """Get a grant where there is none."""
    volume = walk.volume()
    if volume in walk.state.volumes and not walk.state.hosts_of(volume):
        yield Grant(volume=volume, host=walk.host(), mode=walk.script.mode)


def _write_range(walk: Walk) -> Iterator[Step]:
    yield from _with_grant(walk)
    if (granted := _granted(walk)) is not None:
        volume, host = granted
        yield walk.script.write_range(volume, host, zeroes=walk.choices.one_in(5))


def _write_long(walk: Walk) -> Iterator[Step]:
    granted = _granted(walk)
    if granted is not None and walk.choices.one_in(4):
        volume, host = granted
        place = ranges.long_range(walk.choices, walk.script.sizes[volume])
        yield walk.script.write_range(volume, host, place)


def _read_range(walk: Walk) -> Iterator[Step]:
    if (granted := _granted(walk)) is not None:
        yield walk.script.read_range(*granted)


def discard(walk: Walk) -> Iterator[Step]:
    """Discard some range of a granted volume, now and then all of it."""
    if (granted := _granted(walk)) is not None:
        volume, host = granted
        whole = (0, walk.script.sizes[volume]) if walk.choices.one_in(6) else None
        yield walk.script.discard_range(volume, host, whole)


def _keep_handle(walk: Walk) -> Iterator[Step]:
    yield from _with_grant(walk)
    if (granted := _granted(walk)) is not None:
        volume, host = granted
        yield KeepHandle(volume=volume, host=host, handle=walk.choices.pick(_HANDLES))


def _use_handle(walk: Walk) -> Iterator[Step]:
    """Through a handle that was kept, whatever became of its volume and its grant."""
    handles = tuple(walk.state.handles)
    if not handles:
        yield from _keep_handle(walk)
        return
    name = walk.choices.pick(handles)
    kept = walk.state.handles[name]
    volume = walk.state.volumes.get(kept.volume)
    # No further than both ends: what a handle gives behind a volume's end is nobody's promise.
    size_bytes = min(kept.size_bytes, volume.size_bytes if volume else kept.size_bytes)
    walk.script.sizes[kept.volume] = size_bytes
    yield walk.script.any_use(kept.volume, kept.host, handle=name)


def _create_far(walk: Walk) -> Iterator[Step]:
    if len(walk.state.volumes) < VOLUMES_MAX:
        volume = walk.script.create(size_bytes=walk.script.far_size())
        yield volume
        if volume.key in walk.state.volumes:
            yield Grant(volume=volume.key, host=walk.host(), mode=walk.script.mode)
            if (volume.key, walk.script.host) in walk.state.grants:
                yield walk.script.write_range(volume.key)


def _create_off_grid(walk: Walk) -> Iterator[Step]:
    if len(walk.state.volumes) < VOLUMES_MAX:
        yield walk.script.create(size_bytes=walk.script.odd_size())


def next_generation(walk: Walk) -> Iterator[Step]:
    """A snapshot, and a clone of it or of a clone, both written on while they share what they had.

    What is deleted afterwards, and in which order, is left to the other rules.
    """
    volume = walk.volume()
    model = walk.state.volumes.get(volume)
    if model is None or len(walk.state.volumes) >= VOLUMES_MAX:
        return
    key = walk.script.name()
    if walk.script.clones and (not walk.script.clones_volumes or walk.choices.below(2)):
        snapshot = walk.script.snapshot(volume)
        yield snapshot
        source: SnapshotSource | VolumeSource = SnapshotSource(snapshot.key)
    elif walk.script.clones_volumes:
        source = VolumeSource(volume)
    else:
        return
    yield CreateVolume(key=key, size_bytes=model.size_bytes, source=source)
    walk.script.sizes[key] = walk.script.sizes[volume] = model.size_bytes
    for each in walk.choices.shuffled((key, volume)):
        if each in walk.state.volumes and not walk.state.hosts_of(each):
            yield Grant(volume=each, host=walk.host(), mode=walk.script.mode)
        for host in walk.state.hosts_of(each)[:1]:
            anywhere = walk.choices.one_in(3)
            script = walk.script
            yield script.write_range(each, host) if anywhere else script.layer(each, host)


BYTE_RULES: tuple[Rule, ...] = (
    _write_range,
    _write_range,
    _write_long,
    _read_range,
    discard,
    _keep_handle,
    _use_handle,
    _use_handle,
    _create_far,
    _create_off_grid,
    next_generation,
)
