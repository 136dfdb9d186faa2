"""Stories that fill a store up to what it declares."""

from collections.abc import Iterator

import msgspec
import pytest

from holdfast.contract.capabilities import (
    AccessCapabilities,
    CloneCapabilities,
    Lifetime,
    PrimaryCapabilities,
    SnapshotCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.requests import Role
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.model.life_cycle import LifeCycleSituation
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.model.primary_store import PrimaryModel
from holdfast_conformance.plan import Plan, preparation
from holdfast_conformance.plan_limits import STEPS_MAX
from holdfast_conformance.primary_limits import (
    COUNTED_MAX,
    can_clone,
    has_size_between,
    has_two_sizes,
    out_of_reach,
)
from holdfast_conformance.profiles import find_profile

SMALL = VolumeCapabilities(size_min_bytes=1, size_max_bytes=1 << 40, size_granularity_bytes=4096)
MIB = 1 << 20


def limited(
    *, volumes: int | None = None, snapshots: int | None = None, hosts: int | None = None
) -> PrimaryCapabilities:
    return PrimaryCapabilities(
        volume=msgspec.structs.replace(SMALL, volumes_max=volumes),
        access=AccessCapabilities(hosts_max=hosts),
        snapshot=SnapshotCapabilities(snapshots_per_volume_max=snapshots),
        clone=CloneCapabilities(from_snapshot=True, from_volume=True),
    )


def situations(declared: PrimaryCapabilities, plan: Plan) -> Iterator[str]:
    model = PrimaryModel(declared)
    state = model.initial(plan)
    for step in (*preparation(plan), *plan.steps):
        expectation = model.expect(state, step)
        yield from expectation.situations
        state = expectation.likely


@pytest.mark.parametrize("most", [1, 2, 3, 17, 64, COUNTED_MAX])
def test_one_more_than_declared_is_always_asked_for(most: int) -> None:
    """The last volume, snapshot and host that are declared are had, and one more is refused."""
    declared = limited(volumes=most, snapshots=most, hosts=most)
    plans = generate_plans(Role.PRIMARY, declared, find_profile("smoke"), 0)
    reached = {one for plan in plans for one in situations(declared, plan)}

    assert reached.issuperset(
        {
            Situation.CREATE_LAST,
            Situation.CREATE_FULL,
            Situation.SNAPSHOT_LAST,
            Situation.SNAPSHOT_FULL,
            LifeCycleSituation.ATTACH_LAST,
            LifeCycleSituation.ATTACH_TOO_MANY,
        }
    )
    assert max(len(plan.steps) for plan in plans) <= STEPS_MAX


def test_what_is_beyond_reach_is_not_filled_up() -> None:
    """A limit of thousands costs nothing."""
    beyond = COUNTED_MAX + 1
    declared = limited(volumes=beyond, snapshots=beyond, hosts=beyond)
    plans = generate_plans(Role.PRIMARY, declared, find_profile("smoke"), 0)

    assert max(len(plan.steps) for plan in plans) < COUNTED_MAX


def test_a_story_that_fills_a_store_is_played_once() -> None:
    """More rounds repeat the short stories only."""
    origins = [
        plan.origin
        for plan in generate_plans(Role.PRIMARY, limited(volumes=64), find_profile("ci"), 0)
    ]

    assert origins.count("every-volume") == 1
    assert origins.count("create-again") > 1


@pytest.mark.parametrize(
    ("smallest", "largest", "step", "two", "between"),
    [
        (MIB, MIB, MIB, False, False),
        (1, MIB, MIB, False, True),
        (1, MIB, 1, True, False),
        (1, 8192, 4096, True, True),
        (4096, 5000, 4096, False, False),
        (4000, 5000, 4096, False, True),
    ],
)
def test_sizes_that_can_be_tried(
    smallest: int, largest: int, step: int, two: bool, between: bool
) -> None:
    """Two sizes are needed to grow, and one that is no multiple to round."""
    limits = VolumeCapabilities(
        size_min_bytes=smallest, size_max_bytes=largest, size_granularity_bytes=step
    )
    declared = PrimaryCapabilities(volume=limits, access=AccessCapabilities())

    assert (has_two_sizes(declared), has_size_between(declared)) == (two, between)


@pytest.mark.parametrize(
    ("lifetime", "clones", "without"),
    [
        (Lifetime.INDEPENDENT, True, set[str]()),
        (Lifetime.BLOCKS_DELETE, False, {"clone.from_snapshot"}),
    ],
)
def test_a_store_of_one_volume_clones_only_what_is_gone(
    lifetime: Lifetime, clones: bool, without: set[str]
) -> None:
    """A snapshot that outlives its volume is the only source beside which there is room."""
    one = limited(volumes=1)
    declared = msgspec.structs.replace(one, snapshot=SnapshotCapabilities(lifetime=lifetime))

    assert can_clone(declared) is clones
    assert out_of_reach(declared) == {"clone.from_volume", "clone.from_data", "copy", *without}
