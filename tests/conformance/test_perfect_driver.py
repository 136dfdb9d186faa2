"""A driver that does exactly what the model says passes everything, whatever it declares."""

from collections.abc import Iterable, Iterator

import msgspec
import pytest

from holdfast.capabilities import (
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    DeleteInUse,
    Lifetime,
    PrimaryCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    StatsCapabilities,
    VolumeCapabilities,
)
from holdfast.errors import ErrorKind
from holdfast.handles import ExtentHandle
from holdfast.infos import (
    Gone,
    GrantInfo,
    HealthInfo,
    HealthState,
    OwnedKind,
    OwnedThing,
    PoolInfo,
    PoolList,
    SnapshotInfo,
    SnapshotPage,
    StatsInfo,
    StoreInfo,
    VolumeInfo,
    VolumePage,
)
from holdfast.requests import (
    CheckHealth,
    CreateSnapshot,
    DeleteSnapshot,
    DeleteStore,
    DeleteVolume,
    EnumerateOwned,
    GetSnapshot,
    GetStats,
    Grant,
    ListPools,
    ListSnapshots,
    ListVolumes,
    Open,
    Revoke,
    Role,
    verb_of,
)
from holdfast.testbed import Fault, Inspected
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.judgement.evidence import object_of
from holdfast_conformance.judgement.judge import judge
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.model.life_cycle import LIFE_CYCLE_STEPS
from holdfast_conformance.model.primary import PrimaryModel
from holdfast_conformance.model.primary_state import PrimaryState, SnapshotModel, VolumeModel
from holdfast_conformance.plan import (
    HealFault,
    InitializeBad,
    InjectFault,
    Plan,
    ReadBlocks,
    ReadStale,
    Reopen,
    Step,
    WalkVolumes,
    WriteBlocks,
    preparation,
)
from holdfast_conformance.profiles import Profile
from holdfast_conformance.trace import (
    BlockRead,
    BlocksRead,
    Ended,
    Enumerated,
    HandleAnswer,
    Loaded,
    Observed,
    Ok,
    Outcome,
    Raised,
    Refusals,
    Reply,
    Returned,
    Started,
    Stepped,
    TraceRecord,
    Walked,
)
from holdfast_conformance.verdict import Level, Status

PROFILE = Profile(name="test", rounds=2, ops=300, steps=25, purpose="a test")
SMALL = VolumeCapabilities(size_min_bytes=1, size_max_bytes=1 << 50, size_granularity_bytes=4096)
BARE = PrimaryCapabilities(volume=SMALL, access=AccessCapabilities())
RICH = PrimaryCapabilities(
    volume=SMALL,
    access=AccessCapabilities(modes=tuple(AccessMode)),
    stats=StatsCapabilities(volume=True),
    resize=ResizeCapabilities(shrink=True, online=True),
    snapshot=SnapshotCapabilities(revert=True),
    clone=CloneCapabilities(from_snapshot=True, from_volume=True, from_data=True),
)
STRICT = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=1 << 20,
        size_max_bytes=1 << 40,
        size_granularity_bytes=1 << 20,
        volumes_max=12,
        delete_in_use=DeleteInUse.CALLER_GUARDS,
    ),
    access=AccessCapabilities(modes=(AccessMode.SHARED, AccessMode.READ_ONLY), hosts_max=2),
    resize=ResizeCapabilities(),
    snapshot=SnapshotCapabilities(
        revert=True,
        revert_keeps_newer=False,
        lifetime=Lifetime.BLOCKS_DELETE,
        snapshots_per_volume_max=4,
    ),
    clone=CloneCapabilities(from_snapshot=True, lifetime=Lifetime.BLOCKS_DELETE),
)
ONE_HOST = PrimaryCapabilities(
    volume=VolumeCapabilities(size_min_bytes=1, size_max_bytes=8 << 40, size_granularity_bytes=1),
    access=AccessCapabilities(modes=(AccessMode.EXCLUSIVE, AccessMode.READ_ONLY), hosts_max=1),
    snapshot=SnapshotCapabilities(),
    clone=CloneCapabilities(from_volume=True),
)
SECTORS = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=512, size_max_bytes=(1 << 42) + 100, size_granularity_bytes=512
    ),
    access=AccessCapabilities(modes=(AccessMode.EXCLUSIVE, AccessMode.SHARED), hosts_max=3),
    resize=ResizeCapabilities(online=True),
    clone=CloneCapabilities(from_data=True),
)
SETS = {"bare": BARE, "rich": RICH, "strict": STRICT, "one host": ONE_HOST, "sectors": SECTORS}


