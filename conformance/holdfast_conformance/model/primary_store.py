"""The model of a primary store: which answers are allowed to each step, and what is then true."""

from collections.abc import Iterable, Iterator
from functools import partial

import msgspec

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    CheckHealth,
    CopyVolume,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    EnumerateOwned,
    GetSnapshot,
    GetStats,
    GetVolume,
    Grant,
    ListPools,
    ListSnapshots,
    ListVolumes,
    ModifyVolume,
    Open,
    ResizeVolume,
    RevertVolume,
    Revoke,
    Role,
)
from holdfast_conformance.byte_steps import (
    DiscardBytes,
    KeepHandle,
    ReadBytes,
    WriteBytes,
    WriteRanges,
)
from holdfast_conformance.list_steps import NextPage, TakePage, WalkSnapshots
from holdfast_conformance.model import (
    access,
    byte_ranges,
    primary_probe,
    primary_reply,
    read_content,
    snapshots,
    volumes,
)
from holdfast_conformance.model.allowed_outcomes import Reasons, Ruling
from holdfast_conformance.model.at_once import likely_together
from holdfast_conformance.model.difference import Difference, Expected
from holdfast_conformance.model.enumerated import enumeration_differences
from holdfast_conformance.model.expected_store import (
    expect_another,
    expect_switch,
    health_of_another,
    is_another,
    through_expecting,
)
from holdfast_conformance.model.features import declared_features, features_of
from holdfast_conformance.model.late_calls import expect_late, fences_of, fencing, given_up
from holdfast_conformance.model.life_cycle import (
    LIFE_CYCLE_STEPS,
    LifeCycleStep,
    Surroundings,
    expect_life_cycle,
    store_things,
)
from holdfast_conformance.model.page_tokens import expect_next, expect_taken
from holdfast_conformance.model.primary_lists import listing_of, next_page_differences
from holdfast_conformance.model.primary_names import (
    name_errors,
    names_hostile,
    names_look_alike,
)
from holdfast_conformance.model.primary_state import (
    PrimaryState,
    Situation,
)
from holdfast_conformance.model.probed_calls import (
    Fate,
    expect_probe,
    following,
    probe_differences,
)
from holdfast_conformance.model.role_model import Branch, Expectation, Model, only
from holdfast_conformance.plan import (
    CreateFromData,
    GiveUp,
    HealFault,
    InjectFault,
    LateCall,
    Plan,
    ProbeCall,
    ReadBlocks,
    ReadStale,
    Reopen,
    Step,
    Together,
    UseDriver,
    UseStore,
    Wait,
    WalkVolumes,
    WriteBlocks,
)
from holdfast_conformance.trace import Enumerated, Observed, Reply

_S = Situation
NEVER_ISSUED = "never-issued"
"""The page token that plans use as one that no store ever issued."""


