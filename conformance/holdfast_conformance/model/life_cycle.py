"""The model of a store's life cycle, shared by both roles."""

import enum
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from holdfast.contract.answers import Gone, OwnedKind, StoreInfo
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    AttachHost,
    CancelMaintenance,
    DeleteStore,
    DetachHost,
    InitializeStore,
    MaintainStore,
)
from holdfast_conformance.model.difference import Aspect, Difference, Expected, Where
from holdfast_conformance.model.look_alikes import has_look_alike
from holdfast_conformance.model.primary_state import Situation, known_host
from holdfast_conformance.model.role_model import (
    Branch,
    Expectation,
    ModelState,
    StoreModel,
    down_branches,
)
from holdfast_conformance.plan import Adopt, InitializeBad, InspectStore, Step, StoreStep
from holdfast_conformance.trace import Refusals, Reply


class LifeCycleSituation(enum.StrEnum):
    """What makes a life-cycle step interesting."""

    INITIALIZE_NEW = "initialize: a fresh place"
    INITIALIZE_AGAIN = "initialize: the same name again"
    INITIALIZE_UNNAMED = "initialize: without the identity that the place has"
    INITIALIZE_OTHER = "initialize: another name for the same place"
    INITIALIZE_BAD = "initialize: a place that cannot be used"
    NO_STORE = "no store here"
    ATTACH_NEW = "attach: a new host"
    ATTACH_AGAIN = "attach: a host that is attached"
    ATTACH_TOO_MANY = "attach: more hosts than declared"
    ATTACH_LAST = "attach: the last host that is declared"
    DETACH = "detach: a host that is attached"
    DETACH_ABSENT = "detach: a host that is not attached"
    DETACH_GRANTED = "detach: a host with grants"
    MAINTAIN = "maintain"
    CANCEL = "cancel maintenance"
    DELETE_EMPTY = "delete store: an empty one"
    DELETE_LIVE = "delete store: with things in it"
    DELETE_ABSENT = "delete store: an absent one"
    INSPECT = "look at the store"
    ADOPT = "adopt: a store without an identity"
    ADOPT_AGAIN = "adopt: a store that has this identity"


_S = LifeCycleSituation
LIFE_CYCLE_STEPS = (
    InitializeStore,
    AttachHost,
    DetachHost,
    MaintainStore,
    CancelMaintenance,
    DeleteStore,
    InspectStore,
    InitializeBad,
    Adopt,
)
StateT = TypeVar("StateT", bound=ModelState)
LifeCycleStep = StoreStep | InspectStore | InitializeBad | Adopt


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a life-cycle step needs to know of the role: the grants, and whether it is empty."""

    clock: int
    hosts_max: int | None
    granted_hosts: frozenset[str]
    empty: bool


def expect_life_cycle(
    state: StateT, step: LifeCycleStep, around: Surroundings
) -> Expectation[StateT]:
    """The allowed outcomes of a life-cycle step, which changes nothing but the store itself."""
    expectation = _of_store(state.store, step, around)
    branches = tuple(
        Branch(branch.kind, msgspec.structs.replace(state, store=branch.state))
        for branch in expectation.branches
    )
    if state.down:
        branches = (*branches, *down_branches(state, branches[0].state))
    return Expectation(expectation.situations, branches)


def _of_store(  # noqa: C901 - one arm per step
    store: StoreModel, step: LifeCycleStep, around: Surroundings
) -> Expectation[StoreModel]:
    """The allowed outcomes while the backend is up, with stores as states."""
    match step:
        case InitializeStore():
            return _initialize(store, step, around.clock)
        case InitializeBad():
            return _outcome(_S.INITIALIZE_BAD, store, None)
        case DeleteStore():
            return _delete(store, around)
        case _ if not store.exists:
            return _outcome(_S.NO_STORE, store, *_of_no_store(step))
        case AttachHost():
            return _odd_host(store, step.host, _attach(store, step.host, around.hosts_max))
        case DetachHost():
            return _odd_host(store, step.host, _detach(store, step.host, around.granted_hosts))
        case MaintainStore():
            return _outcome(_S.MAINTAIN, msgspec.structs.replace(store, maintenance=True), None)
        case CancelMaintenance():
            return _outcome(_S.CANCEL, msgspec.structs.replace(store, maintenance=False), None)
        case InspectStore():
            return _outcome(_S.INSPECT, store, None)
        case Adopt(identity=identity):
            return _adopt(store, identity)


def _of_no_store(step: LifeCycleStep) -> tuple[ErrorKind, ...]:
    """How what needs a store fails where there is none."""
    looks = isinstance(step, InspectStore | Adopt)
    return (ErrorKind.NOT_FOUND,) if looks else (ErrorKind.NOT_FOUND, ErrorKind.PRECONDITION)


def store_things(store: StoreModel) -> tuple[Expected, ...]:
    """The store itself, as the inspector must find it."""
    if not store.exists:
        return ()
    return (Expected(kind=OwnedKind.STORE, key=store.name, born=store.born, detail=store.detail),)


def store_reply_differences(store: StoreModel, step: Step, reply: Reply) -> Iterator[Difference]:
    """What is wrong with the reply to a life-cycle step; ``store`` is the state after it."""
    if isinstance(step, InitializeBad):
        yield from _refusal_differences(reply)
    elif isinstance(step, DeleteStore):
        if not isinstance(reply, Gone):
            yield wrong_type("Gone", reply)
    elif not isinstance(reply, StoreInfo):
        yield wrong_type("StoreInfo", reply)
    else:
        hosts = tuple(sorted(store.hosts, key=str.encode))
        pairs = (
            (Aspect.KEY, store.name, reply.name),
            (Aspect.STATE, store.state.value, reply.state.value),
            (Aspect.HOSTS, ",".join(hosts), ",".join(reply.hosts)),
            (Aspect.ID, store.identity or reply.identity, reply.identity),
        )
        for aspect, right, seen in pairs:
            if right != seen:
                yield Difference(Where.REPLY, OwnedKind.STORE, store.name, aspect, right, seen)


def wrong_type(expected: str, reply: Reply) -> Difference:
    """The difference of a reply that is of another type than its verb's."""
    return Difference(Where.REPLY, None, "", Aspect.TYPE, expected, type(reply).__name__)


