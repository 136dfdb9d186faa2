"""The catalogue stays owned while a driver call that was cut off still acts."""

import asyncio
import threading

from holdfast.assembly import open_orchestrator
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.concurrency.runtime import RealRuntime, use_runtime


def test_an_orchestrator_ends_after_the_calls_that_were_cut_off() -> None:
    """Cancelled again and again, it waits for a thread that is at work, and is cancelled then."""
    acting, let_go = threading.Event(), threading.Event()
    order: list[str] = []

    def act() -> None:
        acting.set()
        let_go.wait()
        order.append("the call ended")

    async def own() -> None:
        try:
            async with MemoryCatalogue().opened() as catalogue, open_orchestrator(catalogue):
                await chosen.run_blocking(act)
        finally:
            order.append("the catalogue is free")

    async def story() -> bool:
        task = asyncio.create_task(own())
        await chosen.run_blocking(acting.wait)
        for _ in range(3):
            task.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
        order.append("let go")
        let_go.set()
        await asyncio.wait([task])
        return task.cancelled()

    chosen = RealRuntime(seed=1)
    with use_runtime(chosen):
        cancelled = asyncio.run(story())

    assert cancelled
    assert order == ["let go", "the call ended", "the catalogue is free"]


def test_what_ended_badly_is_waited_for_like_the_rest() -> None:
    """A call that nobody waits for any more may fail; waiting for it raises nothing."""
    let_go = threading.Event()

    def fail() -> None:
        let_go.wait()
        raise OSError("nobody hears this")

    async def story() -> bool:
        chosen = RealRuntime(seed=1)
        task = asyncio.create_task(chosen.run_blocking(fail))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        waiting = asyncio.create_task(chosen.drained())
        let_go.set()
        await waiting
        return task.cancelled()

    assert asyncio.run(story())
