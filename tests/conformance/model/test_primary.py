"""The model of primary stores."""

import msgspec
import pytest

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import (
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    Lifetime,
    PrimaryCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    Grant,
    MaintainStore,
    ResizeVolume,
    RevertVolume,
    Revoke,
    Role,
    SnapshotSource,
)
from holdfast.contract.testbed import Fault
from holdfast.data import digest_of_hashes
from holdfast_conformance.model.primary_state import PrimaryState
from holdfast_conformance.model.primary_store import PrimaryModel
from holdfast_conformance.plan import (
    InjectFault,
    Plan,
    ReadStale,
    Step,
    WriteBlocks,
    preparation,
)
from holdfast_conformance.stamps import hash_of_stamp

MIB = 1 << 20
DECLARED = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=1, size_max_bytes=1 << 40, size_granularity_bytes=4096
    ),
    access=AccessCapabilities(modes=tuple(AccessMode)),
    resize=ResizeCapabilities(),
    snapshot=SnapshotCapabilities(revert=True),
    clone=CloneCapabilities(from_snapshot=True),
)
BLOCKING = msgspec.structs.replace(
    DECLARED,
    snapshot=SnapshotCapabilities(
        revert=True, lifetime=Lifetime.BLOCKS_DELETE, revert_keeps_newer=False
    ),
    clone=CloneCapabilities(from_snapshot=True, lifetime=Lifetime.BLOCKS_DELETE),
)
PLAN = Plan(
    id="p",
    role=Role.PRIMARY,
    origin="test",
    store="store",
    hosts=("host-a", "host-b"),
    ready=True,
    steps=(),
)
CREATE = CreateVolume(key="v", size_bytes=MIB)
GRANT = Grant(volume="v", host="host-a")
WRITE = WriteBlocks(volume="v", host="host-a", first=3, count=2, generation=1)
SNAPSHOT = CreateSnapshot(key="s", volume="v")
CLONE = CreateVolume(key="c", size_bytes=MIB, source=SnapshotSource("s"))
REVOKE = Revoke(volume="v", host="host-a")


def after(*steps: Step, declared: PrimaryCapabilities = DECLARED) -> PrimaryState:
    """The state after these steps, each with its first allowed outcome."""
    model = PrimaryModel(declared)
    state = model.initial(PLAN)
    for step in (*preparation(PLAN), *steps):
        state = model.expect(state, step).likely
    return state


def allowed(
    step: Step, *before: Step, declared: PrimaryCapabilities = DECLARED
) -> set[ErrorKind | None]:
    """The outcomes that are allowed for a step after these steps."""
    expectation = PrimaryModel(declared).expect(after(*before, declared=declared), step)
    return set(expectation.kinds)


@pytest.mark.parametrize(
    ("before", "step", "expected"),
    [
        ((), CREATE, None),
        ((CREATE,), CREATE, None),
        ((CREATE,), CreateVolume(key="v", size_bytes=2 * MIB), ErrorKind.CONFLICT),
        ((), CreateVolume(key="", size_bytes=MIB), ErrorKind.INVALID),
        ((), CreateVolume(key="v", size_bytes=1 << 41), ErrorKind.OUT_OF_RANGE),
        ((), CLONE, ErrorKind.NOT_FOUND),
        ((MaintainStore(),), CREATE, ErrorKind.PRECONDITION),
        ((), DeleteVolume(key="v"), None),
        ((CREATE, GRANT), DeleteVolume(key="v"), ErrorKind.IN_USE),
        ((CREATE, SNAPSHOT), DeleteVolume(key="v"), None),
        ((CREATE, GRANT), GRANT, None),
        ((CREATE, GRANT), Grant(volume="v", host="host-b"), ErrorKind.IN_USE),
        (
            (CREATE, GRANT),
            Grant(volume="v", host="host-a", mode=AccessMode.SHARED),
            ErrorKind.CONFLICT,
        ),
        ((CREATE,), Grant(volume="v", host="stranger"), ErrorKind.NOT_FOUND),
        ((CREATE,), WRITE, ErrorKind.DENIED),
        ((CREATE, GRANT), ResizeVolume(key="v", size_bytes=2 * MIB), ErrorKind.IN_USE),
        ((CREATE, GRANT), ResizeVolume(key="v", size_bytes=1), None),
        (
            (CREATE,),
            ResizeVolume(key="v", size_bytes=4096, shrink=True),
            ErrorKind.UNSUPPORTED,
        ),
        ((CREATE, SNAPSHOT, GRANT), RevertVolume(key="v", snapshot="s"), ErrorKind.IN_USE),
        ((CREATE,), RevertVolume(key="v", snapshot="s"), ErrorKind.NOT_FOUND),
    ],
)
def test_allows_exactly_one_outcome(
    before: tuple[Step, ...], step: Step, expected: ErrorKind | None
) -> None:
    """Where the contract leaves no choice the model leaves none."""
    assert allowed(step, *before) == {expected}


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ((CREATE, SNAPSHOT), DeleteVolume(key="v")),
        ((CREATE, SNAPSHOT, CLONE), DeleteSnapshot(key="s")),
        (
            (CREATE, SNAPSHOT, CreateSnapshot(key="t", volume="v")),
            RevertVolume(key="v", snapshot="s"),
        ),
    ],
)
def test_follows_the_declared_policies(before: tuple[Step, ...], step: Step) -> None:
    """What is independent for one store is in use for another."""
    assert allowed(step, *before) == {None}
    assert allowed(step, *before, declared=BLOCKING) == {ErrorKind.IN_USE}


