"""Random plans for primary stores: a walk through the model, one rule after another.

Each plan enables only some of the rules, so that plans differ in kind and not only in order.
"""

from collections.abc import Callable, Iterator

import msgspec

from holdfast.capabilities import AccessMode, PrimaryCapabilities
from holdfast.requests import (
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
    GetStats,
    GetVolume,
    Grant,
    ListPools,
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
from holdfast_conformance.model.features import declared_features, features_of
from holdfast_conformance.model.primary import PrimaryModel
from holdfast_conformance.model.primary_state import PrimaryState
from holdfast_conformance.plan import (
    InspectStore,
    Plan,
    Reopen,
    Step,
    WalkVolumes,
    WriteBlocks,
    preparation,
)
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.script import ALL_HOSTS, STRANGER, Script

VOLUMES_MAX = 6
"""More live volumes than this teach nothing and make every observation longer."""

Rule = Callable[["Walk"], Iterator[Step]]


class Walk:
    """One plan in the making: the model's state, and the steps that led there."""

    def __init__(self, declared: PrimaryCapabilities, choices: Choices, plan: Plan) -> None:
        self.script = Script(declared, choices)
        self.choices = choices
        self.declared = declared_features(declared)
        self._model = PrimaryModel(declared)
        self.state: PrimaryState = self._model.initial(plan)
        self.steps: list[Step] = []
        for step in preparation(plan):
            self._follow(step)

    def take(self, step: Step) -> None:
        """Append a step, unless it needs what is not declared."""
        if self.declared.issuperset(features_of(step)):
            self.steps.append(step)
            self._follow(step)

    def _follow(self, step: Step) -> None:
        self.state = self._model.expect(self.state, step).likely

    def volume(self) -> str:
        """A live volume most of the time, else one that was deleted or never was."""
        live = tuple(self.state.volumes)
        if live and not self.choices.one_in(12):
            return self.choices.pick(live)
        if not live and self.choices.below(4):
            self.take(self.script.create())
            return next(iter(self.state.volumes), "never-was")
        return self.choices.pick((*sorted(self.state.deleted), "never-was"))

    def snapshot(self) -> str:
        """A live snapshot, if there is one."""
        return self.choices.pick((*self.state.snapshots, "no-snapshot"))

    def host(self) -> str:
        """An attached host most of the time."""
        if self.choices.one_in(15):
            return self.choices.pick((*ALL_HOSTS, STRANGER))
        return self.choices.pick(sorted(self.state.store.hosts) or ALL_HOSTS[:1])

    def mode(self) -> AccessMode:
        """A declared mode."""
        return self.choices.pick(self.script.declared.access.modes)


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
    for _ in range(1 + choices.below(2)):
        walk.take(walk.script.create())
    while len(walk.steps) < steps and not choices.used_up:
        for step in choices.pick(rules)(walk):
            walk.take(step)
    return msgspec.structs.replace(plan, steps=tuple(walk.steps))


def _create(walk: Walk) -> Iterator[Step]:
    if len(walk.state.volumes) < VOLUMES_MAX:
        yield walk.script.create()


def _create_odd(walk: Walk) -> Iterator[Step]:
    if len(walk.state.volumes) < VOLUMES_MAX:
        size = walk.script.size(1) + 1 + walk.choices.below(5000)
        largest = walk.script.declared.volume.size_max_bytes
        yield CreateVolume(key=walk.script.name(), size_bytes=min(size, largest))


def _create_over(walk: Walk) -> Iterator[Step]:
    yield CreateVolume(key=walk.volume(), size_bytes=walk.script.small_size())


def _clone(walk: Walk) -> Iterator[Step]:
    key = walk.snapshot()
    source = walk.state.snapshots.get(key)
    if source is not None and len(walk.state.volumes) < VOLUMES_MAX:
        larger = walk.script.unit * walk.choices.below(3)
        size = source.size_bytes + larger
        yield CreateVolume(key=walk.script.name(), size_bytes=size, source=SnapshotSource(key))


def _clone_volume(walk: Walk) -> Iterator[Step]:
    key = walk.volume()
    source = walk.state.volumes.get(key)
    if source is not None and len(walk.state.volumes) < VOLUMES_MAX:
        yield CreateVolume(
            key=walk.script.name(), size_bytes=source.size_bytes, source=VolumeSource(key)
        )


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
        yield walk.script.write(volume, walk.choices.pick(hosts))


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
        yield CreateSnapshot(key=walk.script.name(), volume=walk.volume())


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
                yield walk.script.snapshot(step.volume)
            yield msgspec.structs.replace(step, generation=walk.script.generation())


def _repeat(walk: Walk) -> Iterator[Step]:
    """The last request once more, or an earlier one."""
    if walk.steps:
        back = 1 if walk.choices.below(2) else 1 + walk.choices.below(len(walk.steps))
        yield walk.steps[-back]


def _look(walk: Walk) -> Iterator[Step]:
    limit = 1 + walk.choices.below(4)
    looks: tuple[Step, ...] = (
        ListVolumes(limit=limit),
        WalkVolumes(limit=limit),
        ListSnapshots(limit=limit),
        EnumerateOwned(),
        InspectStore(),
        CheckHealth(),
    )
    yield walk.choices.pick(looks)


def _figures(walk: Walk) -> Iterator[Step]:
    yield GetStats() if walk.choices.below(2) else ListPools()


def _maintain(walk: Walk) -> Iterator[Step]:
    yield MaintainStore()
    yield walk.script.create()
    if walk.choices.below(3):
        yield CancelMaintenance()


def _cancel(walk: Walk) -> Iterator[Step]:
    if walk.state.store.maintenance:
        yield CancelMaintenance()


def _attach(walk: Walk) -> Iterator[Step]:
    host = walk.choices.pick(ALL_HOSTS)
    yield AttachHost(host=host) if walk.choices.below(2) else DetachHost(host=host)


def _reopen(_: Walk) -> Iterator[Step]:
    yield Reopen()


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
    _look,
    _figures,
    _maintain,
    _attach,
    _reopen,
)
