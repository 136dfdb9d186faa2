"""Volumes that are made of what is behind a handle: whichever answer is right is no finding."""

import msgspec
import pytest

from holdfast.contract import requests
from holdfast.contract.capabilities import AccessMode, PrimaryCapabilities
from holdfast.contract.requests import Role
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.plan import CreateFromData, Step
from holdfast_conformance.plan_limits import excess_of
from holdfast_conformance.profiles import Profile
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES
from judged_plans import judges
from worker_plans import plan_of

SIZE = 16384
DATA = CreateFromData(key="k", size_bytes=SIZE, volume="v", host="host-a")
STALE = msgspec.structs.replace(DATA, stale=True)
OPENED: tuple[Step, ...] = (
    requests.CreateVolume(key="v", size_bytes=SIZE),
    requests.Grant(volume="v", host="host-a", mode=AccessMode.SHARED),
    requests.Open(volume="v", host="host-a"),
)
REVOKE = requests.Revoke(volume="v", host="host-a")
GONE = requests.DeleteVolume(key="v")
PLANS: dict[str, tuple[Step, ...]] = {
    "it is there already": (*OPENED, DATA, REVOKE, STALE),
    "the key is another volume's": (
        *OPENED,
        requests.CreateVolume(key="k", size_bytes=4096),
        STALE,
    ),
    "another volume's, and useless": (
        *OPENED,
        requests.CreateVolume(key="k", size_bytes=4096),
        REVOKE,
        STALE,
    ),
    "the volume is gone": (*OPENED, REVOKE, GONE, STALE),
    "more than there is": (*OPENED, msgspec.structs.replace(DATA, length_bytes=1 << 40)),
    "a part": (*OPENED, msgspec.structs.replace(DATA, length_bytes=5001)),
}


@pytest.mark.slow
def test_the_reference_driver_is_right_about_every_kind_of_source() -> None:
    """Taken keys, useless handles, parts, and more than there is."""
    said = dict(zip(PLANS, judges("memory", *PLANS.values()), strict=True))

    assert {name: judge.findings for name, judge in said.items() if judge.findings} == {}


def test_no_strangers_plan_names_a_part_that_is_none() -> None:
    """It would show a right driver failing."""
    plan = plan_of(*OPENED, msgspec.structs.replace(DATA, length_bytes=-5))

    assert "no part of any" in excess_of(plan)


@pytest.mark.slow
def test_no_walk_copies_more_than_one_call_can() -> None:
    """Who copies holes, too, must be able to copy it within one call's deadline."""
    declared: PrimaryCapabilities = PRIMARY_CAPABILITIES
    walks = Profile(name="walks", rounds=0, ops=20_000, steps=30, purpose="random walks")
    copied: list[CreateFromData] = []
    for plan in generate_plans(Role.PRIMARY, declared, walks, 5, ()):
        copied += (step for step in plan.steps if isinstance(step, CreateFromData))

    assert len(copied) > 50
    assert all(step.length_bytes or step.size_bytes <= 16 << 20 for step in copied)
