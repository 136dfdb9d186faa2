"""Stories of calls on a primary store that are made at once."""

from collections.abc import Iterator
from typing import Final

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import (
    AttachHost,
    CancelMaintenance,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    DetachHost,
    EnumerateOwned,
    GetSnapshot,
    GetVolume,
    ListVolumes,
    MaintainStore,
    Open,
    ResizeVolume,
    SnapshotSource,
    VolumeSource,
)
from holdfast.data import BLOCK_BYTES
from holdfast_conformance.byte_steps import KeepHandle
from holdfast_conformance.plan import Step, Together, WalkVolumes, WriteBlocks
from holdfast_conformance.plan_limits import STAGGER_MAX, TOGETHER_BLOCKS_MAX
from holdfast_conformance.scenarios.calls_in_order import Order, in_order
from holdfast_conformance.scenarios.script import Script


def equal_at_once(script: Script, order: Order) -> Iterator[Step]:
    """Equal requests at once are one request."""
    choices, volume = script.choices, script.create()
    key, grant = volume.key, script.grant(volume.key)
    yield order.at_once(*[volume] * (2 + choices.below(2)))
    yield GetVolume(key=key)
    yield order.at_once(grant, grant)
    yield script.write(key)
    if script.snapshots:
        snapshot = script.snapshot(key)
        yield order.at_once(snapshot, snapshot)
        yield GetSnapshot(key=snapshot.key)
        if script.clones:
            source = SnapshotSource(snapshot.key)
            copy = CreateVolume(key=script.name(), size_bytes=volume.size_bytes, source=source)
            yield order.at_once(copy, copy)
        gone = DeleteSnapshot(key=snapshot.key)
        yield order.at_once(gone, gone)
    yield order.at_once(script.revoke(key), script.revoke(key))
    yield order.at_once(DeleteVolume(key=key), DeleteVolume(key=key))
    yield GetVolume(key=key)


def rivals_for_a_key(script: Script, order: Order) -> Iterator[Step]:
    """Requests at once that exclude each other: one comes first, whichever it is."""
    volume = script.create(size_bytes=script.size(1))
    key = volume.key
    yield order.at_once(volume, CreateVolume(key=key, size_bytes=script.size(2)))
    yield GetVolume(key=key)
    yield order.at_once(DeleteVolume(key=key), volume)
    yield GetVolume(key=key)
    other = script.create(size_bytes=script.size(1))
    yield order.at_once(MaintainStore(), other)
    yield CancelMaintenance()
    yield other
    if script.resizes:
        # Whoever comes last must not make it smaller: both orders are worth a look.
        for sizes in ((3, 2), (4, 5)):
            rivals = (ResizeVolume(key=other.key, size_bytes=script.size(n)) for n in sizes)
            yield order.at_once(*rivals)
        yield GetVolume(key=other.key)
    if script.clones_volumes:
        source = VolumeSource(other.key)
        clone = CreateVolume(key=script.name(), size_bytes=script.size(5), source=source)
        yield order.at_once(clone, DeleteVolume(key=other.key))
        yield GetVolume(key=clone.key)


def rivals_for_access(script: Script, order: Order) -> Iterator[Step]:
    """Grants at once with what they exclude, and with what ends them."""
    choices, volume = script.choices, script.create()
    first, last = script.host, script.hosts[-1]
    yield volume
    if script.several_hosts and script.has(AccessMode.EXCLUSIVE):
        other = choices.pick(script.declared.access.modes)
        mine = script.grant(volume.key, first, AccessMode.EXCLUSIVE)
        yield order.at_once(mine, script.grant(volume.key, last, other))
        yield Open(volume=volume.key, host=first)
        yield script.revoke(volume.key, first)
        yield script.revoke(volume.key, last)
    mode = script.mode
    grant = script.grant(volume.key, first, mode)
    yield grant
    yield order.at_once(script.revoke(volume.key, first), grant)
    yield Open(volume=volume.key, host=first)
    yield script.revoke(volume.key, first)
    if script.several_hosts:
        yield from (DetachHost(host=host) for host in script.hosts)
        yield order.at_once(*(AttachHost(host=host) for host in script.hosts))
    leaving = script.grant(volume.key, last, mode)
    yield order.at_once(DetachHost(host=last), leaving)
    yield AttachHost(host=last)
    yield script.revoke(volume.key, last)
    yield order.at_once(grant, DeleteVolume(key=volume.key))
    yield GetVolume(key=volume.key)
    another = script.create()
    yield another
    yield Together(
        steps=(DeleteVolume(key=another.key), script.grant(another.key, first, mode)), stagger=1
    )


