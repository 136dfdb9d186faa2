"""Work on several items at once: in order, bounded, and ended before an error is told."""

import asyncio

import pytest

from holdfast.concurrency.fan_out import several


def test_results_come_in_order_and_few_are_worked_on_at_once() -> None:
    """Each result stands where its item stood, and no more than asked for run together."""
    running: list[int] = []
    most: list[int] = []

    async def work(item: int) -> int:
        running.append(item)
        most.append(len(running))
        await asyncio.sleep(0)
        running.remove(item)
        return item * item

    found = asyncio.run(several(range(10), work, at_once=3))
    assert found == [item * item for item in range(10)]
    assert max(most) == 3


def test_an_error_is_told_after_everything_begun_has_ended() -> None:
    """The first error in the order of items is raised; nothing begun is given up or left."""
    ended: list[int] = []

    async def work(item: int) -> None:
        await asyncio.sleep(0)
        if item < 2:
            raise ValueError(str(item))
        await asyncio.sleep(0)
        ended.append(item)

    async def story() -> None:
        with pytest.raises(ValueError, match="0"):
            await several(range(8), work, at_once=4)
        assert ended == [2, 3]
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(story())
