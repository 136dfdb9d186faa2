"""The plans of a profile: every scenario several times, then random walks through the model.

They follow from the suite's version, the seed, the capabilities and the profile's sizes alone.
"""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from holdfast.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.requests import Role
from holdfast.testbed import Fault
from holdfast_conformance.generate.drawing import draw
from holdfast_conformance.generate.random_image import random_image
from holdfast_conformance.generate.random_primary import random_primary
from holdfast_conformance.plan import InjectFault, Plan, encode_plan
from holdfast_conformance.plan_limits import excess_of_work
from holdfast_conformance.profiles import Profile
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.image import image_scenario, image_stories
from holdfast_conformance.scenarios.primary import PRIMARY_STORIES, primary_scenario

SUITE_VERSION = "2"
"""Grows with every change of what is generated."""

Capabilities = PrimaryCapabilities | ImageCapabilities


def generate_plans(
    role: Role,
    capabilities: Capabilities,
    profile: Profile,
    seed: int,
    faults: Iterable[Fault] = tuple(Fault),
) -> tuple[Plan, ...]:
    """All plans of a profile for one role; arguments are those of ``plans_of``."""
    return tuple(plans_of(role, capabilities, profile, seed, faults))


def plans_of(
    role: Role,
    capabilities: Capabilities,
    profile: Profile,
    seed: int,
    faults: Iterable[Fault] = tuple(Fault),
) -> Iterator[Plan]:
    """The plans of a profile for one role, each made when it is asked for.

    What would be beyond the suite's own limits, because a store declares such sizes, is left out.

    Args:
        role: the role that ``capabilities`` are of.
        capabilities: what the store declares.
        profile: how much of it.
        seed: which of all possible plans.
        faults: those a testbed can put in force; plans that need others are left out.
    """
    declared = "primary" if isinstance(capabilities, PrimaryCapabilities) else "image"
    if declared != role.value:
        raise ValueError(f"these are the capabilities of a role other than {role.value}")
    stories = _stories(capabilities)
    scenarios = profile.rounds * stories
    drawn = draw(scenarios + profile.ops // profile.steps, _mixed(capabilities, seed))
    available = frozenset(faults)
    for index, data in enumerate(drawn):
        identifier, choices = f"{role.value}-{seed:x}-{index}", Choices(data)
        if index < scenarios:
            plan = _scenario(capabilities, index % stories, choices, identifier)
        else:
            plan = _walk(capabilities, choices, identifier, profile.steps)
        if plan is None or excess_of_work(plan):
            continue
        if available.issuperset(_faults_of(plan)):
            yield plan


def plans_digest(plans: Iterable[Plan]) -> str:
    """The SHA-256 of all plans, each as its canonical bytes and a line feed."""
    digest = hashlib.sha256()
    for plan in plans:
        digest.update(encode_plan(plan) + b"\n")
    return digest.hexdigest()


def _mixed(capabilities: Capabilities, seed: int) -> int:
    """A seed for Hypothesis that differs wherever anything that decides the plans differs."""
    document = msgspec.json.encode(capabilities, order="sorted")
    mixed = hashlib.blake2b(document, digest_size=8, person=SUITE_VERSION.encode()[:16])
    mixed.update(seed.to_bytes(32, "little", signed=True))
    return int.from_bytes(mixed.digest(), "little")


def _stories(capabilities: Capabilities) -> int:
    if isinstance(capabilities, PrimaryCapabilities):
        return len(PRIMARY_STORIES)
    return len(image_stories(capabilities))


def _scenario(
    capabilities: Capabilities, number: int, choices: Choices, identifier: str
) -> Plan | None:
    if isinstance(capabilities, PrimaryCapabilities):
        return primary_scenario(PRIMARY_STORIES[number], capabilities, choices, identifier)
    story = image_stories(capabilities)[number]
    return image_scenario(story, capabilities, choices, identifier)


def _walk(capabilities: Capabilities, choices: Choices, identifier: str, steps: int) -> Plan:
    if isinstance(capabilities, PrimaryCapabilities):
        return random_primary(capabilities, choices, identifier, steps)
    return random_image(capabilities, choices, identifier, steps)


def _faults_of(plan: Plan) -> frozenset[Fault]:
    return frozenset(step.fault for step in plan.steps if isinstance(step, InjectFault))
