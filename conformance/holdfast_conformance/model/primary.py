"""The model of a primary store: which answers are allowed to each step, and what is then true."""

from collections.abc import Iterable, Iterator

import msgspec

from holdfast.capabilities import PrimaryCapabilities
from holdfast.errors import ErrorKind
from holdfast.infos import OwnedKind
from holdfast.requests import (
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
from holdfast_conformance.model import access, primary_reply, snapshots, volumes
from holdfast_conformance.model.difference import Difference, Expected
from holdfast_conformance.model.expectation import Branch, Expectation, Model, down_branches, only
from holdfast_conformance.model.features import declared_features, features_of
from holdfast_conformance.model.life_cycle import (
    LIFE_CYCLE_STEPS,
    LifeCycleStep,
    Surroundings,
    expect_life_cycle,
    store_things,
)
from holdfast_conformance.model.primary_state import (
    PrimaryState,
    Situation,
    good_key,
    plain_key,
)
from holdfast_conformance.model.ruling import Reasons, Ruling
from holdfast_conformance.plan import (
    CreateFromData,
    HealFault,
    InjectFault,
    Plan,
    ReadBlocks,
    ReadStale,
    Reopen,
    Step,
    WalkVolumes,
    WriteBlocks,
)
from holdfast_conformance.trace import Observed, Reply

_S = Situation
NEVER_ISSUED = "never-issued"
"""The page token that plans use as one that no store ever issued."""

_NAMING: dict[type, tuple[str, ...]] = {
    CreateVolume: ("key",),
    CreateFromData: ("key", "volume", "host"),
    GetVolume: ("key",),
    DeleteVolume: ("key",),
    ResizeVolume: ("key",),
    ModifyVolume: ("key",),
    RevertVolume: ("key", "snapshot"),
    CopyVolume: ("key", "target"),
    CreateSnapshot: ("key", "volume"),
    GetSnapshot: ("key",),
    DeleteSnapshot: ("key",),
    Grant: ("volume", "host"),
    Revoke: ("volume", "host"),
    Open: ("volume", "host"),
}
"""The fields of each request that name something."""


class PrimaryModel(Model[PrimaryState]):
    """The model of a primary store with these capabilities."""

    role = Role.PRIMARY

    def __init__(self, capabilities: PrimaryCapabilities) -> None:
        self._capabilities = capabilities
        self._declared = declared_features(capabilities)

    def initial(self, plan: Plan) -> PrimaryState:  # noqa: ARG002 - every namespace starts empty
        """Every namespace starts empty."""
        return PrimaryState()

    def expect(self, state: PrimaryState, step: Step) -> Expectation[PrimaryState]:
        """Which outcomes are allowed for ``step`` in ``state``."""
        state = msgspec.structs.replace(state, clock=state.clock + 1)
        match step:
            case Reopen():
                return _certain(_S.HARNESS, state)
            case InjectFault():
                return _certain(_S.HARNESS, msgspec.structs.replace(state, down=True))
            case HealFault():
                return _certain(_S.HARNESS, msgspec.structs.replace(state, down=False))
            case CheckHealth():
                return _certain(_S.HEALTH_DOWN if state.down else _S.HEALTH, state)
            case _ if isinstance(step, LIFE_CYCLE_STEPS):
                return self._life_cycle(state, step)
            case _:
                return self._verb(state, step)

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
        for (volume_key, host), granted in state.grants.items():
            detail = f"{volume_key}|{host}|{granted.mode.value}"
            yield Expected(kind=OwnedKind.GRANT, key=volume_key, born=granted.born, detail=detail)

    def reply_differences(
        self, before: PrimaryState, after: PrimaryState, step: Step, reply: Reply
    ) -> Iterator[Difference]:
        """What is wrong with the reply of a successful step."""
        return primary_reply.differences(before, after, step, reply)

    def handle_differences(self, state: PrimaryState, observed: Observed) -> Iterator[Difference]:
        """What hosts read through their handles and should not."""
        return primary_reply.handle_differences(state, observed)

    def _life_cycle(self, state: PrimaryState, step: LifeCycleStep) -> Expectation[PrimaryState]:
        around = Surroundings(
            clock=state.clock,
            hosts_max=self._capabilities.access.hosts_max,
            granted_hosts=frozenset(host for _, host in state.grants),
            empty=not state.volumes and not state.snapshots,
        )
        found = expect_life_cycle(state.store, step, around)
        branches = tuple(
            Branch(branch.kind, msgspec.structs.replace(state, store=branch.state))
            for branch in found.branches
        )
        if state.down:
            branches = (*branches, *down_branches(state, branches[0].state))
        return Expectation(found.situations, branches)

    def _verb(self, state: PrimaryState, step: Step) -> Expectation[PrimaryState]:
        if any(feature not in self._declared for feature in features_of(step)):
            kinds = (ErrorKind.UNSUPPORTED, *_name_errors(step))
            return Expectation(frozenset({_S.UNDECLARED}), only(state, *kinds))
        if not state.store.exists:
            kinds = (ErrorKind.PRECONDITION, ErrorKind.NOT_FOUND, ErrorKind.UNAVAILABLE)
            return Expectation(frozenset({_S.NO_STORE}), only(state, *kinds))
        if errors := _name_errors(step):
            return Expectation(frozenset({_S.BAD_KEY}), only(state, *errors))
        found = self._rule(state, step).expectation(state)
        return _hostile(found, state) if _names_hostile(step) else found

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
            case _:
                return _look(state, step)


def _look(state: PrimaryState, step: Step) -> Ruling:  # noqa: C901, PLR0912 - one arm per verb
    """Verbs that only look, and ``modify_volume``, which changes nothing that the model follows."""
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
        case ModifyVolume(key=key):
            reasons.note(_S.MODIFY)
            _note_get(reasons, state, key)
            return reasons.ruling(state, ErrorKind.OUT_OF_RANGE, ErrorKind.INVALID)
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


def _certain(situation: Situation, state: PrimaryState) -> Expectation[PrimaryState]:
    return Expectation(frozenset({situation}), (Branch(None, state),))


def _names(step: Step) -> Iterator[str]:
    for field in _NAMING.get(type(step), ()):
        yield getattr(step, field)


def _name_errors(step: Step) -> tuple[ErrorKind, ...]:
    return () if all(map(good_key, _names(step))) else (ErrorKind.INVALID,)


def _names_hostile(step: Step) -> bool:
    return not all(map(plain_key, _names(step)))


def _hostile(found: Expectation[PrimaryState], state: PrimaryState) -> Expectation[PrimaryState]:
    """A hostile name may be refused as ``Invalid`` wherever it could be answered otherwise."""
    refused = () if ErrorKind.INVALID in found.kinds else only(state, ErrorKind.INVALID)
    return Expectation(found.situations | {_S.HOSTILE}, (*found.branches, *refused))
