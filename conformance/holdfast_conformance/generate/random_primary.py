"""Random plans for primary stores: a walk through the model, one rule after another.

Each plan enables only some of the rules, so that plans differ in kind and not only in order.
"""

from collections.abc import Iterator

import msgspec

from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.requests import (
    AttachHost,
    CancelMaintenance,
    CheckHealth,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    DetachHost,
    EnumerateOwned,
    GetSnapshot,
    GetVolume,
    Grant,
    ListSnapshots,
    ListVolumes,
    MaintainStore,
    Open,
    ResizeVolume,
    RevertVolume,
    Revoke,
    Role,
    SnapshotSource,
    VolumeSource,
)
from holdfast_conformance.generate.byte_steps import BYTE_RULES, discard, next_generation
from holdfast_conformance.generate.further_rules import (
    copy,
    enumerated,
    figure,
    figures,
    from_data,
    late,
    limit,
    retry,
)
from holdfast_conformance.generate.random_together import together
from holdfast_conformance.generate.walk import VOLUMES_MAX, Rule, Walk
from holdfast_conformance.list_steps import NextPage, PagedList, TakePage, WalkSnapshots
from holdfast_conformance.plan import (
    InspectStore,
    Plan,
    ProbeCall,
    ProbedCall,
    Reopen,
    Step,
    UseDriver,
    WalkVolumes,
    WriteBlocks,
)
from holdfast_conformance.plan_limits import DRIVERS_MAX
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.script import ALL_HOSTS, Script

_PAGE = "page"
_PROBED_BACK = 12
"""How many steps back the calls are that probes ask about."""

_COUNTING = 4
"""One plan in so many asks for figures after every step."""


def random_primary(
    declared: PrimaryCapabilities, choices: Choices, identifier: str, steps: int
) -> Plan:
    """A plan of about this many steps."""
    hosts = Script(declared, choices).hosts
    plan = Plan(
        id=identifier,
        role=Role.PRIMARY,
        origin="random",
        store=f"store-{identifier}",
        hosts=hosts,
        ready=True,
        steps=(),
    )
    walk = Walk(declared, choices, plan)
    rules = (*_ALWAYS, *(rule for rule in _SOMETIMES if choices.below(2)))
    if choices.one_in(_SHARING_PLANS):
        rules = _SHARING
    for _ in range(1 + choices.below(2)):
        walk.take(walk.create())
    counting = choices.one_in(_COUNTING)
    while len(walk.steps) < steps and not choices.used_up:
        for step in choices.pick(rules)(walk):
            walk.take(step)
            if counting:
                walk.take(figure(walk))
    return msgspec.structs.replace(plan, steps=tuple(walk.steps))


def _create(walk: Walk) -> Iterator[Step]:
    if len(walk.state.volumes) < VOLUMES_MAX:
        yield walk.create()


def _create_odd(walk: Walk) -> Iterator[Step]:
    if len(walk.state.volumes) < VOLUMES_MAX:
        size = walk.script.size(1) + 1 + walk.choices.below(5000)
        largest = walk.script.declared.volume.size_max_bytes
        yield CreateVolume(key=walk.name(), size_bytes=min(size, largest))


def _create_over(walk: Walk) -> Iterator[Step]:
    yield CreateVolume(key=walk.volume(), size_bytes=walk.script.small_size())


def _clone(walk: Walk) -> Iterator[Step]:
    key = walk.snapshot()
    source = walk.state.snapshots.get(key)
    if source is not None and len(walk.state.volumes) < VOLUMES_MAX:
        larger = walk.script.unit * walk.choices.below(3)
        size = source.size_bytes + larger
        yield CreateVolume(key=walk.name(), size_bytes=size, source=SnapshotSource(key))


def _clone_volume(walk: Walk) -> Iterator[Step]:
    key = walk.volume()
    source = walk.state.volumes.get(key)
    if source is not None and len(walk.state.volumes) < VOLUMES_MAX:
        yield CreateVolume(key=walk.name(), size_bytes=source.size_bytes, source=VolumeSource(key))


def _get(walk: Walk) -> Iterator[Step]:
    yield GetVolume(key=walk.volume())


