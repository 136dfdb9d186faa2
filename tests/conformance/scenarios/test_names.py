"""Names by class: every kind of key meets every class."""

from collections.abc import Callable, Iterator

import pytest
from tests.conformance.scenarios import test_image, test_primary

from holdfast.contract.requests import KEY_MAX_BYTES, Role
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.generate.drawing import draw
from holdfast_conformance.model.image_state import ImageSituation
from holdfast_conformance.model.look_alikes import has_look_alike
from holdfast_conformance.model.primary_state import Situation, good_key
from holdfast_conformance.plan import Plan
from holdfast_conformance.profiles import find_profile
from holdfast_conformance.scenarios import image_names, names
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.image_plans import image_scenario
from holdfast_conformance.scenarios.name_classes import (
    CLASSES,
    DESTRUCTIVE,
    NameClass,
    classes_of,
    groups_of,
    without_joining,
)
from holdfast_conformance.scenarios.primary_plans import primary_scenario
from model_walks import situations


def draws() -> Iterator[Choices]:
    return (Choices(data) for data in draw(60, 3))


@pytest.mark.parametrize("drawn", CLASSES, ids=lambda drawn: drawn.__name__)
def test_a_class_draws_names_that_the_contract_allows(drawn: NameClass) -> None:
    """Each group has one to three names, each another, and none that nothing can have."""
    groups = {drawn(choices) for choices in draws()}

    assert len(groups) > 1
    for group in groups:
        assert 1 <= len(set(group)) == len(group) <= 4
        assert all(map(good_key, group))


def test_two_rounds_meet_what_destroys_and_three_meet_everything() -> None:
    """Smoke tells every story twice, ci three times."""
    assert {*classes_of(0), *classes_of(1)} == set(DESTRUCTIVE)
    assert {*classes_of(0), *classes_of(1), *classes_of(2)} == set(CLASSES)
    assert find_profile("smoke").rounds == 2
    assert find_profile("ci").rounds == 3


def test_a_group_of_each_class_is_drawn() -> None:
    """No class is left out by chance."""
    for turn in range(4):
        drawn = groups_of(Choices(next(iter(draw(1, 9))), turn))
        assert len(drawn) == len(classes_of(turn))


def test_names_in_grants_do_not_break_inventories() -> None:
    """An inventory names a grant by volume, host and mode with bars between."""
    names_in_grants = without_joining(("a|b", "a,b", "a!b", "c"))

    assert names_in_grants == ("a!b", "c")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Disk-a", "disk-A"),
        ("e\u0301", "\u00e9"),
        ("a%2Fb", "a/b"),
        ("x" * 127 + "a", "x" * 127 + "b"),
        ("vol.", "vol"),
        ("ab_c", "abxc"),
        ("vol", "vol-1"),
    ],
)
def test_names_look_alike_to_somebody_careless(name: str, other: str) -> None:
    """What differs in case, form, code, end or length is alike, and nothing is like itself."""
    assert has_look_alike(name, [other])
    assert has_look_alike(other, [name])
    assert not has_look_alike(name, [name])
    assert not has_look_alike("disk-71", ["vol-12", "disk-72"])


def turns(story: str) -> list[Plan]:
    """The plans of a story as told in three rounds."""
    plans: list[Plan] = []
    for turn, data in enumerate(draw(3, 11)):
        for primary in names.STORIES:
            if primary.__name__ == story:
                made = primary_scenario(primary, test_primary.RICH, Choices(data, turn), "p")
                plans.extend([made] if made else [])
        for image in (
            *image_names.STORIES,
            *image_names.COPY_STORIES,
            *image_names.ADDRESS_STORIES,
        ):
            if image.__name__ == story:
                shown = image_scenario(image, test_image.RICH, Choices(data, turn), "p")
                plans.extend([shown] if shown else [])
    return plans


STORIES: dict[str, Callable[[Plan], Iterator[str]]] = {
    **dict.fromkeys(
        ("volume_names", "snapshot_names", "clone_names", "host_names"),
        lambda plan: situations(test_primary.RICH, plan),
    ),
    **dict.fromkeys(
        ("object_names", "upload_names", "copy_names", "address_names"),
        lambda plan: situations(test_image.RICH, plan),
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_every_kind_of_key_meets_odd_names_beside_their_look_alikes(story: str) -> None:
    """In each round a name is used while one lives that looks like it."""
    told = turns(story)

    assert len(told) == 3
    for plan in told:
        seen = set(STORIES[story](plan))
        assert {Situation.HOSTILE, ImageSituation.LOOK_ALIKE} <= seen


@pytest.mark.parametrize("role", Role)
def test_random_plans_meet_odd_names_of_the_longest_kind(role: Role) -> None:
    """Chance draws names of every class, too."""
    declared = test_primary.RICH if role is Role.PRIMARY else test_image.RICH
    keys = {
        value
        for seed in range(5)
        for plan in generate_plans(role, declared, test_image.PROFILE, seed)
        if plan.origin == "random"
        for step in plan.steps
        for field in ("key", "upload", "target", "host")
        if isinstance(value := getattr(step, field, None), str)
    }

    assert any(not key.isascii() for key in keys)
    assert any(len(key.encode()) >= KEY_MAX_BYTES - 1 for key in keys)
    assert any(not key.isprintable() for key in keys)
