"""Plans that are played once in a run: they wait, or are many operations long."""

from collections.abc import Callable, Iterator

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast_conformance.plan import Plan
from holdfast_conformance.profiles import Profile
from holdfast_conformance.scenarios import image_later, later
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.image_plans import image_scenario
from holdfast_conformance.scenarios.primary_plans import primary_scenario

MakePlan = Callable[[Choices, str], Plan | None]
"""Makes one plan from its decisions and its id."""


def long_plans(
    capabilities: PrimaryCapabilities | ImageCapabilities, profile: Profile
) -> tuple[MakePlan, ...]:
    """What makes the long plans of a profile, in their order."""
    if isinstance(capabilities, PrimaryCapabilities):
        return tuple(_primary(capabilities, profile))
    return tuple(_image(capabilities, profile))


def _primary(declared: PrimaryCapabilities, profile: Profile) -> Iterator[MakePlan]:
    stories = [
        *(later.many_operations(steps, kind) for kind, steps in enumerate(profile.many)),
        *(
            later.time_passes(seconds, in_maintenance=number % 2 == 0)
            for number, seconds in enumerate(profile.waits_s)
        ),
    ]
    for story in stories:

        def make(choices: Choices, identifier: str, story: later.Story = story) -> Plan | None:
            return primary_scenario(story, declared, choices, identifier)

        yield make


def _image(declared: ImageCapabilities, profile: Profile) -> Iterator[MakePlan]:
    stories = [
        *(image_later.many_operations(steps, kind) for kind, steps in enumerate(profile.many[:2])),
        *(
            image_later.time_passes(seconds, in_maintenance=number % 2 == 0)
            for number, seconds in enumerate(profile.waits_s)
        ),
    ]
    for story in stories:

        def make(
            choices: Choices, identifier: str, story: image_later.Story = story
        ) -> Plan | None:
            return image_scenario(story, declared, choices, identifier)

        yield make
