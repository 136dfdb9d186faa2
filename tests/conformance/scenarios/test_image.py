"""The stories for image stores."""

from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest

from holdfast.capabilities import (
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    RangeCapabilities,
    UploadCapabilities,
)
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.generate.choices import Choices
from holdfast_conformance.model.image import ImageModel
from holdfast_conformance.model.image_state import ImageSituation
from holdfast_conformance.plan import Plan, PutObject, SendPart, Step, preparation
from holdfast_conformance.profiles import Profile
from holdfast_conformance.scenarios.image import IMAGE_STORIES, image_scenario

RICH = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=1 << 20, part_min_bytes=16, part_max_bytes=1 << 16, parts_max=32
    ),
    list=ListCapabilities(page_max=1000),
    range=RangeCapabilities(),
)
POOR = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=1 << 40,
        part_min_bytes=1,
        part_max_bytes=1 << 40,
        parts_max=1,
        kinds=(ObjectKind.ISO,),
    ),
    list=ListCapabilities(page_max=1000, delimiter=False),
)
LARGE_PARTS = msgspec.structs.replace(
    RICH,
    upload=UploadCapabilities(
        object_max_bytes=5 << 40, part_min_bytes=5 << 20, part_max_bytes=5 << 30, parts_max=10_000
    ),
)
MEMORY_MAX_BYTES = 64 << 20
PROFILE = Profile(name="tiny", ops=400, steps=20, purpose="a test")


def stories(declared: ImageCapabilities) -> Iterator[Plan]:
    for number, story in enumerate(IMAGE_STORIES):
        plan = image_scenario(story, declared, Choices(b""), f"p{number}")
        if plan is not None:
            yield plan


def situations(declared: ImageCapabilities, plan: Plan) -> Iterator[str]:
    """The situations that a plan goes through when everything works."""
    model = ImageModel(declared)
    state = model.initial(plan)
    for step in (*preparation(plan), *plan.steps):
        expectation = model.expect(state, step)
        assert expectation.branches, step
        yield from expectation.situations
        state = expectation.likely


def stored_bytes(steps: tuple[Step, ...]) -> int:
    return sum(step.size_bytes for step in steps if isinstance(step, PutObject | SendPart))


def test_the_stories_reach_every_situation() -> None:
    """Nothing that makes a step interesting is left to chance."""
    seen = Counter(name for plan in stories(RICH) for name in situations(RICH, plan))
    unclaimed = {ImageSituation.START_SETTLED}  # The contract is silent there.

    assert {name for name in ImageSituation if name not in seen} == unclaimed


@pytest.mark.parametrize("declared", [RICH, POOR, LARGE_PARTS], ids=["rich", "poor", "large"])
def test_plans_fit_what_is_declared(declared: ImageCapabilities) -> None:
    """For every store plans exist that its model can follow and that move no absurd amounts."""
    for plan in stories(declared):
        assert list(situations(declared, plan))
        assert stored_bytes(plan.steps) <= MEMORY_MAX_BYTES


def test_a_store_of_one_part_is_asked_for_no_second() -> None:
    """Where objects have one part only, no story counts on several."""
    seen = {name for plan in stories(POOR) for name in situations(POOR, plan)}

    assert ImageSituation.COMPLETE_ONE in seen
    assert ImageSituation.COMPLETE_SEVERAL not in seen


def test_random_plans_are_ones_that_the_model_can_follow() -> None:
    """Walks are equal for equal seeds, differ between seeds, and have no step that cannot be."""
    role = next(stories(RICH)).role
    plans = generate_plans(role, RICH, PROFILE, 1)
    walks = [plan for plan in plans if plan.origin == "random"]

    assert len(walks) == PROFILE.ops // PROFILE.steps
    assert all(list(situations(RICH, plan)) for plan in walks)
    assert generate_plans(role, RICH, PROFILE, 1) == plans
    assert generate_plans(role, RICH, PROFILE, 2) != plans
