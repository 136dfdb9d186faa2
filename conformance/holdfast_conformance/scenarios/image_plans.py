"""The list of stories for image stores: told each round, each second one, or once."""

from collections.abc import Callable, Iterator

from holdfast.contract.capabilities import ImageCapabilities
from holdfast.contract.requests import Role
from holdfast_conformance.plan import Plan, Step
from holdfast_conformance.scenarios import (
    image_addresses,
    image_at_once,
    image_copies,
    image_late_calls,
    image_lists,
    image_names,
    image_neighbours,
    image_objects,
    image_owned,
    image_parts,
    image_probes,
    image_refusals,
    image_stores,
    image_two_drivers,
    image_uploads,
    image_versions,
)
from holdfast_conformance.scenarios.alternating import alternating
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.image_script import HOST, Script

Story = Callable[[Script], Iterator[Step]]

IMAGE_STORIES: tuple[Story, ...] = (
    *image_objects.STORIES,
    *image_uploads.STORIES,
    *image_names.STORIES,
    *image_parts.STORIES,
    *image_versions.STORIES,
    *image_stores.STORIES,
    *image_probes.STORIES,
    *image_late_calls.STORIES,
    *image_owned.STORIES,
    *image_lists.STORIES,
    *image_stores.FRESH_STORIES,
    *image_two_drivers.STORIES,
    *image_refusals.STORIES,
)
"""Those for every store, whatever it declares."""
IMAGE_ONCE: tuple[Story, ...] = (
    *image_at_once.ONCE,
    *image_neighbours.ONCE,
    *image_refusals.ONCE,
)
"""What is played once, however many rounds there are."""
IMAGE_AGAIN: tuple[Story, ...] = image_at_once.AGAIN
"""What is played once more where there is a second round, the other way around."""


IMAGE_VARIED = frozenset(
    (
        *image_names.STORIES,
        *image_names.COPY_STORIES,
        *image_names.ADDRESS_STORIES,
        *image_parts.STORIES,
    )
)
"""What is another story each time: its names, sizes and numbers are all that it is about. Any other
is told in every second round.
"""

_COPY_STORIES: tuple[Story, ...] = (
    *image_copies.STORIES,
    *image_names.COPY_STORIES,
    *image_versions.COPY_STORIES,
)
_ADDRESS_STORIES: tuple[Story, ...] = (
    *image_addresses.STORIES,
    *image_names.ADDRESS_STORIES,
    *image_versions.ADDRESS_STORIES,
)


def image_stories(declared: ImageCapabilities) -> tuple[Story, ...]:
    """The stories for a store, with those of what it declares beyond the ordinary."""
    copies = _COPY_STORIES if declared.copy is not None else ()
    addresses = _ADDRESS_STORIES if declared.url is not None else ()
    return (*IMAGE_STORIES, *copies, *addresses)


def image_scenario(
    story: Story, declared: ImageCapabilities, choices: Choices, identifier: str
) -> Plan | None:
    """The plan of one story, or ``None`` where the store declares too little for it."""
    steps = tuple(story(Script(declared, choices)))
    if not steps:
        return None
    ready = story not in (*image_stores.FRESH_STORIES, *image_refusals.FRESH_STORIES)
    return Plan(
        id=identifier,
        role=Role.IMAGE,
        origin=story.__name__.replace("_", "-"),
        store=f"store-{identifier}",
        hosts=(HOST,) if ready else (),
        ready=ready,
        steps=alternating(steps, choices) if ready else steps,
    )
