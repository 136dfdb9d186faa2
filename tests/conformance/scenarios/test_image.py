"""The stories for image stores."""

from collections.abc import Iterator

import msgspec
import pytest

from holdfast.contract.capabilities import (
    CopyCapabilities,
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    RangeCapabilities,
    UploadCapabilities,
    UrlCapabilities,
)
from holdfast.contract.requests import CopyObject, Role, TemporaryUrl
from holdfast_conformance.address_steps import FetchExpired, MakeAddress
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.generate.drawing import draw
from holdfast_conformance.model.image_state import ImageSituation
from holdfast_conformance.plan import FinishUpload, Plan, PutObject, SendPart, Step
from holdfast_conformance.profiles import Profile
from holdfast_conformance.scenarios import image_parts
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.image_plans import image_scenario, image_stories
from model_walks import situations

RICH = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=1 << 20, part_min_bytes=16, part_max_bytes=1 << 16, parts_max=32
    ),
    list=ListCapabilities(page_max=1000),
    range=RangeCapabilities(),
    copy=CopyCapabilities(),
    url=UrlCapabilities(expires_max_s=3600.0),
)
PLAIN = msgspec.structs.replace(RICH, copy=None, url=None)
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
PROFILE = Profile(name="tiny", rounds=2, ops=400, steps=20, purpose="a test")


def stories(declared: ImageCapabilities) -> Iterator[Plan]:
    for number, story in enumerate(image_stories(declared)):
        plan = image_scenario(story, declared, Choices(b""), f"p{number}")
        if plan is not None:
            yield plan


def stored_bytes(steps: tuple[Step, ...]) -> int:
    return sum(step.size_bytes for step in steps if isinstance(step, PutObject | SendPart))


def test_the_stories_reach_every_situation() -> None:
    """Nothing that makes a step interesting is left to chance."""
    seen = {
        name
        for declared in (RICH, PLAIN)
        for plan in stories(declared)
        for name in situations(declared, plan)
    }

    assert {name for name in ImageSituation if name not in seen} == set()


@pytest.mark.parametrize("declared", [RICH, POOR, LARGE_PARTS], ids=["rich", "poor", "large"])
def test_plans_fit_what_is_declared(declared: ImageCapabilities) -> None:
    """For every store plans exist that its model can follow and that move no absurd amounts."""
    for plan in stories(declared):
        assert list(situations(declared, plan))
        assert stored_bytes(plan.steps) <= MEMORY_MAX_BYTES


def orders(plan: Plan) -> set[tuple[int, ...]]:
    """The part numbers of every completion, as they were sent."""
    sent: dict[str, list[int]] = {}
    for step in plan.steps:
        if isinstance(step, SendPart):
            sent.setdefault(step.upload, []).append(step.number)
    return {
        tuple(sorted(set(sent.get(step.upload, ())) & set(step.numbers)))
        for step in plan.steps
        if isinstance(step, FinishUpload)
    }


def test_objects_are_joined_from_parts_of_every_class() -> None:
    """Ten and two, as many as there can be, none at all."""
    joined = set[tuple[int, ...]]().union(*(orders(plan) for plan in stories(RICH)))

    assert {(1, 2, 10), tuple(range(1, 18)), (), (1,)} <= joined


def test_a_part_of_the_minimum_is_the_last_and_one_of_nothing_is_too() -> None:
    """The last part has every size from 0 bytes on."""
    lasts = set[int]()
    for data in draw(60, 3):
        plan = image_scenario(image_parts.ends_of_parts, RICH, Choices(data), "p")
        assert plan is not None
        lasts |= {step.size_bytes for step in plan.steps if isinstance(step, SendPart)}

    assert {0, 1, 15, 16, 17} <= lasts


def test_an_older_part_is_named_where_another_has_its_number() -> None:
    """A completion names a part as it was acknowledged before it was replaced."""
    more = msgspec.structs.replace(PROFILE, ops=2000)
    plans = generate_plans(Role.IMAGE, RICH, more, 1)
    naming = [
        plan
        for plan in plans
        if any(isinstance(step, FinishUpload) and step.older for step in plan.steps)
    ]

    assert {plan.origin for plan in naming} == {"older-part", "random"}


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


def test_what_is_undeclared_is_tried_in_its_own_story_only() -> None:
    """Plans for a store without copies and addresses use them to see them refused."""
    plans = generate_plans(Role.IMAGE, PLAIN, PROFILE, 1)
    tried = [
        plan
        for plan in plans
        if any(isinstance(step, CopyObject | TemporaryUrl | MakeAddress) for step in plan.steps)
    ]

    assert {plan.origin for plan in tried} == {"undeclared"}


def test_random_plans_copy_and_make_addresses_and_never_wait() -> None:
    """Chance uses what is declared; only a story waits for the end of an address."""
    plans = generate_plans(Role.IMAGE, RICH, PROFILE, 1)
    walked = {type(step) for plan in plans if plan.origin == "random" for step in plan.steps}
    waits = sum(isinstance(step, FetchExpired) for plan in plans for step in plan.steps)

    assert {CopyObject, MakeAddress} <= walked
    assert FetchExpired not in walked
    assert waits == len([plan for plan in plans if plan.origin == "address-expires"])