def _refusal_differences(reply: Reply) -> Iterator[Difference]:
    if not isinstance(reply, Refusals):
        yield wrong_type("Refusals", reply)
        return
    for name, came, allowed in reply.rows:
        right = " or ".join(kind.value for kind in allowed)
        if came not in {kind.value for kind in allowed}:
            yield Difference(Where.REPLY, OwnedKind.STORE, name, Aspect.STATE, right, came)


def _outcome(
    situation: LifeCycleSituation, store: StoreModel, *kinds: ErrorKind | None
) -> Expectation[StoreModel]:
    return Expectation(frozenset({situation}), tuple(Branch(kind, store) for kind in kinds))


def _initialize(store: StoreModel, step: InitializeStore, clock: int) -> Expectation[StoreModel]:
    if not store.exists:
        made = StoreModel(name=step.name, born=clock, identity=step.identity)
        return _outcome(_S.INITIALIZE_NEW, made, None)
    if store.name == step.name and step.identity == store.identity:
        return _outcome(_S.INITIALIZE_AGAIN, store, None)
    if store.name == step.name and not step.identity:
        # Who names no identity does not care which it is, or names another: both are readings.
        return _outcome(_S.INITIALIZE_UNNAMED, store, None, ErrorKind.CONFLICT)
    return _outcome(_S.INITIALIZE_OTHER, store, ErrorKind.CONFLICT)


def _adopt(store: StoreModel, identity: str) -> Expectation[StoreModel]:
    """A driver may have no stores from before, or have made an identity of its own."""
    adopted = msgspec.structs.replace(store, identity=identity)
    again = bool(store.identity)
    kinds = [ErrorKind.UNSUPPORTED]
    if store.identity != identity:
        kinds.append(ErrorKind.PRECONDITION)
    branches = [Branch(kind, store) for kind in kinds]
    if store.identity in ("", identity):
        branches.insert(0, Branch(None, adopted))
    return Expectation(frozenset({_S.ADOPT_AGAIN if again else _S.ADOPT}), tuple(branches))


def _attach(store: StoreModel, host: str, hosts_max: int | None) -> Expectation[StoreModel]:
    if host in store.hosts:
        return _outcome(_S.ATTACH_AGAIN, store, None)
    if hosts_max is not None and len(store.hosts) >= hosts_max:
        return _outcome(_S.ATTACH_TOO_MANY, store, ErrorKind.EXHAUSTED)
    attached = msgspec.structs.replace(store, hosts=store.hosts | {host})
    last = hosts_max is not None and len(attached.hosts) == hosts_max
    situations = {_S.ATTACH_NEW, _S.ATTACH_LAST} if last else {_S.ATTACH_NEW}
    return Expectation(frozenset(situations), (Branch(None, attached),))


def _odd_host(
    store: StoreModel, host: str, expectation: Expectation[StoreModel]
) -> Expectation[StoreModel]:
    """A host of which a store knows nothing may be refused, unless it is attached already."""
    situations = set(expectation.situations)
    if has_look_alike(host, store.hosts):
        situations.add(Situation.LOOK_ALIKE)
    if not known_host(host):
        situations.add(Situation.HOSTILE)
        if host not in store.hosts:
            refused = Branch(ErrorKind.INVALID, store)
            return Expectation(frozenset(situations), (*expectation.branches, refused))
    return Expectation(frozenset(situations), expectation.branches)


def _detach(store: StoreModel, host: str, granted_hosts: frozenset[str]) -> Expectation[StoreModel]:
    if host not in store.hosts:
        return _outcome(_S.DETACH_ABSENT, store, None)
    if host in granted_hosts:
        return _outcome(_S.DETACH_GRANTED, store, ErrorKind.IN_USE)
    return _outcome(_S.DETACH, msgspec.structs.replace(store, hosts=store.hosts - {host}), None)


def _delete(store: StoreModel, around: Surroundings) -> Expectation[StoreModel]:
    if not store.exists:
        return _outcome(_S.DELETE_ABSENT, store, None)
    if not around.empty:
        return _outcome(_S.DELETE_LIVE, store, ErrorKind.IN_USE)
    gone = Expectation(frozenset({_S.DELETE_EMPTY}), (Branch(None, StoreModel()),))
    if store.hosts:  # Whether an attached host alone keeps a store alive is the driver's choice.
        refused = Branch(ErrorKind.IN_USE, store)
        return msgspec.structs.replace(gone, branches=(*gone.branches, refused))
    return gone