def _delete(walk: Walk) -> Iterator[Step]:
    yield DeleteVolume(key=walk.volume())


def _resize(walk: Walk) -> Iterator[Step]:
    yield ResizeVolume(
        key=walk.volume(),
        size_bytes=walk.script.size(1 + walk.choices.below(6)),
        shrink=walk.choices.one_in(4),
    )


def _grant(walk: Walk) -> Iterator[Step]:
    yield Grant(volume=walk.volume(), host=walk.host(), mode=walk.mode())


def _revoke(walk: Walk) -> Iterator[Step]:
    grants = tuple(walk.state.grants)
    if grants and not walk.choices.one_in(8):
        volume, host = walk.choices.pick(grants)
        yield Revoke(volume=volume, host=host)
    else:
        yield Revoke(volume=walk.volume(), host=walk.host())


def _open(walk: Walk) -> Iterator[Step]:
    yield Open(volume=walk.volume(), host=walk.host())


def _write(walk: Walk) -> Iterator[Step]:
    """Write through a grant, getting one first where there is none."""
    volume = walk.volume()
    model = walk.state.volumes.get(volume)
    if model is None or model.size_bytes < walk.script.size(1):
        return
    hosts = walk.state.hosts_of(volume)
    if not hosts:
        host = walk.host()
        yield Grant(volume=volume, host=host, mode=walk.script.mode)
        hosts = walk.state.hosts_of(volume)
    if hosts:
        walk.script.sizes[volume] = model.size_bytes
        host = walk.choices.pick(hosts)
        in_layers = walk.choices.below(2)
        yield walk.script.layer(volume, host) if in_layers else walk.script.write(volume, host)


def _read(walk: Walk) -> Iterator[Step]:
    grants = tuple(walk.state.grants)
    if grants:
        volume, host = walk.choices.pick(grants)
        model = walk.state.volumes.get(volume)
        if model is not None and model.size_bytes >= walk.script.size(1):
            walk.script.sizes[volume] = model.size_bytes
            yield walk.script.read(volume, host)


def _snapshot(walk: Walk) -> Iterator[Step]:
    if len(walk.state.snapshots) < VOLUMES_MAX:
        yield CreateSnapshot(key=walk.name(), volume=walk.volume())


def _snapshot_over(walk: Walk) -> Iterator[Step]:
    yield CreateSnapshot(key=walk.snapshot(), volume=walk.volume())


def _get_snapshot(walk: Walk) -> Iterator[Step]:
    yield GetSnapshot(key=walk.snapshot())


def _delete_snapshot(walk: Walk) -> Iterator[Step]:
    yield DeleteSnapshot(key=walk.snapshot())


def _revert(walk: Walk) -> Iterator[Step]:
    """Revert to a snapshot, most of the time with the grants taken back first."""
    key = walk.snapshot()
    snapshot = walk.state.snapshots.get(key)
    if snapshot is None:
        return
    volume = walk.volume() if walk.choices.one_in(10) else snapshot.volume
    if not walk.choices.one_in(8):
        for host in walk.state.hosts_of(volume):
            yield Revoke(volume=volume, host=host)
    yield RevertVolume(key=volume, snapshot=key)


def _write_between(walk: Walk) -> Iterator[Step]:
    """Write, snapshot, overwrite the same blocks."""
    for step in _write(walk):
        yield step
        if isinstance(step, WriteBlocks):
            if len(walk.state.snapshots) < VOLUMES_MAX:
                yield walk.script.snapshot(step.volume, walk.name())
            yield msgspec.structs.replace(step, generation=walk.script.generation())


def _repeat(walk: Walk) -> Iterator[Step]:
    """The last request once more, or an earlier one."""
    if walk.steps:
        back = 1 if walk.choices.below(2) else 1 + walk.choices.below(len(walk.steps))
        yield walk.steps[-back]


