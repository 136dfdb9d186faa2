"""Turns on rows: alone or shared, first come, first served, and none lost to a cancellation."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.concurrency.late_calls import UnderWay
from holdfast.contract.errors import Busy
from holdfast.operations.turns import Hold, Turns
from holdfast_simulator.loop import run_virtual

PATIENCE_S = 5.0
ALONE, SHARED = (Hold("row"),), (Hold("row", shared=True),)


class Work:
    """Pieces of work on rows, and what of them was under way at once."""

    def __init__(self) -> None:
        self.turns = Turns(PATIENCE_S)
        self.running: dict[str, tuple[Hold, ...]] = {}
        self.begun: list[str] = []
        self.wrong: list[tuple[str, str]] = []

    async def do(self, name: str, holds: tuple[Hold, ...], seconds: float = 1.0) -> None:
        async with self.turns.take(holds):
            self.begun.append(name)
            self.wrong += [
                (name, other) for other, held in self.running.items() if meet(holds, held)
            ]
            self.running[name] = holds
            try:
                await asyncio.sleep(seconds)
            finally:
                del self.running[name]


def meet(one: tuple[Hold, ...], other: tuple[Hold, ...]) -> bool:
    """Whether two pieces of work need one row and not both of them only to read it."""
    return any(a.row == b.row and not (a.shared and b.shared) for a in one for b in other)


def played(story: Callable[[], Coroutine[Any, Any, float]]) -> float:
    """How long a story took, in virtual seconds."""
    return run_virtual(story(), seed=1)


def test_readers_share_a_turn_and_a_writer_has_it_alone() -> None:
    """Ten who read take as long as one; one who changes the row waits for all of them."""
    work = Work()

    async def story() -> float:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(work.do(f"reader {number}", SHARED))
            group.create_task(work.do("writer", ALONE))
        return loop.time()

    assert (played(story), work.begun[-1], work.wrong) == (2.0, "writer", [])


def test_a_writer_is_not_overtaken_by_readers_that_come_later() -> None:
    """Readers after each other would keep it waiting for ever."""
    work = Work()

    async def story() -> float:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            for name, holds in (("a", SHARED), ("writer", ALONE), ("b", SHARED), ("c", SHARED)):
                group.create_task(work.do(name, holds))
        return loop.time()

    assert (played(story), work.begun, work.wrong) == (3.0, ["a", "writer", "b", "c"], [])


def test_who_stands_behind_one_that_is_cancelled_goes_on() -> None:
    """Two readers share; a writer waits between them and gives up: the later reader need not."""
    work = Work()

    async def story() -> float:
        loop = asyncio.get_running_loop()
        first = asyncio.create_task(work.do("first", SHARED, 10.0))
        await asyncio.sleep(1.0)
        writer = asyncio.create_task(work.do("writer", ALONE))
        second = asyncio.create_task(work.do("second", SHARED))
        await asyncio.sleep(1.0)
        writer.cancel()
        await asyncio.gather(writer, second, return_exceptions=True)
        took = loop.time()
        await first
        return took

    assert (played(story), work.begun, work.wrong) == (3.0, ["first", "second"], [])


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.builds(Hold, st.sampled_from("abc"), shared=st.booleans()),
                min_size=1,
                max_size=3,
            ).map(tuple),
            st.floats(0.0, 3.0),
            st.one_of(st.none(), st.floats(0.0, 6.0)),
        ),
        max_size=9,
    )
)
def test_whatever_is_held_and_cancelled_nobody_meets_and_nothing_is_left(
    drawn: list[tuple[tuple[Hold, ...], float, float | None]],
) -> None:
    """Work on three rows, some of it cancelled at any time, always comes to its end."""
    work = Work()

    async def story() -> float:
        loop = asyncio.get_running_loop()
        tasks = [
            asyncio.create_task(work.do(str(number), holds, seconds))
            for number, (holds, seconds, _) in enumerate(drawn)
        ]
        for task, (_, _, cancelled_s) in zip(tasks, drawn, strict=True):
            if cancelled_s is not None:
                loop.call_later(cancelled_s, task.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        async with AsyncExitStack() as all_rows:
            await all_rows.enter_async_context(work.turns.take([Hold(row) for row in "abc"]))
        return loop.time()

    played(story)

    assert work.wrong == []


@pytest.mark.parametrize(
    ("late", "next_one", "refused"),
    [(SHARED, SHARED, False), (SHARED, ALONE, True), (ALONE, SHARED, True), (ALONE, ALONE, True)],
)
def test_a_call_that_was_given_up_is_waited_for_by_whom_it_could_meet(
    late: tuple[Hold, ...], next_one: tuple[Hold, ...], refused: bool
) -> None:
    """A reader that is late stops nobody who reads; everybody else is told after a time."""
    turns = Turns(PATIENCE_S)

    async def story() -> float:
        call = UnderWay()
        call.add(asyncio.get_running_loop().create_future())
        async with turns.take(late):
            turns.keep(late, "op", [call])
        async with turns.take(next_one):
            return asyncio.get_running_loop().time()

    if refused:
        with pytest.raises(Busy, match="operation op was given up"):
            played(story)
    else:
        assert played(story) == 0.0
