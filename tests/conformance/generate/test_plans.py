"""Plans follow from the suite's version, the seed, the capabilities and the profile alone."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from holdfast.contract.capabilities import (
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    CopyCapabilities,
    ImageCapabilities,
    ListCapabilities,
    PrimaryCapabilities,
    RangeCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    UploadCapabilities,
    UrlCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast_conformance.generate import generate_plans, plans_digest
from holdfast_conformance.generate.drawing import draw
from holdfast_conformance.generate.long_plans import long_plans
from holdfast_conformance.plan import (
    InjectFault,
    Together,
    UseDriver,
    Wait,
    decode_plan,
    encode_plan,
)
from holdfast_conformance.plan_limits import excess_of
from holdfast_conformance.profiles import PROFILES, Profile, find_profile
from holdfast_conformance.scenarios.choices import Choices

PROFILE = Profile(name="test", rounds=2, ops=200, steps=20, purpose="a test")
PRIMARY = PrimaryCapabilities(
    volume=VolumeCapabilities(size_min_bytes=1, size_max_bytes=1 << 44, size_granularity_bytes=512),
    access=AccessCapabilities(modes=tuple(AccessMode)),
    resize=ResizeCapabilities(shrink=True),
    snapshot=SnapshotCapabilities(revert=True),
    clone=CloneCapabilities(from_snapshot=True, from_volume=True),
)
IMAGE = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=1 << 30, part_min_bytes=1, part_max_bytes=1 << 20, parts_max=100
    ),
    list=ListCapabilities(page_max=1000),
    range=RangeCapabilities(),
    copy=CopyCapabilities(),
    url=UrlCapabilities(expires_max_s=100.0),
)
ELSEWHERE = """
import sys
import a_local_module
import msgspec
from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.requests import Role
from holdfast_conformance.generate import generate_plans, plans_digest
from holdfast_conformance.profiles import Profile

profile = msgspec.json.decode(sys.argv[1], type=Profile)
for role, document in zip(Role, sys.argv[2:]):
    declared = msgspec.json.decode(document, type=PrimaryCapabilities | ImageCapabilities)
    print(plans_digest(generate_plans(role, declared, profile, 3)))
"""


def digests() -> list[str]:
    both = ((Role.PRIMARY, PRIMARY), (Role.IMAGE, IMAGE))
    return [plans_digest(generate_plans(role, declared, PROFILE, 3)) for role, declared in both]


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_another_process_makes_the_same_bytes(tmp_path: Path, hash_seed: str) -> None:
    """Neither the hash seed, nor CI, nor constants in some local module change a plan."""
    constants = "\n".join(f"X{number} = (b'constant {number}', {number})" for number in range(300))
    (tmp_path / "a_local_module.py").write_text(constants)
    (tmp_path / "main.py").write_text(ELSEWHERE)
    documents = [msgspec.json.encode(value).decode() for value in (PROFILE, PRIMARY, IMAGE)]

    ran = subprocess.run(
        [sys.executable, "main.py", *documents],
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "CI": "true"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert digests() == ran.stdout.split()


def test_every_seed_makes_other_plans() -> None:
    """Two seeds share no plan beyond what has no room to differ."""
    first = generate_plans(Role.PRIMARY, PRIMARY, PROFILE, 1)
    second = generate_plans(Role.PRIMARY, PRIMARY, PROFILE, 2)
    steps = {plan.steps for plan in first}

    assert sum(plan.steps in steps for plan in second) < len(second) / 10


def test_other_capabilities_make_other_draws() -> None:
    """What a store declares is mixed into the seed."""
    without = msgspec.structs.replace(PRIMARY, clone=None)
    walks = [
        [plan.steps for plan in generate_plans(Role.PRIMARY, declared, PROFILE, 1)[-3:]]
        for declared in (PRIMARY, without)
    ]

    assert walks[0] != walks[1]


def test_ids_are_unique() -> None:
    """A plan's id names one plan: it is in every stamp."""
    plans = generate_plans(Role.PRIMARY, PRIMARY, PROFILE, 1)

    assert len(plans) == len({plan.id for plan in plans})


def test_plans_survive_being_written_down() -> None:
    """The canonical bytes of a plan are read back as the same plan."""
    plans = generate_plans(Role.PRIMARY, PRIMARY, PROFILE, 1)

    assert plans == tuple(decode_plan(encode_plan(plan)) for plan in plans)


def test_faults_that_a_testbed_lacks_are_left_out() -> None:
    """Without the fault there is no plan with it, and all others are drawn anew: to hide a fault
    from a report, one must run other plans.
    """
    with_faults = generate_plans(Role.PRIMARY, PRIMARY, PROFILE, 1, tuple(Fault))
    without = generate_plans(Role.PRIMARY, PRIMARY, PROFILE, 1, ())

    calm = [
        plan
        for plan in with_faults
        if not any(isinstance(step, InjectFault) for step in plan.steps)
    ]
    assert len(calm) < len(with_faults)
    assert {plan.id for plan in calm} == {plan.id for plan in without}
    assert [plan.steps for plan in calm] != [plan.steps for plan in without]


def test_the_role_must_fit_the_capabilities() -> None:
    """Plans of one role are never made from the other's capabilities."""
    with pytest.raises(ValueError, match="other than image"):
        generate_plans(Role.IMAGE, PRIMARY, PROFILE, 1)


def test_draws_are_even_and_never_empty() -> None:
    """All byte values are drawn, about equally often: no preferred constants."""
    drawn = b"".join(draw(50, 9))
    counts = [drawn.count(value) for value in range(256)]

    assert min(counts) > 200
    assert max(counts) < 420


@pytest.mark.parametrize(("name", "most_s"), [("smoke", 5.0), ("ci", 10.0)])
def test_a_run_waits_for_seconds_only(name: str, most_s: float) -> None:
    """All plans of both roles together let little time pass, and some of them do."""
    profile = find_profile(name)
    waited_s = 0.0
    for role, declared in ((Role.PRIMARY, PRIMARY), (Role.IMAGE, IMAGE)):
        plans = generate_plans(role, declared, profile, 1)
        waited_s += sum(s.seconds for plan in plans for s in plan.steps if isinstance(s, Wait))

    assert 0 < waited_s <= most_s


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_the_long_plans_of_a_profile_are_within_the_limits(profile: Profile) -> None:
    """None is left out because it asks for too much."""
    for declared in (PRIMARY, IMAGE):
        for number, make in enumerate(long_plans(declared, profile)):
            plan = make(Choices(bytes(range(256)) * 6), f"p{number}")

            assert plan is not None
            assert excess_of(plan) == ""


def test_random_plans_make_calls_at_once_and_go_through_two_drivers() -> None:
    """Chance draws what stories tell."""
    for role, declared in ((Role.PRIMARY, PRIMARY), (Role.IMAGE, IMAGE)):
        drawn_by = (generate_plans(role, declared, find_profile("smoke"), s) for s in range(4))
        plans = [plan for seeded in drawn_by for plan in seeded]
        drawn = {type(step) for plan in plans if plan.origin == "random" for step in plan.steps}

        assert drawn >= {Together, UseDriver}
