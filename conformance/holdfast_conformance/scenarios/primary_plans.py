"""The list of stories for primary stores: told each round, each second one, or once."""

from collections.abc import Callable, Iterator

from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.requests import Role
from holdfast_conformance.plan import Plan, Step
from holdfast_conformance.scenarios import (
    access,
    at_once,
    byte_ranges,
    clones,
    declared,
    figures,
    full,
    late_calls,
    lists,
    lives,
    made_from_data,
    names,
    neighbours,
    owned,
    probes,
    repeats,
    retries,
    snapshots,
    stores,
    two_drivers,
    volumes,
)
from holdfast_conformance.scenarios.alternating import alternating
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.script import Script

Story = Callable[[Script], Iterator[Step]]

PRIMARY_STORIES: tuple[Story, ...] = (
    *volumes.STORIES,
    *byte_ranges.STORIES,
    *names.STORIES,
    *snapshots.STORIES,
    *clones.STORIES,
    *made_from_data.STORIES,
    *access.STORIES,
    *stores.STORIES,
    *repeats.STORIES,
    *probes.STORIES,
    *late_calls.STORIES,
    *owned.STORIES,
    *lists.STORIES,
    *lives.STORIES,
    *two_drivers.STORIES,
    *figures.STORIES,
    *retries.STORIES,
    *declared.STORIES,
)
PRIMARY_ONCE: tuple[Story, ...] = (
    *full.STORIES,
    *figures.ONCE,
    *retries.ONCE,
    *at_once.ONCE,
    *neighbours.ONCE,
)
"""What is played once, however many rounds there are."""
PRIMARY_AGAIN: tuple[Story, ...] = at_once.AGAIN
"""What is played once more where there is a second round, the other way around."""

PRIMARY_VARIED = frozenset((*names.VARIED, *byte_ranges.VARIED))
"""What is another story each time: its names, sizes and places are all that it is about. Any other
is told in every second round.
"""

_FRESH = frozenset((*lives.STORIES, *full.FRESH_STORIES, *retries.FRESH_STORIES))


def primary_scenario(
    story: Story, capabilities: PrimaryCapabilities, choices: Choices, identifier: str
) -> Plan | None:
    """The plan of one story, or ``None`` where the store declares too little for it."""
    script = Script(capabilities, choices)
    steps = tuple(story(script))
    if not steps:
        return None
    ready = story not in _FRESH
    return Plan(
        id=identifier,
        role=Role.PRIMARY,
        origin=story.__name__.replace("_", "-"),
        store=f"store-{identifier}",
        hosts=script.hosts if ready else (),
        ready=ready,
        steps=alternating(steps, choices) if ready else steps,
    )
