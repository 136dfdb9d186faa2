"""The loop in virtual time."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import simpy

from holdfast.catalogue.sqlite import open_catalogue
from holdfast.concurrency.runtime import runtime
from holdfast.model.rows import Zone
from holdfast_simulator.loop import Deadlock, VirtualLoop, run_virtual
from holdfast_simulator.real_world import RealWorldReached


def test_time_jumps() -> None:
    """A year passes at once, and the clock shows exactly a year."""

    async def main() -> float:
        await asyncio.sleep(365 * 86400)
        return runtime().now()

    assert run_virtual(main(), seed=1) == 365 * 86400.0


def test_what_is_due_first_runs_first() -> None:
    """Timers run by their time, and those of one instant in the order they were set."""
    log: list[tuple[float, str]] = []

    async def sleeper(name: str, delay: float) -> None:
        await asyncio.sleep(delay)
        log.append((asyncio.get_running_loop().time(), name))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for name, delay in (("a", 2.0), ("b", 1.0), ("c", 2.0), ("d", 0.0)):
                group.create_task(sleeper(name, delay))

    run_virtual(main(), seed=1)

    assert log == [(0.0, "d"), (1.0, "b"), (2.0, "a"), (2.0, "c")]


def test_timeouts_and_cancellation_work() -> None:
    """A timeout ends a wait at its instant; a timer that was cancelled does nothing."""

    async def main() -> tuple[float, list[int]]:
        fired: list[int] = []
        loop = asyncio.get_running_loop()
        loop.call_later(1, fired.append, 1)
        loop.call_later(2, fired.append, 2).cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        return loop.time(), fired

    assert run_virtual(main(), seed=1) == (5.0, [1])


def test_timers_that_were_cancelled_do_not_pile_up() -> None:
    """After any number of waits that ended in time, the queue holds a few entries, and no more."""

    async def main() -> tuple[float, int, list[str]]:
        loop = virtual_loop()
        fired: list[str] = []
        loop.call_later(2 * 86400, fired.append, "live")
        most = 0
        for _ in range(5_000):
            await asyncio.wait_for(asyncio.sleep(0.001), timeout=86400)
            most = max(most, loop.environment.scheduled)
        now = round(loop.time(), 6)
        await asyncio.sleep(3 * 86400)
        return now, most, fired

    now, most, fired = run_virtual(main(), seed=1)

    assert (now, fired) == (5.0, ["live"])
    assert most < 200


def test_cancelling_keeps_the_order_of_the_others() -> None:
    """Of many timers, most of them cancelled, those that are left run by time and as they were set,
    SimPy's own among them.
    """

    async def main() -> list[int]:
        loop = virtual_loop()
        ran: list[int] = []

        def later(number: int) -> asyncio.TimerHandle:
            return loop.call_later(1 + number % 7, ran.append, number)

        def at_three(_event: object) -> None:
            ran.append(-1)

        timers = [later(number) for number in range(1_000)]
        event: Any = loop.environment.timeout(3)
        event.callbacks.append(at_three)
        timers += [later(number) for number in range(1_000, 1_100)]
        for number, timer in enumerate(timers):
            if number % 10:
                timer.cancel()
                timer.cancel()
        await asyncio.sleep(10)
        for timer in timers:
            timer.cancel()
        assert loop.environment.scheduled < 10
        return ran

    by_time = sorted(range(0, 1_100, 10), key=lambda number: number % 7)
    before = [number for number in by_time if number % 7 < 2 + (number < 1_000)]
    expected = [*before, -1, *by_time[len(before) :]]
    assert run_virtual(main(), seed=1) == expected


def test_a_cancelled_timer_takes_no_time() -> None:
    """Where nothing else is scheduled, the clock stays where it is."""

    async def main() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.sleep(3)
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"at 3\.0 s "):
        run_virtual(main(), seed=1)


def virtual_loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def test_a_wait_that_never_ends_is_a_deadlock() -> None:
    """When nothing is scheduled any more, the run ends at once and names the tasks that wait."""

    async def main() -> None:
        waiting = asyncio.create_task(asyncio.Event().wait(), name="for godot")
        await asyncio.sleep(3)
        await waiting

    with pytest.raises(Deadlock, match=r"at 3\.0 s .*for godot"):
        run_virtual(main(), seed=1)


def test_equal_seeds_have_equal_histories() -> None:
    """Ids and random numbers come from the seed: equal seeds agree, different ones do not."""

    async def main() -> list[object]:
        history: list[object] = []
        for _ in range(5):
            await asyncio.sleep(runtime().random.random())
            history.append((runtime().now(), runtime().wall_clock(), runtime().new_id("x")))
        return history

    assert run_virtual(main(), seed=7) == run_virtual(main(), seed=7)
    assert run_virtual(main(), seed=7) != run_virtual(main(), seed=8)


def in_thread() -> None:
    threading.Thread(target=print).start()


REAL_WORLD: dict[str, Callable[[], object]] = {
    "thread": in_thread,
    "socket": socket.socket,
    "process": lambda: subprocess.run(["true"], check=True),
    "fork": os.fork,
    "sleep": lambda: time.sleep(0.001),
    "time": time.time,
    "monotonic": lambda: time.monotonic(),  # noqa: PLW0108 - looked up inside
    "perf_counter": lambda: time.perf_counter(),  # noqa: PLW0108 - looked up inside
}


@pytest.mark.parametrize("what", REAL_WORLD)
def test_the_real_world_cannot_be_reached(what: str) -> None:
    """Threads, sockets, processes, waits and real clocks raise inside, and work again outside."""

    async def main() -> None:
        if what == "time":
            time.time()
        REAL_WORLD[what]()

    with pytest.raises(RealWorldReached, match=r"in virtual time"):
        run_virtual(main(), seed=1)
    with socket.socket():
        assert time.monotonic() <= time.monotonic()


def test_another_thread_may_do_as_it_likes() -> None:
    """Only the virtual loop's own thread is refused the real world."""
    done: list[bool] = []
    go, finished = threading.Event(), threading.Event()

    def outside() -> None:
        go.wait()
        with socket.socket():
            done.append(time.monotonic() > 0)
        finished.set()

    async def main() -> None:
        go.set()
        finished.wait()

    thread = threading.Thread(target=outside)
    thread.start()
    run_virtual(main(), seed=1)
    thread.join()

    assert done == [True]