def _probe(walk: Walk) -> Iterator[Step]:
    """What became of a call that was made before, a late one rather, or of one that never was."""
    calls = [step for step in walk.steps[-_PROBED_BACK:] if isinstance(step, ProbedCall)]
    key = walk.volume()
    never: tuple[ProbedCall, ...] = (
        DeleteVolume(key=key),
        walk.script.create(key),
        CreateSnapshot(key=walk.snapshot(), volume=key),
        Revoke(volume=key, host=walk.host()),
    )
    for _ in range(1 + walk.choices.below(2)):
        made = calls and not walk.choices.one_in(4)
        yield ProbeCall(call=walk.choices.pick(calls if made else never))


def _look(walk: Walk) -> Iterator[Step]:
    limit = 1 + walk.choices.below(4)
    looks: tuple[Step, ...] = (
        ListVolumes(limit=limit),
        WalkVolumes(limit=limit),
        ListSnapshots(limit=limit),
        WalkSnapshots(volume=walk.volume(), limit=limit),
        EnumerateOwned(),
        InspectStore(),
        CheckHealth(),
    )
    yield walk.choices.pick(looks)


def _page(walk: Walk) -> Iterator[Step]:
    """A page to go on from later, or the one after it, of its list or of another."""
    limit = 1 + walk.choices.below(3)
    lists: tuple[PagedList, ...] = (ListVolumes(limit=limit), ListSnapshots(limit=limit))
    if walk.choices.one_in(3):
        yield TakePage(page=_PAGE, of=walk.choices.pick(lists))
    page = walk.state.pages.get(_PAGE)
    if page is not None:
        same = not walk.choices.one_in(4)
        yield NextPage(page=_PAGE, of=page.of if same else walk.choices.pick(lists))


def _maintain(walk: Walk) -> Iterator[Step]:
    yield MaintainStore()
    yield walk.create()
    if walk.choices.below(3):
        yield CancelMaintenance()


def _cancel(walk: Walk) -> Iterator[Step]:
    if walk.state.store.maintenance:
        yield CancelMaintenance()


def _attach(walk: Walk) -> Iterator[Step]:
    host = walk.odd_name() if walk.choices.one_in(3) else walk.choices.pick(ALL_HOSTS)
    yield AttachHost(host=host) if walk.choices.below(2) else DetachHost(host=host)


def _together(walk: Walk) -> Iterator[Step]:
    def draw() -> Step | None:
        return next(walk.choices.pick(_AT_ONCE)(walk), None)

    yield from together(walk.choices, walk.declared, draw)


def _other_driver(walk: Walk) -> Iterator[Step]:
    """Go on through another driver; both stay open."""
    yield UseDriver(number=walk.choices.below(DRIVERS_MAX))


def _reopen(_: Walk) -> Iterator[Step]:
    yield Reopen()


_SHARING_PLANS = 3
"""One plan in so many is about what volumes, snapshots and clones share, and little else."""
_SHARING: tuple[Rule, ...] = (
    *(_create, _read, _reopen, _other_driver, _resize, from_data, _grant),
    *(_write, _write_between, discard) * 2,
    *(_snapshot, _clone, _clone_volume, _revert) * 2,
    *(_delete, _delete_snapshot) * 2,
    *(next_generation,) * 4,
)
_AT_ONCE: tuple[Rule, ...] = (
    _create,
    _create_over,
    _clone,
    _clone_volume,
    _get,
    _delete,
    _resize,
    _grant,
    _grant,
    _revoke,
    _open,
    _snapshot,
    _snapshot_over,
    _get_snapshot,
    _delete_snapshot,
    enumerated,
)
_ALWAYS: tuple[Rule, ...] = (
    _create,
    _create,
    _write,
    _write,
    _read,
    _get,
    _delete,
    _grant,
    _revoke,
    _snapshot,
    _cancel,
)
_SOMETIMES: tuple[Rule, ...] = (
    _create_odd,
    _create_over,
    _clone,
    _clone,
    _clone_volume,
    _resize,
    _resize,
    _open,
    _snapshot_over,
    _get_snapshot,
    _delete_snapshot,
    _revert,
    _revert,
    _write_between,
    _repeat,
    _probe,
    late,
    retry,
    _page,
    _look,
    figures,
    copy,
    from_data,
    limit,
    _maintain,
    _attach,
    _reopen,
    *BYTE_RULES,
    _together,
    _together,
    _together,
    _other_driver,
    _other_driver,
)
