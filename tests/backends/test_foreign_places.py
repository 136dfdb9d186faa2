"""On every server: a place that is another store than the one that is meant is refused."""

import itertools

import pytest

from foreign_stores import STORIES, EmptyPlace, Story
from holdfast.contract.requests import Role
from holdfast.stores.open_store import open_life_cycle
from running_testbeds import Running

pytestmark = pytest.mark.slow
_numbers = itertools.count()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_place_is_never_taken_for_another_store(
    place: tuple[Running, Role], story: Story
) -> None:
    """Each story of a place that is another store, or none, or one from before, holds."""
    found, role = place
    namespace = f"foreign{next(_numbers)}"

    async def main() -> None:
        config = found.testbed.config(role, namespace)
        try:
            async with open_life_cycle(found.provider, config, role) as life_cycle:
                host = found.testbed.hosts[0]
                await story(EmptyPlace(found.provider, config, role, life_cycle, host))
        finally:
            await found.testbed.remove(role, namespace)

    found.run(main())
