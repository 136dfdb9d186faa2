"""Work that may still act is known to whoever watches, until it has ended."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

import pytest

from holdfast.concurrency.lanes import in_lane
from holdfast.concurrency.runtime import (
    InlineRuntime,
    RealRuntime,
    Runtime,
    UnderWay,
    may_still_act,
    use_runtime,
    watching,
)

Begin = Callable[[Callable[[], object]], Awaitable[Any]]


def begin_in_runtime(work: Callable[[], object]) -> Awaitable[Any]:
    return chosen().run_blocking(work)


def begin_in_thread_of_loop(work: Callable[[], object]) -> Awaitable[Any]:
    return asyncio.to_thread(work)


def begin_in_lane(work: Callable[[], object]) -> Awaitable[Any]:
    return chosen().open_lane().run(work)


def chosen() -> Runtime:
    from holdfast.concurrency.runtime import runtime  # noqa: PLC0415 - the one of the running test

    return runtime()


@pytest.mark.parametrize("begin", [begin_in_runtime, begin_in_thread_of_loop, begin_in_lane])
def test_a_thread_is_under_way_until_it_returns(begin: Begin) -> None:
    """Cancelling who waits does not end it; the end of the thread does."""
    acting, let_go = threading.Event(), threading.Event()

    def act() -> None:
        acting.set()
        let_go.wait()

    async def story() -> list[bool]:
        with use_runtime(RealRuntime(seed=1)) as real:
            real.adopt_loop()
            watcher = UnderWay()
            with watching(watcher):
                task = asyncio.ensure_future(begin(act))
                await asyncio.sleep(0)
            await real.run_blocking(acting.wait)
            task.cancel()
            await asyncio.wait([task])
            told = [task.cancelled(), watcher.pending, await watcher.ended(real.now() + 0.01)]
            let_go.set()
            return [*told, await watcher.ended(), watcher.pending]

    assert asyncio.run(story()) == [True, True, False, True, False]


def test_work_begun_by_work_is_waited_for() -> None:
    """What is added while somebody waits is waited for, whatever became of the first."""

    async def story() -> list[bool]:
        watcher = UnderWay()
        loop = asyncio.get_running_loop()
        first: asyncio.Future[None] = loop.create_future()
        second: Future[None] = Future()
        with watching(watcher):
            may_still_act(first)
        waiting = asyncio.ensure_future(watcher.ended())
        await asyncio.sleep(0)
        watcher.add(second)
        first.set_exception(OSError("nobody hears this"))
        for _ in range(5):
            await asyncio.sleep(0)
        told = [waiting.done(), first.exception() is not None]
        second.cancel()
        second.set_running_or_notify_cancel()
        return [*told, await waiting]

    assert asyncio.run(story()) == [False, True, True]


def test_nothing_is_noted_where_nobody_watches() -> None:
    """Outside, and where a watcher has been taken away again, work is nobody's."""

    async def story() -> bool:
        watcher = UnderWay()
        with watching(watcher), watching(None):
            may_still_act(asyncio.get_running_loop().create_future())
        may_still_act(asyncio.get_running_loop().create_future())
        return watcher.pending

    assert not asyncio.run(story())


def test_work_in_virtual_time_is_never_under_way() -> None:
    """Inline work has ended when its caller goes on."""

    async def story() -> bool:
        watcher = UnderWay()
        with use_runtime(InlineRuntime(seed=1)) as inline, watching(watcher):
            inline.adopt_loop()
            await inline.run_blocking(lambda: None)
            return watcher.pending

    assert not asyncio.run(story())


def test_a_full_lane_leaves_the_threads_of_others_alone() -> None:
    """More stuck calls than a lane has threads do not delay a call outside of it."""
    let_go = threading.Event()

    async def story() -> str:
        with use_runtime(RealRuntime(seed=1, threads=1)) as real:
            real.adopt_loop()
            with in_lane(real.open_lane(2)):
                stuck = [asyncio.ensure_future(real.run_blocking(let_go.wait)) for _ in range(8)]
                stuck += [asyncio.ensure_future(asyncio.to_thread(let_go.wait)) for _ in range(40)]
                await asyncio.sleep(0)
            answers = [await real.run_blocking(lambda: "a"), await asyncio.to_thread(lambda: "b")]
            let_go.set()
            await asyncio.gather(*stuck)
            return "".join(answers)

    assert asyncio.run(story()) == "ab"
