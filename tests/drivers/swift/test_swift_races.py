"""Two callers at work on one key of Swift: whatever the order of requests, an object is whole."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from engines import require_engine
from races import PAIRS, Actors, Race
from running_testbeds import Backend, Running, running
from swift_stores import Store, context, on_a_store

pytestmark = pytest.mark.slow
FULL = os.environ.get("HOLDFAST_RACES") == "full"
"""Whether a call is stopped before each of its requests, also where the key is new; else before
some of them.
"""


@pytest.fixture(scope="module", params=("container", "container:gateway"))
def swift(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A running Swift, and the gateway."""
    require_engine()
    with running(Backend(provider="swift", kind=request.param), f"races-{os.getpid()}") as found:
        yield found


async def kinds(store: Store) -> list[str]:
    return [thing.kind.value for thing in await store.things()]


@pytest.mark.parametrize("old", [False, True] if FULL else [None], ids=str)
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_an_object_is_whole_wherever_another_call_comes_between(
    swift: Running, first: str, second: str, *, old: bool | None
) -> None:
    """One call is stopped before one of its requests while another runs to its end."""
    replacing = "copy" not in (first, second) if old is None else old

    async def story(store: Store) -> None:
        race = Race(store.connection, lambda: Actors(store.image, context), lambda: kinds(store))
        await race.play(first, second, old=replacing, full=FULL)

    on_a_store(swift, story)


def test_of_two_completions_at_once_one_becomes_the_object_and_nothing_stays_of_the_other(
    swift: Running,
) -> None:
    async def story(store: Store) -> None:
        for _ in range(20):
            actors = Actors(store.image, context)
            await actors.prepare(old=False)
            works = (actors.complete_one, actors.complete_two)
            await asyncio.gather(*map(actors.again_while_busy, works))
            assert await actors.whole_object() in actors.allowed("complete_one", "complete_two")
            assert await kinds(store) == ["object"] * 2
            await actors.clear()

    on_a_store(swift, story)