class Perfect:
    """Answers as the model says, and shows what the model has."""

    def __init__(self, declared: PrimaryCapabilities) -> None:
        self.declared = declared
        self.model = PrimaryModel(declared)

    def trace(self, plan: Plan) -> Iterator[TraceRecord]:
        yield Started(
            provider="perfect",
            testbed="none",
            capabilities=self.declared,
            plan=plan,
            faults=tuple(Fault),
        )
        state = self.model.initial(plan)
        ready = preparation(plan)
        numbered = [(-1 - offset, step) for offset, step in enumerate(ready)]
        for index, step in (*numbered, *enumerate(plan.steps)):
            branch = self.model.expect(state, step).branches[0]
            before, state = state, branch.state
            yield Stepped(
                index=index,
                outcome=self.outcome(branch.kind, before, state, step),
                virtual_s=0.0,
                real_s=0.0,
                deadline_s=1.0,
            )
            yield Observed(
                index=index,
                things=tuple(self.inspected(state, plan.id)),
                outside_digest="outside",
                blocks=() if state.down else tuple(self.blocks(state)),
            )
        yield Ended(left=(), enumerated=(), failures=(), outside_digest="outside")

    def inspected(self, state: PrimaryState, run: str) -> Iterator[Inspected]:
        for thing in self.model.things(state, run):
            yield Inspected(
                kind=thing.kind,
                key=thing.key,
                size_bytes=thing.size_bytes or 0,
                digest=thing.digest or "",
                detail=thing.detail or "",
            )

    def blocks(self, state: PrimaryState) -> Iterator[tuple[str, str, BlocksRead]]:
        for volume, host in state.grants:
            found = state.volumes[volume]
            numbers = sorted(found.content.blocks)
            yield volume, host, BlocksRead(found.size_bytes, tuple(_blocks(found, numbers)))

    def outcome(
        self, kind: ErrorKind | None, before: PrimaryState, state: PrimaryState, step: Step
    ) -> Outcome:
        if kind is None:
            return Returned(self.reply(before, state, step))
        return Raised(
            kind=kind,
            verb=verb_of(step),
            object=object_of(step),
            cause="as the model says",
            final=kind not in (ErrorKind.UNKNOWN, ErrorKind.INTERNAL),
        )

    def reply(self, before: PrimaryState, state: PrimaryState, step: Step) -> Reply:
        match step:
            case DeleteVolume() | DeleteSnapshot() | Revoke() | DeleteStore():
                return Gone(key=object_of(step))
            case InitializeBad():
                return Refusals((("nowhere", "Invalid", (ErrorKind.INVALID,)),))
            case _ if isinstance(step, LIFE_CYCLE_STEPS):
                store = state.store
                hosts = tuple(sorted(store.hosts))
                return StoreInfo(
                    id=f"s{store.born}", name=store.name, state=store.state, hosts=hosts
                )
            case CreateSnapshot() | GetSnapshot():
                return _snapshot(step.key, state.snapshots[step.key])
            case Grant():
                born = state.grants[step.volume, step.host].born
                return GrantInfo(id=f"g{born}", volume=step.volume, host=step.host, mode=step.mode)
            case Open() | ReadBlocks() | ReadStale() | WriteBlocks():
                return _through_handle(state, step)
            case Reopen() | InjectFault() | HealFault():
                return Ok()
            case CheckHealth():
                down = HealthInfo(state=HealthState.DOWN, dependency="the backend")
                return down if before.down else HealthInfo(state=HealthState.UP)
            case _:
                return self.look(state, step)

    def look(self, state: PrimaryState, step: Step) -> Reply:
        volumes = [_volume(key, state.volumes[key]) for key in _ordered(state.volumes)]
        snapshots = [_snapshot(key, state.snapshots[key]) for key in _ordered(state.snapshots)]
        sizes = [found.size_bytes for found in state.volumes.values()]
        sizes += [found.size_bytes for found in state.snapshots.values()]
        match step:
            case ListVolumes(limit=limit):
                more = "more" if len(volumes) > limit else ""
                return VolumePage(items=tuple(volumes[:limit]), token=more)
            case ListSnapshots(limit=limit, volume=volume):
                of_volume = [found for found in snapshots if volume in ("", found.volume)]
                more = "more" if len(of_volume) > limit else ""
                return SnapshotPage(items=tuple(of_volume[:limit]), token=more)
            case WalkVolumes(limit=limit):
                keys = [found.key for found in volumes]
                starts = range(0, len(keys), limit)
                return Walked(tuple(tuple(keys[start : start + limit]) for start in starts))
            case EnumerateOwned():
                owned = [OwnedThing(kind=OwnedKind.VOLUME, id="", key=v.key) for v in volumes]
                kept = [OwnedThing(kind=OwnedKind.SNAPSHOT, id="", key=s.key) for s in snapshots]
                return Enumerated((*owned, *kept))
            case GetStats():
                return StatsInfo(
                    total_bytes=1 << 60,
                    used_bytes=0,
                    allocated_bytes=sum(sizes),
                    objects=len(sizes),
                )
            case ListPools():
                pool = PoolInfo(
                    name="p", total_bytes=1 << 60, used_bytes=0, allocated_bytes=sum(sizes)
                )
                return PoolList(items=(pool,))
            case _:
                key = object_of(step)
                return _volume(key, state.volumes[key])


