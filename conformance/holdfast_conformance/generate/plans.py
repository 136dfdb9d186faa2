"""All plans of a profile, drawn: the corpus, scenarios several times, random walks, long plans.

They follow from the suite's version, the corpus, the seed, the capabilities, the faults that a
testbed has and the profile's sizes alone.
"""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast_conformance.generate.corpus import corpus_of, faults_of
from holdfast_conformance.generate.drawing import draw
from holdfast_conformance.generate.long_plans import long_plans
from holdfast_conformance.generate.random_image import random_image
from holdfast_conformance.generate.random_primary import random_primary
from holdfast_conformance.plan import Plan, encode_plan
from holdfast_conformance.plan_limits import excess_of_work
from holdfast_conformance.profiles import Profile
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.image_plans import (
    IMAGE_AGAIN,
    IMAGE_ONCE,
    IMAGE_VARIED,
    image_scenario,
    image_stories,
)
from holdfast_conformance.scenarios.primary_plans import (
    PRIMARY_AGAIN,
    PRIMARY_ONCE,
    PRIMARY_STORIES,
    PRIMARY_VARIED,
    primary_scenario,
)

SUITE_VERSION = "3"
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
        faults: those a testbed can put in force; plans that need others are left out, and all
            others are drawn anew.
    """
    declared = "primary" if isinstance(capabilities, PrimaryCapabilities) else "image"
    if declared != role.value:
        raise ValueError(f"these are the capabilities of a role other than {role.value}")
    available = frozenset(faults)
    if profile.corpus:
        yield from corpus_of(role, available)
    stories = _stories(capabilities)
    repeated = profile.rounds * stories
    scenarios = repeated + _once(capabilities, profile)
    walks = scenarios + profile.ops // profile.steps
    last = long_plans(capabilities, profile)
    drawn = draw(walks + len(last), _mixed(capabilities, seed, available))
    for index, data in enumerate(drawn):
        identifier, choices = f"{role.value}-{seed:x}-{index}", Choices(data, index // stories)
        if index < repeated:
            plan = _repeated(capabilities, index % stories, choices, identifier)
        elif index < scenarios:
            number = stories + index - repeated
            plan = _scenario(capabilities, number, choices, identifier)
        elif index >= walks:
            plan = last[index - walks](choices, identifier)
        else:
            plan = _walk(capabilities, choices, identifier, profile.steps)
        if plan is None or excess_of_work(plan):
            continue
        if available.issuperset(faults_of(plan)):
            yield plan


def plans_digest(plans: Iterable[Plan]) -> str:
    """The SHA-256 of all plans, each as its canonical bytes and a line feed."""
    digest = hashlib.sha256()
    for plan in plans:
        digest.update(encode_plan(plan) + b"\n")
    return digest.hexdigest()


def _mixed(capabilities: Capabilities, seed: int, faults: frozenset[Fault]) -> int:
    """A seed for Hypothesis that differs wherever anything that decides the plans differs."""
    document = msgspec.json.encode(capabilities, order="sorted")
    mixed = hashlib.blake2b(document, digest_size=8, person=SUITE_VERSION.encode()[:16])
    mixed.update(seed.to_bytes(32, "little", signed=True))
    # Whoever hides a fault that a driver failed under needs other plans, and not only fewer.
    mixed.update(msgspec.json.encode(sorted(faults)))
    return int.from_bytes(mixed.digest(), "little")


def _stories(capabilities: Capabilities) -> int:
    if isinstance(capabilities, PrimaryCapabilities):
        return len(PRIMARY_STORIES)
    return len(image_stories(capabilities))


def _once(capabilities: Capabilities, profile: Profile) -> int:
    """How many stories are played once, after the rounds of all others."""
    primary = isinstance(capabilities, PrimaryCapabilities)
    once = len(PRIMARY_ONCE if primary else IMAGE_ONCE)
    again = len(PRIMARY_AGAIN if primary else IMAGE_AGAIN)
    return once + (again if profile.rounds > 1 else 0)


def _repeated(
    capabilities: Capabilities, number: int, choices: Choices, identifier: str
) -> Plan | None:
    """The plan of a story of each round; ``None`` where it would be much the same once more."""
    if choices.turn % 2 and not _is_varied(capabilities, number):
        return None
    return _scenario(capabilities, number, choices, identifier)


def _is_varied(capabilities: Capabilities, number: int) -> bool:
    if isinstance(capabilities, PrimaryCapabilities):
        return PRIMARY_STORIES[number] in PRIMARY_VARIED
    return image_stories(capabilities)[number] in IMAGE_VARIED


def _scenario(
    capabilities: Capabilities, number: int, choices: Choices, identifier: str
) -> Plan | None:
    if isinstance(capabilities, PrimaryCapabilities):
        stories = (*PRIMARY_STORIES, *PRIMARY_ONCE, *PRIMARY_AGAIN)
        return primary_scenario(stories[number], capabilities, choices, identifier)
    story = (*image_stories(capabilities), *IMAGE_ONCE, *IMAGE_AGAIN)[number]
    return image_scenario(story, capabilities, choices, identifier)


def _walk(capabilities: Capabilities, choices: Choices, identifier: str, steps: int) -> Plan:
    if isinstance(capabilities, PrimaryCapabilities):
        return random_primary(capabilities, choices, identifier, steps)
    return random_image(capabilities, choices, identifier, steps)
