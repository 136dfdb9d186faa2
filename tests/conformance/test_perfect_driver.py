"""A driver that does exactly what the model says passes everything, whatever it declares."""

from collections.abc import Iterator

import msgspec
import pytest

from holdfast.contract.answers import (
    Absent,
    Answer,
    Done,
    Gone,
    GrantInfo,
    HealthInfo,
    HealthState,
    PoolInfo,
    PoolList,
    SnapshotPage,
    StatsInfo,
    StoreInfo,
    Undetermined,
    VolumePage,
)
from holdfast.contract.capabilities import (
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
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
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
from holdfast.contract.testbed import Fault, Inspected
from holdfast.data import BLOCK_BYTES
from holdfast_conformance.byte_steps import (
    DiscardBytes,
    KeepHandle,
    ReadBytes,
    WriteBytes,
    WriteRanges,
)
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.judgement.evidence import object_of
from holdfast_conformance.judgement.judge import judge
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.list_steps import NextPage, PagedList, TakePage, WalkSnapshots
from holdfast_conformance.model.expected_store import is_another
from holdfast_conformance.model.life_cycle import LIFE_CYCLE_STEPS
from holdfast_conformance.model.primary_probe import fate_of
from holdfast_conformance.model.primary_state import PrimaryState
from holdfast_conformance.model.primary_store import PrimaryModel
from holdfast_conformance.plan import (
    HealFault,
    InitializeBad,
    InjectFault,
    Plan,
    ProbeCall,
    ProbedCall,
    ReadBlocks,
    ReadStale,
    Reopen,
    Step,
    UseDriver,
    UseStore,
    Wait,
    WalkVolumes,
    WriteBlocks,
    calls_of,
    preparation,
)
from holdfast_conformance.profiles import Profile
from holdfast_conformance.trace import (
    BlocksRead,
    Continued,
    Ended,
    Enumerated,
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
from perfect_answers import (
    blocks_read,
    bytes_read,
    ordered,
    owned,
    snapshot_info,
    through_handle,
    volume_info,
)

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
        self.taken: dict[str, tuple[str, ...]] = {}

    def trace(self, plan: Plan) -> Iterator[TraceRecord]:
        yield Started(
            provider="perfect",
            testbed="none",
            capabilities=self.declared,
            plan=plan,
            faults=tuple(Fault),
        )
        state, number, others = self.model.initial(plan), 0, dict[int, PrimaryState]()
        ready = preparation(plan)
        numbered = [(-1 - offset, step) for offset, step in enumerate(ready)]
        for index, step in (*numbered, *enumerate(plan.steps)):
            if isinstance(step, UseStore):
                others[number], number = state, step.number
                state = others.get(number) or self.model.initial(plan)
            for client, call in enumerate(calls_of(step)):
                branch = self.model.expect(state, call).branches[0]
                before, state = state, branch.state
                yield Stepped(
                    index=index,
                    client=client,
                    outcome=self.outcome(branch.kind, before, state, call),
                    invoked_s=0.0,
                    returned_s=0.0,
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
            blocks = tuple(blocks_read(state.run, found, numbers))
            yield volume, host, BlocksRead(found.size_bytes, blocks)

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
            detail="somebody" if kind is ErrorKind.IN_USE else "",
        )

    def reply(  # noqa: C901 - one arm per verb
        self, before: PrimaryState, state: PrimaryState, step: Step
    ) -> Reply:
        match step:
            case DeleteVolume() | DeleteSnapshot() | Revoke() | DeleteStore():
                return Gone(key=object_of(step))
            case InitializeBad():
                return Refusals((("nowhere", "Invalid", (ErrorKind.INVALID,)),))
            case _ if isinstance(step, LIFE_CYCLE_STEPS):
                store = state.store
                hosts = tuple(sorted(store.hosts))
                return StoreInfo(
                    id=f"s{store.born}",
                    name=store.name,
                    state=store.state,
                    hosts=hosts,
                    identity=store.identity,
                )
            case ProbeCall() | TakePage() | NextPage():
                return self.asked(state, step)
            case CreateSnapshot() | GetSnapshot():
                return snapshot_info(step.key, state.snapshots[step.key])
            case Grant():
                born = state.grants[step.volume, step.host].born
                return GrantInfo(id=f"g{born}", volume=step.volume, host=step.host, mode=step.mode)
            case WriteBytes() | ReadBytes():
                return bytes_read(state, step)
            case Open() | KeepHandle() | ReadBlocks() | ReadStale() | WriteBlocks():
                return through_handle(state, step)
            case (
                DiscardBytes()
                | WriteRanges()
                | Reopen()
                | UseDriver()
                | UseStore()
                | Wait()
                | InjectFault()
                | HealFault()
            ):
                return Ok()
            case CheckHealth():
                down = HealthInfo(state=HealthState.DOWN, dependency="the backend")
                away = before.down or is_another(before)
                return down if away else HealthInfo(state=HealthState.UP)
            case _:
                return self.look(state, step)

    def asked(self, state: PrimaryState, step: ProbeCall | TakePage | NextPage) -> Reply:
        match step:
            case ProbeCall(call=call):
                return self.probed(state, call)
            case TakePage(page=page, of=of):
                reply = self.look(state, of)
                assert isinstance(reply, VolumePage | SnapshotPage)
                self.taken[page] = tuple(item.key for item in reply.items)
                return reply
            case NextPage(page=page, of=of):
                return self.gone_on(state, of, self.taken.get(page, ()))

    def probed(self, state: PrimaryState, call: ProbedCall) -> Reply:
        if state.down:
            return Undetermined(reason="nobody answers")
        if fate_of(state, call, self.declared).absent:
            return Absent()
        answer = self.reply(state, state, call)
        assert isinstance(answer, Answer)
        return Done(answer=answer)

    def gone_on(self, state: PrimaryState, of: PagedList, taken: tuple[str, ...]) -> Reply:
        whole = self.look(state, msgspec.structs.replace(of, limit=1000))
        assert isinstance(whole, VolumePage | SnapshotPage)
        last = max(taken, default="")
        items = [item for item in whole.items if item.key > last]
        token = "more" if len(items) > of.limit else ""
        return Continued(taken, type(whole)(items=tuple(items[: of.limit]), token=token))  # type: ignore[arg-type]

    def look(self, state: PrimaryState, step: Step) -> Reply:
        volumes = [volume_info(key, state.volumes[key]) for key in ordered(state.volumes)]
        snapshots = [snapshot_info(key, state.snapshots[key]) for key in ordered(state.snapshots)]
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
            case WalkVolumes(limit=limit) | WalkSnapshots(limit=limit):
                keys = [found.key for found in volumes]
                if isinstance(step, WalkSnapshots):
                    keys = [one.key for one in snapshots if step.volume in ("", one.volume)]
                starts = range(0, len(keys), limit)
                return Walked(tuple(tuple(keys[start : start + limit]) for start in starts))
            case EnumerateOwned():
                return Enumerated(tuple(owned(state)))
            case GetStats(volume=key) if key:
                size_bytes = state.volumes[key].size_bytes
                return StatsInfo(
                    total_bytes=size_bytes,
                    used_bytes=len(state.volumes[key].content.blocks) * BLOCK_BYTES,
                    allocated_bytes=size_bytes,
                    objects=1,
                )
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
                return volume_info(key, state.volumes[key])


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
