"""All stories for image stores, and the plans made from them."""

from collections.abc import Callable, Iterator

from holdfast.capabilities import ImageCapabilities
from holdfast.requests import Role
from holdfast_conformance.plan import Plan, Step
from holdfast_conformance.scenarios import (
    image_addresses,
    image_copies,
    image_objects,
    image_stores,
    image_uploads,
)
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.image_script import HOST, Script

Story = Callable[[Script], Iterator[Step]]

IMAGE_STORIES: tuple[Story, ...] = (
    *image_objects.STORIES,
    *image_uploads.STORIES,
    *image_stores.STORIES,
    *image_stores.FRESH_STORIES,
)
"""Those for every store, whatever it declares."""


def image_stories(declared: ImageCapabilities) -> tuple[Story, ...]:
    """The stories for a store, with those of what it declares beyond the ordinary."""
    copies = image_copies.STORIES if declared.copy is not None else ()
    addresses = image_addresses.STORIES if declared.url is not None else ()
    return (*IMAGE_STORIES, *copies, *addresses)


def image_scenario(
    story: Story, declared: ImageCapabilities, choices: Choices, identifier: str
) -> Plan | None:
    """The plan of one story, or ``None`` where the store declares too little for it."""
    steps = tuple(story(Script(declared, choices)))
    if not steps:
        return None
    ready = story not in image_stores.FRESH_STORIES
    return Plan(
        id=identifier,
        role=Role.IMAGE,
        origin=story.__name__.replace("_", "-"),
        store=f"store-{identifier}",
        hosts=(HOST,) if ready else (),
        ready=ready,
        steps=steps,
    )
