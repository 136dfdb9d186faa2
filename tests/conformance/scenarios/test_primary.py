"""The stories for primary stores."""

from collections import Counter
from collections.abc import Iterator

import pytest

from holdfast.capabilities import (
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    PrimaryCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    VolumeCapabilities,
)
from holdfast.requests import CreateVolume
from holdfast_conformance.generate.drawing import draw
from holdfast_conformance.model.features import declared_features, features_of
from holdfast_conformance.model.life_cycle import LifeCycleSituation
from holdfast_conformance.model.primary import PrimaryModel
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.plan import Plan, preparation
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.names import PATHS, TWINS
from holdfast_conformance.scenarios.primary import PRIMARY_STORIES, primary_scenario

RICH = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=1, size_max_bytes=1 << 44, size_granularity_bytes=512, volumes_max=10
    ),
    access=AccessCapabilities(modes=tuple(AccessMode)),
    resize=ResizeCapabilities(shrink=True),
    snapshot=SnapshotCapabilities(revert=True, snapshots_per_volume_max=5),
    clone=CloneCapabilities(from_snapshot=True, from_volume=True, from_data=True),
)
BARE = PrimaryCapabilities(
    volume=VolumeCapabilities(size_min_bytes=1, size_max_bytes=1 << 44, size_granularity_bytes=1),
    access=AccessCapabilities(hosts_max=1),
)
UNREACHED = {
    Situation.MODIFY,  # Nobody declares limits of I/O
    Situation.COPY,  # or native copies.
    Situation.WRITE_PAST,  # The harness does the I/O; its limits are its own tests' business.
    Situation.READ_PAST,
}


def plans(declared: PrimaryCapabilities, seed: int = 1) -> Iterator[Plan]:
    drawn = draw(len(PRIMARY_STORIES), seed)
    for number, (story, data) in enumerate(zip(PRIMARY_STORIES, drawn, strict=True)):
        plan = primary_scenario(story, declared, Choices(data), f"p{number}")
        if plan is not None:
            yield plan


def situations(declared: PrimaryCapabilities, plan: Plan) -> Iterator[str]:
    """The situations that a plan goes through when everything works."""
    model = PrimaryModel(declared)
    state = model.initial(plan)
    for step in (*preparation(plan), *plan.steps):
        expectation = model.expect(state, step)
        assert expectation.branches, step
        yield from expectation.situations
        state = expectation.likely


def test_the_stories_reach_every_situation() -> None:
    """There is a story for each situation that the model knows."""
    reached = Counter(situation for plan in plans(RICH) for situation in situations(RICH, plan))

    missing = {*Situation, *LifeCycleSituation} - set(reached) - UNREACHED
    assert {LifeCycleSituation.ATTACH_TOO_MANY} == missing


@pytest.mark.parametrize("declared", [RICH, BARE], ids=["rich", "bare"])
def test_only_the_story_about_it_asks_for_what_is_undeclared(
    declared: PrimaryCapabilities,
) -> None:
    """A story that needs a feature is only told where the store has it."""
    there = declared_features(declared)
    asking = {
        plan.origin
        for plan in plans(declared)
        for step in plan.steps
        if not there.issuperset(features_of(step))
    }

    assert {"undeclared"} == asking


def test_too_many_hosts_are_tried_where_there_is_a_limit() -> None:
    """A store for one host is asked for a second one."""
    reached = {situation for plan in plans(BARE) for situation in situations(BARE, plan)}

    assert LifeCycleSituation.ATTACH_TOO_MANY in reached


@pytest.mark.parametrize("seed", range(20))
def test_paths_and_twins_are_always_among_the_names(seed: int) -> None:
    """A store that takes names for paths, folds or cuts them is found whatever is drawn."""
    asked = {
        step.key for plan in plans(RICH, seed) for step in plan.steps if type(step) is CreateVolume
    }

    assert asked.issuperset({*PATHS, *(name for pair in TWINS for name in pair)})


def test_stories_are_short() -> None:
    """What kills a mutant is understood at a glance."""
    long = {plan.origin for plan in plans(RICH) if len(plan.steps) > 25}

    assert long == set()