def _ordered(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=str.encode)


def _volume(key: str, found: VolumeModel) -> VolumeInfo:
    return VolumeInfo(
        key=key, id=f"v{found.born}", size_bytes=found.size_bytes, source=found.origin.key
    )


def _snapshot(key: str, found: SnapshotModel) -> SnapshotInfo:
    return SnapshotInfo(
        key=key, id=f"s{found.born}", volume=found.volume, size_bytes=found.size_bytes
    )


def _blocks(found: VolumeModel, numbers: list[int]) -> Iterator[BlockRead]:
    for number in numbers:
        stamped = found.content.at(number)
        if stamped is None:
            yield BlockRead(number, "zero")
        else:
            yield BlockRead(number, "stamp", stamped[0], number, stamped[1])


def _through_handle(
    state: PrimaryState, step: Open | ReadBlocks | ReadStale | WriteBlocks
) -> Reply:
    found = state.volumes[step.volume]
    match step:
        case Open():
            read_only = state.grants[step.volume, step.host].mode is AccessMode.READ_ONLY
            handle = ExtentHandle(
                space="s", token="t", size_bytes=found.size_bytes, read_only=read_only
            )
            return HandleAnswer(handle)
        case WriteBlocks():
            return Ok()
        case _:
            numbers = list(range(step.first, step.first + step.count))
            return BlocksRead(found.size_bytes, tuple(_blocks(found, numbers)))


def loaded(declared: PrimaryCapabilities) -> Loaded:
    document = msgspec.json.encode(declared, order="sorted").decode()
    return Loaded(provider="perfect", role=Role.PRIMARY, defects=(), documents=(document,) * 4)


@pytest.mark.slow
@pytest.mark.parametrize("declared", SETS.values(), ids=SETS)
def test_passes_every_property_that_applies(declared: PrimaryCapabilities) -> None:
    """No set of capabilities leaves a property unexercised or accuses a perfect driver."""
    plans = generate_plans(Role.PRIMARY, declared, PROFILE, 11)
    perfect = Perfect(declared)

    verdict = judge(
        all_properties(), [(loaded(declared),), *(tuple(perfect.trace(plan)) for plan in plans)]
    )

    fine = {Status.PASS, Status.NOT_APPLICABLE}
    assert [
        (r.id, r.status, r.reason, r.findings) for r in verdict.results if r.status not in fine
    ] == []
    assert verdict.level is Level.L1
    assert verdict.ok
