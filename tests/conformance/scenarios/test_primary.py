"""The stories for primary stores."""

from collections.abc import Iterator

import msgspec
import pytest

from holdfast.contract.capabilities import (
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    CopyCapabilities,
    PrimaryCapabilities,
    QosCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    VolumeCapabilities,
)
from holdfast_conformance.generate.drawing import draw
from holdfast_conformance.model.features import declared_features, features_of
from holdfast_conformance.model.life_cycle import LifeCycleSituation
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.plan import Plan, UseDriver
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.primary_plans import (
    PRIMARY_AGAIN,
    PRIMARY_ONCE,
    PRIMARY_STORIES,
    primary_scenario,
)
from model_walks import situations

RICH = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=1, size_max_bytes=1 << 44, size_granularity_bytes=512, volumes_max=10
    ),
    access=AccessCapabilities(modes=tuple(AccessMode), hosts_max=4),
    resize=ResizeCapabilities(shrink=True),
    copy=CopyCapabilities(),
    qos=QosCapabilities(iops_min=10, iops_max=100),
    snapshot=SnapshotCapabilities(revert=True, snapshots_per_volume_max=5),
    clone=CloneCapabilities(from_snapshot=True, from_volume=True, from_data=True),
)
BARE = PrimaryCapabilities(
    volume=VolumeCapabilities(size_min_bytes=1, size_max_bytes=1 << 44, size_granularity_bytes=1),
    access=AccessCapabilities(hosts_max=1),
)
ONLINE = msgspec.structs.replace(RICH, resize=ResizeCapabilities(shrink=True, online=True))
UNREACHED = {
    Situation.READ_PAST,  # The harness does the I/O; its limits are its own tests' business.
}


def plans(declared: PrimaryCapabilities, seed: int = 1) -> Iterator[Plan]:
    stories = (*PRIMARY_STORIES, *PRIMARY_ONCE, *PRIMARY_AGAIN)
    drawn = draw(len(stories), seed)
    for number, (story, data) in enumerate(zip(stories, drawn, strict=True)):
        plan = primary_scenario(story, declared, Choices(data), f"p{number}")
        if plan is not None:
            yield plan


def test_the_stories_reach_every_situation() -> None:
    """There is a story for each situation that the model knows."""
    reached = {
        situation
        for declared in (RICH, ONLINE)
        for plan in plans(declared)
        for situation in situations(declared, plan)
    }

    missing = {*Situation, *LifeCycleSituation} - set(reached) - UNREACHED
    assert set() == missing


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


def test_stories_are_short() -> None:
    """What kills a mutant is understood at a glance, whichever drivers it goes through."""
    long = {
        plan.origin
        for plan in plans(RICH)
        if sum(not isinstance(step, UseDriver) for step in plan.steps)
        > (100 if plan.origin.endswith("-names") else 35)
    }

    assert long == set()