Loop = asyncio.AbstractEventLoop

LOOP_CALLS: dict[str, Callable[[Loop], object]] = {
    "executor": lambda loop: loop.run_in_executor(None, print),
    "threadsafe": lambda loop: loop.call_soon_threadsafe(print),
    "reader": lambda loop: loop.add_reader(0, print),
    "connection": lambda loop: loop.create_connection(asyncio.Protocol, "localhost", 1),
}


@pytest.mark.parametrize("call", LOOP_CALLS)
def test_loop_calls_for_the_real_world_are_refused(call: str) -> None:
    """The loop's own ways to threads, files and connections raise as well."""

    async def main() -> None:
        LOOP_CALLS[call](asyncio.get_running_loop())

    with pytest.raises(RealWorldReached, match="virtual time"):
        run_virtual(main(), seed=1)


def test_an_exception_nobody_awaits_ends_the_run() -> None:
    """A callback that raises is not lost; a handler may be told instead."""

    def broken() -> None:
        raise LookupError("mine")

    async def main(handler: Callable[..., object] | None) -> str:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(handler)
        loop.call_soon(broken)
        await asyncio.sleep(1)
        return "went on"

    def tell(_loop: object, context: dict[str, Any]) -> None:
        told.append(context)

    told: list[object] = []
    with pytest.raises(LookupError, match="mine"):
        run_virtual(main(None), seed=1)
    assert run_virtual(main(tell), seed=1) == "went on"
    assert len(told) == 1


def test_generators_are_closed_with_the_loop() -> None:
    """What an asynchronous generator does last is done when the run ends."""
    log: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            log.append("closed")

    async def main() -> None:
        opened.append(numbers())
        await anext(opened[0])

    opened: list[Any] = []
    run_virtual(main(), seed=1)

    assert log == ["closed"]


def test_a_simpy_process_shares_the_clock() -> None:
    """A SimPy process on the loop's environment and a task see one time."""
    log: list[tuple[str, float]] = []

    def device(environment: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        for _ in range(3):
            yield environment.timeout(2)
            log.append(("device", environment.now))

    async def main() -> None:
        loop = virtual_loop()
        loop.environment.process(device(loop.environment))
        await asyncio.sleep(5)
        log.append(("task", loop.time()))

    run_virtual(main(), seed=1)

    assert log == [("device", 2), ("device", 4), ("task", 5)]


def test_a_closed_loop_schedules_nothing() -> None:
    """After it is closed, a loop refuses callbacks."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()

    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)


def test_a_sqlite_catalogue_works_in_virtual_time(tmp_path: Path) -> None:
    """SQL runs inline on the virtual loop, and takes none of its time."""

    async def main() -> tuple[list[str], float]:
        async with open_catalogue(tmp_path / "zone.db") as catalogue:
            await catalogue.transact(lambda tx: tx.insert(Zone(id="z", name="a")))
            await asyncio.sleep(60)
            found = await catalogue.transact(lambda tx: [zone.id for zone in tx.select(Zone)])
        return found, runtime().now()

    assert run_virtual(main(), seed=1) == (["z"], 60.0)
    assert sys.get_asyncgen_hooks().firstiter is None