class PrimaryModel(Model[PrimaryState]):
    """The model of a primary store with these capabilities."""

    role = Role.PRIMARY

    def __init__(self, capabilities: PrimaryCapabilities) -> None:
        self._capabilities = capabilities
        self._declared = declared_features(capabilities)

    def initial(self, plan: Plan) -> PrimaryState:
        """Every namespace starts empty."""
        return PrimaryState(run=plan.id, fenced=fences_of(plan))

    def expect(self, state: PrimaryState, step: Step) -> Expectation[PrimaryState]:
        """Which outcomes are allowed for ``step`` in ``state``."""
        state = msgspec.structs.replace(state, clock=state.clock + 1)
        if state.fenced is None:
            return self._expect(state, step)
        if isinstance(step, GiveUp):
            state = given_up(state, step.name)
        if isinstance(step, LateCall):
            expectation = expect_late(state, step, self._expect(state, step.call))
        else:
            expectation = self._expect(state, step)
        return fencing(state, step, expectation)

    def _expect(self, state: PrimaryState, step: Step) -> Expectation[PrimaryState]:
        match step:
            case Reopen() | UseDriver():
                return expect_switch(state, step, _S.HARNESS)
            case UseStore() | Wait() | GiveUp():
                return _certain(_S.HARNESS, state)
            case Together():
                return likely_together(self, state, step)
            case InjectFault():
                return _certain(_S.HARNESS, msgspec.structs.replace(state, down=True, shaken=True))
            case HealFault():
                return _certain(_S.HARNESS, msgspec.structs.replace(state, down=False))
            case CheckHealth():
                return health_of_another(state, _certain(_health(state), state))
            case _ if isinstance(step, LIFE_CYCLE_STEPS):
                return self._life_cycle(state, step)
            case TakePage(of=of):
                inner = self._verb(state, of)
                return expect_taken(state, step, inner, partial(listing_of, state))
            case NextPage(of=of):
                inner = self._verb(state, of)
                return expect_next(state, step, inner, partial(listing_of, state))
            case _:
                return following(state, step, self._verb(state, step))

    def things(self, state: PrimaryState, run: str) -> Iterable[Expected]:
        """The store, its volumes, snapshots and grants."""
        yield from store_things(state.store)
        for key, volume in state.volumes.items():
            yield Expected(
                kind=OwnedKind.VOLUME,
                key=key,
                born=volume.born,
                size_bytes=volume.size_bytes,
                digest=volume.content.digest(run, volume.size_bytes),
            )
        for key, snapshot in state.snapshots.items():
            yield Expected(
                kind=OwnedKind.SNAPSHOT,
                key=key,
                born=snapshot.born,
                size_bytes=snapshot.size_bytes,
                digest=snapshot.content.digest(run, snapshot.size_bytes),
                detail=snapshot.volume,
            )
        for (volume_key, host), grant in state.grants.items():
            detail = f"{volume_key}|{host}|{grant.mode.value}"
            yield Expected(kind=OwnedKind.GRANT, key=volume_key, born=grant.born, detail=detail)

    def reply_differences(
        self, before: PrimaryState, after: PrimaryState, step: Step, reply: Reply
    ) -> Iterator[Difference]:
        """What is wrong with the reply of a successful step."""
        match step, reply:
            case _, Enumerated(things=things):
                return enumeration_differences(self.things(after, ""), things)
            case ProbeCall(call=call), _:
                fate = primary_probe.fate_of(after, call, self._capabilities)
                told = partial(primary_reply.differences, after, after, call)
                return probe_differences(after, fate, reply, told)
            case LateCall(call=call), _:
                return primary_reply.differences(before, after, call, reply)
            case TakePage(of=of), _:
                return primary_reply.differences(before, after, of, reply)
            case NextPage(), _:
                return next_page_differences(after, step, reply)
            case _:
                return primary_reply.differences(before, after, step, reply)

    def handle_differences(self, state: PrimaryState, observed: Observed) -> Iterator[Difference]:
        """What hosts read through their handles and should not."""
        return read_content.of_hosts(state, observed)

    def _life_cycle(self, state: PrimaryState, step: LifeCycleStep) -> Expectation[PrimaryState]:
        around = Surroundings(
            clock=state.clock,
            hosts_max=self._capabilities.access.hosts_max,
            granted_hosts=frozenset(host for _, host in state.grants),
            empty=not state.volumes and not state.snapshots,
        )
        return through_expecting(state, step, expect_life_cycle(state, step, around))

    def _verb(self, state: PrimaryState, step: Step) -> Expectation[PrimaryState]:
        if any(feature not in self._declared for feature in features_of(step)):
            kinds = (ErrorKind.UNSUPPORTED, *name_errors(step))
            return Expectation(frozenset({_S.UNDECLARED}), only(state, *kinds))
        if is_another(state):
            malformed = (*name_errors(step), *volumes.size_errors(step, self._capabilities))
            return expect_another(state, *malformed)
        if not state.store.exists:
            kinds = (ErrorKind.PRECONDITION, ErrorKind.NOT_FOUND, ErrorKind.UNAVAILABLE)
            told = (Branch(None, state),) if isinstance(step, ProbeCall) else ()
            told_first = volumes.size_errors(step, self._capabilities)
            kinds = (*kinds, *told_first)
            return Expectation(frozenset({_S.NO_STORE}), (*told, *only(state, *kinds)))
        if errors := name_errors(step):
            return Expectation(frozenset({_S.BAD_KEY}), only(state, *errors))
        if isinstance(step, ProbeCall):
            expectation = self._probe(state, step)
        else:
            expectation = self._rule(state, step).expectation(state)
        if names_look_alike(state, step):
            situations = expectation.situations | {_S.LOOK_ALIKE}
            expectation = Expectation(situations, expectation.branches)
        return _hostile(expectation, state) if names_hostile(state, step) else expectation

    def _probe(self, state: PrimaryState, step: ProbeCall) -> Expectation[PrimaryState]:
        fate = primary_probe.fate_of(state, step.call, self._capabilities)
        return expect_probe(state, fate, _of_fate, self._verb(state, step.call).kinds)

    def _rule(self, state: PrimaryState, step: Step) -> Ruling:
        capabilities = self._capabilities
        match step:
            case CreateVolume():
                return volumes.create(state, step, capabilities)
            case CreateFromData():
                return volumes.create_from_data(state, step, capabilities)
            case CopyVolume():
                return volumes.copy(state, step, capabilities)
            case DeleteVolume():
                return volumes.delete(state, step, capabilities)
            case ResizeVolume():
                return volumes.resize(state, step, capabilities)
            case ModifyVolume():
                return volumes.modify(state, step, capabilities)
            case CreateSnapshot():
                return snapshots.create(state, step, capabilities)
            case DeleteSnapshot():
                return snapshots.delete(state, step, capabilities)
            case RevertVolume():
                return snapshots.revert(state, step, capabilities)
            case _:
                return self._access(state, step)

    def _access(self, state: PrimaryState, step: Step) -> Ruling:
        match step:
            case Grant():
                return access.grant(state, step)
            case Revoke():
                return access.revoke(state, step)
            case Open():
                return access.open_volume(state, step)
            case WriteBlocks():
                return access.write(state, step)
            case ReadBlocks():
                return access.read(state, step)
            case ReadStale():
                return access.read_stale(state, step)
            case WriteBytes() | WriteRanges() | ReadBytes() | DiscardBytes() | KeepHandle():
                return byte_ranges.ruling_of(state, step)
            case _:
                return _look(state, step)