def test_several_reasons_to_fail_are_all_allowed() -> None:
    """Which of two faults of a request a driver finds first is its own business."""
    found = allowed(Grant(volume="absent", host="stranger"), MaintainStore())

    assert found == {ErrorKind.NOT_FOUND, ErrorKind.PRECONDITION}


def test_a_hostile_name_may_be_refused() -> None:
    """A store may refuse a name that looks like a path, and no other."""
    assert allowed(CreateVolume(key="../x", size_bytes=MIB)) == {None, ErrorKind.INVALID}


def test_an_unknown_outcome_is_done_or_not_done() -> None:
    """During an outage a call was not acted upon, or nobody knows and both states are possible."""
    model = PrimaryModel(DECLARED)
    state = after(InjectFault(fault=Fault.DOWN))

    branches = model.expect(state, CREATE).branches

    assert [(branch.kind, "v" in branch.state.volumes) for branch in branches] == [
        (ErrorKind.UNAVAILABLE, False),
        (ErrorKind.UNKNOWN, False),
        (ErrorKind.UNKNOWN, True),
    ]


def test_a_revoked_handle_is_useless() -> None:
    """After the revoke no read succeeds through the handle that was opened before."""
    stale = ReadStale(volume="v", host="host-a", first=0, count=1)

    assert None not in allowed(stale, CREATE, GRANT, WRITE, REVOKE)


def test_digests_are_those_of_the_stamps() -> None:
    """The model predicts the digest that an inspector computes from the bytes."""
    things = PrimaryModel(DECLARED).things(after(CREATE, GRANT, WRITE), "p")
    hashes = [(number, hash_of_stamp("p", "v", number, 1)) for number in (3, 4)]

    found = {thing.kind: thing.digest for thing in things}

    assert found[OwnedKind.VOLUME] == digest_of_hashes(MIB, hashes)


def test_a_snapshot_keeps_its_content() -> None:
    """Later writes, and the clone, do not reach a snapshot; a revert returns to it."""
    again = msgspec.structs.replace(WRITE, generation=2)
    steps = (CREATE, GRANT, WRITE, SNAPSHOT, again, CLONE, REVOKE)

    state = after(*steps, RevertVolume(key="v", snapshot="s"))

    assert state.snapshots["s"].content.at(3) == ("v", 1)
    assert after(*steps).volumes["v"].content.at(3) == ("v", 2)
    assert state.volumes["v"].content == state.snapshots["s"].content
    assert state.volumes["c"].content == state.snapshots["s"].content


def test_no_step_changes_an_earlier_state() -> None:
    """States are values: expecting something leaves them as they were."""
    state = after(CREATE, GRANT, WRITE, SNAPSHOT)
    before = msgspec.structs.replace(state)
    model = PrimaryModel(DECLARED)

    for step in (CLONE, REVOKE, DeleteVolume(key="v"), DeleteSnapshot(key="s"), MaintainStore()):
        model.expect(state, step)

    assert state == before
