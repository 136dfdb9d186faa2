"""What the models say of calls that were given up and act later."""

from typing import Any, get_args

import pytest

from holdfast.contract.capabilities import AccessMode, ObjectKind
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    AbortUpload,
    CopyObject,
    CreateSnapshot,
    CreateVolume,
    DeleteObject,
    DeleteSnapshot,
    DeleteVolume,
    GetVolume,
    Grant,
    PrimaryRequest,
    Revoke,
    StartUpload,
)
from holdfast_conformance.model.late_calls import ELSEWHERE, LATE
from holdfast_conformance.model.model_choice import model_of
from holdfast_conformance.model.role_model import Expectation
from holdfast_conformance.plan import (
    CreateFromData,
    FencedCall,
    FinishUpload,
    GiveUp,
    LateCall,
    Plan,
    ProbeCall,
    PutObject,
    SendPart,
    Step,
    preparation,
)
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES, PRIMARY_CAPABILITIES

A = CreateVolume(key="a", size_bytes=4096)
B = CreateVolume(key="b", size_bytes=4096)
HERE = GiveUp(name="here")
GRANT = Grant(volume="a", host="h", mode=AccessMode.SHARED)
REVOKE = Revoke(volume="a", host="h")
SNAPSHOT = CreateSnapshot(key="s", volume="a")
PARTS = CreateFromData(key="c", size_bytes=4096, volume="a", host="h")
START = StartUpload(upload="u", key="k", kind=ObjectKind.ISO)
PART = SendPart(upload="u", number=1, content=1, size_bytes=100)
FINISH = FinishUpload(upload="u", numbers=(1,))
OTHER = PutObject(
    upload="v", key="k", kind=ObjectKind.ISO, content_type="x/y", content=9, size_bytes=7
)
REFUSED = {ErrorKind.PRECONDITION, ErrorKind.BUSY}
IN_TIME = {None, ErrorKind.BUSY}
EITHER = IN_TIME | REFUSED


def of_late(*steps: Step, call: FencedCall, given_up: str = "here") -> Expectation[Any]:
    """What is expected of a call that comes late after these steps."""
    late = LateCall(call=call, given_up=given_up)
    primary = isinstance(call, get_args(PrimaryRequest))
    model = model_of(PRIMARY_CAPABILITIES if primary else IMAGE_CAPABILITIES)
    plan = Plan(
        id="p",
        role=model.role,
        origin="",
        store="s",
        hosts=("h",),
        ready=True,
        steps=(*steps, late),
    )
    state = model.initial(plan)
    for step in (*preparation(plan), *steps):
        state = model.expect(state, step).likely
    return model.expect(state, late)


@pytest.mark.parametrize(
    ("steps", "call"),
    [
        ((A, HERE, B, GRANT, REVOKE), DeleteVolume(key="a")),
        ((A, HERE, B), DeleteVolume(key="b")),
        ((HERE, DeleteVolume(key="a")), A),
        ((HERE, ProbeCall(call=A)), A),
        ((A, SNAPSHOT, HERE, DeleteSnapshot(key="s")), DeleteSnapshot(key="s")),
        ((START, HERE, PART), SendPart(upload="u", number=1, content=2, size_bytes=9)),
        ((HERE, AbortUpload(upload="u")), START),
        ((START, PART, HERE, OTHER), FINISH),
        ((OTHER, HERE, DeleteObject(key="copy")), CopyObject(key="k", target="copy")),
    ],
)
def test_a_call_is_late_for_what_was_changed_since_it_was_given_up(
    steps: tuple[Step, ...], call: FencedCall
) -> None:
    """Whether it was made or ended, or told to be absent; an upload's object counts with it."""
    expectation = of_late(*steps, call=call)

    assert LATE in expectation.situations
    assert set(expectation.kinds) <= REFUSED


@pytest.mark.parametrize(
    ("steps", "call"),
    [
        ((A, B, HERE, GRANT, REVOKE), DeleteVolume(key="b")),
        ((A, SNAPSHOT, HERE, B), DeleteSnapshot(key="s")),
        ((START, PART, HERE, DeleteObject(key="other")), FINISH),
        ((OTHER, HERE, AbortUpload(upload="w")), DeleteObject(key="k")),
    ],
)
def test_a_call_is_in_time_where_only_others_were_called_since(
    steps: tuple[Step, ...], call: FencedCall
) -> None:
    expectation = of_late(*steps, call=call)

    assert ELSEWHERE in expectation.situations
    assert None in expectation.kinds
    assert ErrorKind.PRECONDITION not in expectation.kinds


@pytest.mark.parametrize(
    ("steps", "call"),
    [
        ((A, HERE, GetVolume(key="a")), DeleteVolume(key="a")),
        ((A, HERE, A), DeleteVolume(key="a")),
        ((A, HERE, ProbeCall(call=A)), DeleteVolume(key="a")),
        ((A, GRANT, HERE, PARTS), REVOKE),
        ((A, HERE, SNAPSHOT), DeleteVolume(key="a")),
    ],
)
def test_who_only_looked_may_have_left_its_fence(steps: tuple[Step, ...], call: FencedCall) -> None:
    """A driver that keeps the fences of its readers is as right as one that does not."""
    kinds = set(of_late(*steps, call=call).kinds)

    assert ErrorKind.PRECONDITION in kinds
    assert kinds - REFUSED


@pytest.mark.parametrize("given_up", ["", "nowhere"])
def test_without_its_moment_a_call_is_later_than_none(given_up: str) -> None:
    """As in a plan from which a reduction took the moment away."""
    assert set(of_late(A, HERE, B, call=DeleteVolume(key="a"), given_up=given_up).kinds) == REFUSED