def _look(state: PrimaryState, step: Step) -> Ruling:  # noqa: C901, PLR0912 - one arm per verb
    """Verbs that only look."""
    reasons = Reasons()
    match step:
        case GetVolume(key=key):
            _note_get(reasons, state, key)
        case GetSnapshot(key=key):
            if key in state.snapshots:
                reasons.note(_S.SNAPSHOT_GET)
            else:
                reasons.note(_S.SNAPSHOT_GET_ABSENT, ErrorKind.NOT_FOUND)
        case ListVolumes(token=token) | ListSnapshots(token=token) if token:
            reasons.note(_S.LIST_TOKEN, ErrorKind.INVALID)
        case ListVolumes():
            reasons.note(_S.LIST)
        case ListSnapshots(volume=volume):
            reasons.note(_S.SNAPSHOT_LIST)
            known = not volume or volume in state.volumes
            return reasons.ruling(state, *(() if known else (ErrorKind.NOT_FOUND,)))
        case WalkVolumes():
            reasons.note(_S.WALK)
        case WalkSnapshots(volume=volume):
            reasons.note(_S.SNAPSHOT_WALK)
            known = not volume or volume in state.volumes
            return reasons.ruling(state, *(() if known else (ErrorKind.NOT_FOUND,)))
        case GetStats(volume=volume):
            reasons.note(_S.STATS)
            if volume:
                _note_get(reasons, state, volume)
        case ListPools():
            reasons.note(_S.STATS)
        case EnumerateOwned():
            reasons.note(_S.ENUMERATE)
        case _:
            raise TypeError(f"a primary store has no step {type(step).__name__}")
    return reasons.ruling(state)


def _note_get(reasons: Reasons, state: PrimaryState, key: str) -> None:
    if key in state.volumes:
        reasons.note(_S.GET)
    elif key in state.deleted:
        reasons.note(_S.GET_DELETED, ErrorKind.NOT_FOUND)
    else:
        reasons.note(_S.GET_ABSENT, ErrorKind.NOT_FOUND)


def _of_fate(fate: Fate) -> Situation:
    if not fate.certain:
        return _S.PROBE_EITHER
    return _S.PROBE_DONE if fate.done else _S.PROBE_ABSENT


def _health(state: PrimaryState) -> Situation:
    return _S.HEALTH_DOWN if state.down or is_another(state) else _S.HEALTH


def _certain(situation: Situation, state: PrimaryState) -> Expectation[PrimaryState]:
    return Expectation(frozenset({situation}), (Branch(None, state),))


def _hostile(
    expectation: Expectation[PrimaryState], state: PrimaryState
) -> Expectation[PrimaryState]:
    """A hostile name may be refused as ``Invalid`` wherever it could be answered otherwise."""
    refused = () if ErrorKind.INVALID in expectation.kinds else only(state, ErrorKind.INVALID)
    return Expectation(expectation.situations | {_S.HOSTILE}, (*expectation.branches, *refused))