def strangers_at_once(script: Script, order: Order) -> Iterator[Step]:
    """What happens to one volume at once with another is nothing to the other."""
    old, new, next_one, third = (script.create() for _ in range(4))
    yield old
    yield order.at_once(new, DeleteVolume(key=old.key))
    yield WalkVolumes(limit=2)
    yield order.at_once(next_one, third, DeleteVolume(key=script.name()))
    yield order.at_once(script.grant(new.key), script.grant(next_one.key))
    yield script.write(new.key)
    if script.snapshots:
        yield order.at_once(script.snapshot(new.key), script.snapshot(next_one.key))
    yield order.at_once(script.revoke(new.key), DeleteVolume(key=third.key))
    yield WalkVolumes(limit=2)


def written_at_once(script: Script, order: Order) -> Iterator[Step]:
    """What is taken of a volume while it is written."""
    if not (script.snapshots or script.clones_volumes):
        return
    volume = script.create(size_bytes=script.size(4))
    key, size = volume.key, volume.size_bytes
    yield volume
    yield script.grant(key)
    yield script.write(key, at=(0, min(size // BLOCK_BYTES, 2 * TOGETHER_BLOCKS_MAX)))
    if script.snapshots:
        snapshot = script.snapshot(key)
        yield order.at_once(_few(script, key), snapshot)
        yield script.read(key)
        yield order.at_once(_one(script, key), script.snapshot(key), _one(script, key))
        blocks = max(2, size // BLOCK_BYTES)
        low, high = (script.write(key, at=(place, 1)) for place in (0, blocks - 1))
        yield KeepHandle(volume=key, host=script.host, handle="open")
        # No driver is called between the snapshot and the write: it has to be taken by then.
        written = script.write_range(key, at=(0, 512), handle="open")
        yield Together(steps=(script.snapshot(key), written), stagger=STAGGER_MAX)
        # The second is written when the first is durable: none is in it without the first.
        yield Together(steps=(script.snapshot(key), low, high), stagger=STAGGER_MAX)
    if script.clones_volumes:
        clone = CreateVolume(key=script.name(), size_bytes=size, source=VolumeSource(key))
        yield order.at_once(_few(script, key), clone)
        yield from _open_while_cloned(script, key)
    if script.clones:
        yield from _twins_at_once(script, order, key)
    yield script.read(key)


def _open_while_cloned(script: Script, key: str) -> Iterator[Step]:
    """What is written through an open handle after the clone was made is not in the clone."""
    size = script.sizes[key]
    clone = CreateVolume(key=script.name(), size_bytes=size, source=VolumeSource(key))
    script.sizes[clone.key] = size
    yield KeepHandle(volume=key, host=script.host, handle="of the source")
    written = script.write_range(key, at=(0, 512), handle="of the source")
    yield Together(steps=(clone, written), stagger=STAGGER_MAX)
    yield script.grant(clone.key)


def made_of_many_at_once(script: Script, order: Order) -> Iterator[Step]:
    """Volumes that are made at once of different sources each have their own."""
    if not (script.writes and (script.clones or script.clones_volumes)):
        return
    size, sources = script.size(2), list[SnapshotSource | VolumeSource]()
    for _ in range(2):
        volume = script.create(size_bytes=size)
        yield from (volume, script.grant(volume.key), script.write(volume.key, at=(0, 1)))
        snapshot = script.snapshot(volume.key)
        if script.clones:
            yield snapshot
        sources.append(SnapshotSource(snapshot.key) if script.clones else VolumeSource(volume.key))
    made = [CreateVolume(key=script.name(), size_bytes=size, source=one) for one in sources]
    yield order.at_once(*made)
    yield from (script.grant(one.key) for one in made)


def torn_by_writes(script: Script, order: Order) -> Iterator[Step]:
    """A snapshot of many blocks is of one moment, whatever is written while it is taken."""
    size = _MANY_BLOCKS * BLOCK_BYTES
    fits = size <= script.size_max_bytes and size % script.granularity == 0
    if not (script.snapshots and script.writes and fits):
        return
    volume = script.create(size_bytes=max(size, script.size(1)))
    yield from (volume, script.grant(volume.key))
    yield script.write(volume.key, at=(0, _MANY_BLOCKS))
    low, high = (script.write(volume.key, at=(place, 1)) for place in (0, _MANY_BLOCKS - 1))
    yield order.at_once(script.snapshot(volume.key), low, high)
    for stagger in (1, 2):
        low, high = (script.write(volume.key, at=(place, 1)) for place in (0, _MANY_BLOCKS - 1))
        yield Together(steps=(script.snapshot(volume.key), low, high), stagger=stagger)


def _twins_at_once(script: Script, order: Order, key: str) -> Iterator[Step]:
    """Two volumes of one snapshot, made at once, are two."""
    snapshot, size = script.snapshot(key), script.sizes[key]
    yield snapshot
    source = SnapshotSource(snapshot.key)
    twins = [CreateVolume(key=script.name(), size_bytes=size, source=source) for _ in range(2)]
    yield order.at_once(*twins)
    script.sizes[twins[0].key] = size
    yield script.grant(twins[0].key)
    yield script.write(twins[0].key, at=(0, 1))


def parts_of_a_block_at_once(script: Script, order: Order) -> Iterator[Step]:
    """Two writes into one block, beside each other, are both there."""
    volume = script.create()
    yield volume
    yield script.grant(volume.key)
    yield script.write(volume.key, at=(0, 1))
    for sector in range(2):
        places = [(512 * (4 * sector + place), 512) for place in (0, 1 + script.choices.below(3))]
        yield order.at_once(*(script.write_range(volume.key, at=place) for place in places))
    yield script.read(volume.key)


def shown_at_once(script: Script, order: Order) -> Iterator[Step]:
    """Whoever walks through a store while it changes sees everything that lasts."""
    first, second, *others = (script.create() for _ in range(4))
    yield from (first, second, *others)
    if script.snapshots:
        yield from (script.snapshot(first.key, "s-1"), script.snapshot(others[0].key, "s-2"))
        yield order.at_once(EnumerateOwned(), DeleteSnapshot(key="s-1"))
    yield Together(
        steps=(EnumerateOwned(), DeleteVolume(key=first.key)), stagger=2 + script.choices.below(3)
    )
    yield order.at_once(ListVolumes(limit=10), DeleteVolume(key=second.key))
    yield order.at_once(EnumerateOwned(), script.create())
    grant = script.grant(others[0].key)
    yield from (grant, order.at_once(EnumerateOwned(), script.revoke(others[0].key)))


def _few(script: Script, key: str) -> WriteBlocks:
    """A write of the first few blocks, as many as may be written at once."""
    blocks = max(1, min(script.sizes[key] // BLOCK_BYTES, TOGETHER_BLOCKS_MAX))
    return script.write(key, at=(0, 1 + script.choices.below(blocks)))


def _one(script: Script, key: str) -> WriteBlocks:
    blocks = max(1, min(script.sizes[key] // BLOCK_BYTES, TOGETHER_BLOCKS_MAX))
    return script.write(key, at=(script.choices.below(blocks), 1))


_MANY_BLOCKS: Final = 150
"""More than what is likely to be read or copied at once."""

_STORIES = (
    equal_at_once,
    rivals_for_a_key,
    rivals_for_access,
    strangers_at_once,
    written_at_once,
    parts_of_a_block_at_once,
    shown_at_once,
    made_of_many_at_once,
    torn_by_writes,
)
ONCE = in_order(*_STORIES, mirrored=False)
AGAIN = in_order(*_STORIES, mirrored=True)
