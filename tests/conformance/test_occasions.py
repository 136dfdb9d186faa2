"""A defect's own property is tried first."""

from pathlib import Path

from holdfast.contract.requests import Role
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.profiles import find_profile
from holdfast_conformance.strength.occasions import (
    in_order_of_occasion,
    known_occasions,
    occasions_in,
    story_of,
)
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES, PRIMARY_CAPABILITIES
from written_reports import write_original

PLANS = (
    *generate_plans(Role.PRIMARY, PRIMARY_CAPABILITIES, find_profile("smoke"), 5),
    *generate_plans(Role.IMAGE, IMAGE_CAPABILITIES, find_profile("smoke"), 5),
)


def test_every_property_that_plans_can_violate_has_occasions() -> None:
    """The stories of all are in every run, but for what loading alone shows and what nobody
    declares.
    """
    stories = {story_of(plan) for plan in PLANS}
    known = known_occasions()
    without = {entry.id for entry in all_properties() if entry.id not in known}

    assert {story for each in known.values() for story in each} <= stories
    assert without == {"CAP-02", "QOS-01"}


def test_no_plan_is_lost_or_doubled() -> None:
    """The plans are the same, in another order; where no story is known, in the same."""
    ordered = in_order_of_occasion(PLANS, "LIF-02")

    assert [story_of(plan) for plan in ordered[:2]] != [story_of(plan) for plan in PLANS[:2]]
    assert story_of(ordered[0]).endswith("initialize-bad")
    assert sorted(plan.id for plan in ordered) == sorted(plan.id for plan in PLANS)
    assert in_order_of_occasion(PLANS, "none") == PLANS


def test_the_densest_story_of_a_property_comes_first(tmp_path: Path) -> None:
    """What a run shows is counted for each step, so that short stories come before long ones."""
    write_original(tmp_path / "out", "memory")
    found = occasions_in(sorted((tmp_path / "out" / "traces").iterdir()))

    assert found["LIF-02"][0] in {"primary:initialize-bad", "image:initialize-bad"}
    assert found["SEC-01"] == ("primary:secrets",)
