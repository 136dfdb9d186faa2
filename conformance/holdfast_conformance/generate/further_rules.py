"""Further rules of random plans for primary stores: figures, copies, limits of I/O, retries."""

from collections.abc import Iterator
from typing import Final

import msgspec

from holdfast.contract.requests import (
    CancelMaintenance,
    CopyVolume,
    DeleteVolume,
    EnumerateOwned,
    GetStats,
    GetVolume,
    ListPools,
    ModifyVolume,
    Open,
    Qos,
    Revoke,
)
from holdfast_conformance.generate.walk import VOLUMES_MAX, Walk
from holdfast_conformance.plan import CreateFromData, FencedCall, GiveUp, LateCall, Step

_RETRIED: Final = 5
"""So many of the last refusals are looked at again."""
_COPIED_MAX_BYTES: Final = 16 << 20
"""A whole volume up to this is copied within one call's deadline, also by who copies its holes."""
_LATE_BACK: Final = 12
"""How many steps back the calls are that come late."""


def figure(walk: Walk) -> Step:
    """Some figures: of the store, of its pools, or of a volume that is there."""
    live = tuple(walk.state.volumes)
    if live and walk.script.declared.stats.volume and walk.choices.one_in(3):
        return GetStats(volume=walk.choices.pick(live))
    return GetStats() if walk.choices.below(2) else ListPools()


def figures(walk: Walk) -> Iterator[Step]:
    """Ask for some figures."""
    yield figure(walk)


def copy(walk: Walk) -> Iterator[Step]:
    """Copy a volume to a new key most of the time, else over another one."""
    if len(walk.state.volumes) < VOLUMES_MAX:
        target = walk.volume() if walk.choices.one_in(4) else walk.script.name()
        yield CopyVolume(key=walk.volume(), target=target)


def from_data(walk: Walk) -> Iterator[Step]:
    """Make a volume of what is behind a handle, or of a part; now and then of a useless one."""
    if not walk.state.grants or len(walk.state.volumes) >= VOLUMES_MAX:
        return
    volume, host = walk.choices.pick(sorted(walk.state.grants))
    size_bytes = walk.state.volumes[volume].size_bytes
    part = 0
    if walk.choices.below(2) or size_bytes > _COPIED_MAX_BYTES:
        part = 1 + walk.choices.below(min(size_bytes, 1 << 16))
    create = CreateFromData(
        key=walk.name(), size_bytes=size_bytes, volume=volume, host=host, length_bytes=part
    )
    if walk.choices.one_in(3):
        yield Open(volume=volume, host=host)
        yield Revoke(volume=volume, host=host)
        create = msgspec.structs.replace(create, stale=True)
    yield create


def enumerated(_: Walk) -> Iterator[Step]:
    """Ask for everything there is."""
    yield EnumerateOwned()


def limit(walk: Walk) -> Iterator[Step]:
    """Set limits of I/O, now and then some that are not allowed."""
    qos = walk.script.declared.qos
    if qos is not None:
        key, within = walk.volume(), min(1 << 10, qos.iops_max)
        low = max(1, qos.iops_min) + walk.choices.below(within)
        most = low + walk.choices.below(within)
        yield ModifyVolume(key=key, qos=Qos(iops_min=low, iops_max=most))
        yield GetVolume(key=key)


def late(walk: Walk) -> Iterator[Step]:
    """A call that was made before, or one of its kind on another object, comes late."""
    if not walk.script.declared.fences:
        return
    calls = [step for step in walk.steps[-_LATE_BACK:] if isinstance(step, FencedCall)]
    key = walk.volume()
    others: tuple[FencedCall, ...] = (DeleteVolume(key=key), walk.script.create(key))
    for _ in range(1 + walk.choices.below(2)):
        made = calls and not walk.choices.one_in(4)
        call = walk.choices.pick(calls if made else others)
        yield LateCall(
            call=call,
            former_owner=bool(walk.choices.below(2)),
            given_up=walk.choices.pick(("", "before", "long before")),
        )
    moments = tuple(step.name for step in walk.steps if isinstance(step, GiveUp))
    if "long before" not in moments or walk.choices.one_in(2):
        yield GiveUp(name="before" if "long before" in moments else "long before")


def retry(walk: Walk) -> Iterator[Step]:
    """Take away what an earlier call was refused for, where that is easy, and make it again."""
    if not walk.refused:
        return
    step = walk.choices.pick(walk.refused[-_RETRIED:])
    if walk.state.store.maintenance:
        yield CancelMaintenance()
    key = getattr(step, "volume", "") or getattr(step, "key", "")
    if not walk.succeeds(step):
        for host in walk.state.hosts_of(key):
            yield Revoke(volume=key, host=host)
    if walk.succeeds(step):
        yield step
