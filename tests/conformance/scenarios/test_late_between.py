"""Stories of late calls show both: calls that are late, and calls in time beside them."""

import pytest

from holdfast.contract.capabilities import Capabilities
from holdfast.contract.requests import Role
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.model.late_calls import ELSEWHERE, LATE
from holdfast_conformance.model.model_choice import model_of
from holdfast_conformance.plan import preparation
from holdfast_conformance.profiles import find_profile
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES, PRIMARY_CAPABILITIES


@pytest.mark.parametrize(
    ("role", "declared", "story"),
    [
        (Role.PRIMARY, PRIMARY_CAPABILITIES, "late-between"),
        (Role.PRIMARY, PRIMARY_CAPABILITIES, "late-between-snapshots"),
        (Role.IMAGE, IMAGE_CAPABILITIES, "late-between"),
    ],
)
def test_a_story_has_calls_that_are_late_and_calls_in_time(
    role: Role, declared: Capabilities, story: str
) -> None:
    """Where every call of one kind may be refused, a driver with one fence for all is not seen."""
    model = model_of(declared)
    plans = [
        plan
        for plan in generate_plans(role, declared, find_profile("smoke"), 0)
        if plan.origin == story
    ]
    assert plans
    for plan in plans:
        state = model.initial(plan)
        situations: set[str] = set()
        for step in (*preparation(plan), *plan.steps):
            expectation = model.expect(state, step)
            situations |= expectation.situations
            state = expectation.likely
        assert {LATE, ELSEWHERE} <= situations
