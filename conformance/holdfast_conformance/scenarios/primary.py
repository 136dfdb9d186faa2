"""All stories for primary stores, and the plans made from them."""

from collections.abc import Callable, Iterator

from holdfast.capabilities import PrimaryCapabilities
from holdfast.requests import Role
from holdfast_conformance.plan import Plan, Step
from holdfast_conformance.scenarios import (
    access,
    clones,
    lives,
    names,
    repeats,
    snapshots,
    stores,
    volumes,
)
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.script import Script

Story = Callable[[Script], Iterator[Step]]

PRIMARY_STORIES: tuple[Story, ...] = (
    *volumes.STORIES,
    *names.STORIES,
    *snapshots.STORIES,
    *clones.STORIES,
    *access.STORIES,
    *stores.STORIES,
    *repeats.STORIES,
    *lives.STORIES,
)


def primary_scenario(
    story: Story, declared: PrimaryCapabilities, choices: Choices, identifier: str
) -> Plan | None:
    """The plan of one story, or ``None`` where the store declares too little for it."""
    script = Script(declared, choices)
    steps = tuple(story(script))
    if not steps:
        return None
    ready = story not in lives.STORIES
    return Plan(
        id=identifier,
        role=Role.PRIMARY,
        origin=story.__name__.replace("_", "-"),
        store=f"store-{identifier}",
        hosts=script.hosts if ready else (),
        ready=ready,
        steps=steps,
    )
