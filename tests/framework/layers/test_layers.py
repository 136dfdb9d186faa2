"""What each layer makes of a call, in virtual time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, cast

import pytest

from guarded import FULL, Scripted
from holdfast.concurrency.runtime import InlineLane, UnderWay, watching
from holdfast.contract import answers, requests
from holdfast.contract.errors import Busy, DriverError, Internal, NotFound, Unavailable, Unknown
from holdfast.contract.requests import CallContext
from holdfast.layers import (
    BackOff,
    CallRecord,
    Deadline,
    Fault,
    Faults,
    Layer,
    LayeredPrimary,
    Recorder,
    Retries,
    Throttle,
)
from holdfast.layers.guard import PRIMARY_RULES, Guard
from holdfast.stores.driver_calls import CalledDriver
from holdfast_simulator.loop import run_virtual

GONE = answers.Gone(key="v")
DELETE = requests.DeleteVolume(key="v")


def ctx(seconds: float = 60.0) -> CallContext:
    return CallContext(operation="op-1", deadline=asyncio.get_running_loop().time() + seconds)


class Slow(Scripted):
    """Takes some seconds over each call, and counts what is with it."""

    def __init__(self, seconds: float, answer: Any = GONE) -> None:
        super().__init__(FULL, answer)
        self.seconds = seconds
        self.with_it = self.most = 0
        self.acted = 0

    def __getattr__(self, verb: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        answer = super().__getattr__(verb)

        async def called(*arguments: object) -> Any:
            self.with_it += 1
            self.most = max(self.most, self.with_it)
            try:
                await asyncio.sleep(self.seconds)
                self.acted += 1
                return await answer(*arguments)
            finally:
                self.with_it -= 1

        return called


def under(driver: Any, *layers: Layer) -> LayeredPrimary:
    """The driver under these layers; a lower one stands first."""
    for layer in layers:
        driver = LayeredPrimary(driver, layer)
    assert isinstance(driver, LayeredPrimary)
    return driver


def test_a_late_call_is_given_up_and_goes_on() -> None:
    """The caller learns at the deadline that nobody knows; who watches knows when it ended."""

    async def story() -> None:
        slow, deadline, watcher = Slow(10.0), Deadline(), UnderWay()
        with watching(watcher), pytest.raises(Unknown, match="may still act"):
            await under(slow, deadline).delete_volume(ctx(3.0), DELETE)
        assert (slow.acted, watcher.pending) == (0, True)

        await deadline.quiet()
        assert (slow.acted, watcher.pending) == (1, False)

    run_virtual(story(), seed=1)


def test_a_cancelled_caller_cuts_no_call_off() -> None:
    """The call ends by itself, and who watches waits for it."""

    async def story() -> None:
        slow, watcher = Slow(10.0), UnderWay()
        with watching(watcher):
            caller = asyncio.ensure_future(under(slow, Deadline()).delete_volume(ctx(), DELETE))
        await asyncio.sleep(1.0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

        assert await watcher.ended()
        assert slow.acted == 1

    run_virtual(story(), seed=1)


def test_nothing_is_called_after_the_deadline() -> None:
    """The error says that nothing was done, and nothing was."""

    async def story() -> None:
        driver = Scripted(FULL, GONE)
        with pytest.raises(Unavailable):
            await under(driver, Deadline()).delete_volume(ctx(0.0), DELETE)
        assert driver.asked == []

    run_virtual(story(), seed=1)


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (Busy("b"), 3),
        (Unavailable("u"), 3),
        (NotFound("n"), 1),
        (Unknown("?"), 1),
        (Internal("i"), 1),
    ],
)
def test_only_what_was_provably_not_done_is_done_again(error: DriverError, calls: int) -> None:
    """Refused calls are made again; what may have acted, and what will not change, is told."""

    async def story() -> None:
        driver = Scripted(FULL, error)
        with pytest.raises(type(error)):
            await under(driver, Retries(BackOff(attempts=3))).delete_volume(ctx(), DELETE)
        assert len(driver.asked) == calls

    run_virtual(story(), seed=1)


def test_no_call_is_made_again_past_its_deadline() -> None:
    """However many attempts are allowed, the caller has its error by the deadline."""

    async def story() -> None:
        until = ctx(5.0)
        driver = Scripted(FULL, Busy("b"))
        with pytest.raises(Busy):
            await under(driver, Retries(BackOff(attempts=1000))).delete_volume(until, DELETE)
        assert asyncio.get_running_loop().time() <= until.deadline
        assert len(driver.asked) > 1

    run_virtual(story(), seed=1)


@pytest.mark.parametrize("calls_max", [1, 3])
def test_a_throttled_store_has_so_many_calls_at_once(calls_max: int) -> None:
    """All are made, and never more than allowed at the same moment."""

    async def story() -> None:
        slow = Slow(1.0)
        driver = under(slow, Throttle(calls_max))
        await asyncio.gather(*(driver.delete_volume(ctx(), DELETE) for _ in range(10)))
        assert (slow.most, slow.acted) == (calls_max, 10)

    run_virtual(story(), seed=1)


def test_who_waits_too_long_for_a_turn_did_nothing() -> None:
    """The error says so, and the turn goes to the next."""

    async def story() -> None:
        slow = Slow(10.0)
        driver = under(slow, Throttle(1))
        first = asyncio.ensure_future(driver.delete_volume(ctx(), DELETE))
        await asyncio.sleep(1.0)
        with pytest.raises(Busy, match="nothing was done"):
            await driver.delete_volume(ctx(2.0), DELETE)
        assert await driver.delete_volume(ctx(), DELETE) == await first
        assert slow.acted == 2

    run_virtual(story(), seed=1)


def test_every_call_is_recorded_with_its_outcome() -> None:
    """Answers, errors, probes and cancellation, with the times between which they lay."""

    async def story() -> None:
        records: list[CallRecord] = []
        slow = Slow(2.0)
        driver = under(slow, Recorder(records.append))
        await driver.delete_volume(ctx(), DELETE)
        await driver.probe(ctx(), "delete_volume", DELETE)
        cancelled = asyncio.ensure_future(driver.delete_volume(ctx(), DELETE))
        await asyncio.sleep(1.0)
        cancelled.cancel()
        await asyncio.wait([cancelled])

        assert [record.verb for record in records] == ["delete_volume", "probe", "delete_volume"]
        assert [record.ended_s - record.began_s for record in records] == [2.0, 2.0, 1.0]
        assert records[0].answer == GONE
        assert isinstance(records[2].error, asyncio.CancelledError)

    run_virtual(story(), seed=1)


def test_a_fault_after_the_act_hides_the_answer_only() -> None:
    """``before`` keeps the driver from being called; ``after`` takes its answer's place."""

    async def story() -> None:
        driver = Scripted(FULL, GONE)
        faults = [Fault(before=Busy("b")), Fault(delay_s=5.0, after=Unknown("lost")), None]

        def planned(*_: object) -> Fault | None:
            return faults.pop(0)

        layered = under(driver, Faults(planned))
        began = asyncio.get_running_loop().time()
        with pytest.raises(Busy):
            await layered.delete_volume(ctx(), DELETE)
        assert driver.asked == []
        with pytest.raises(Unknown):
            await layered.delete_volume(ctx(), DELETE)
        assert driver.asked == ["delete_volume"]
        assert asyncio.get_running_loop().time() == began + 5.0
        assert await layered.delete_volume(ctx(), DELETE) == GONE

    run_virtual(story(), seed=1)


def _no_fault(*_: object) -> None:
    """Everything goes well."""


class Streaming(Scripted):
    """Enumerates three things, a second apart."""

    async def enumerate(self, *_: object) -> AsyncIterator[answers.OwnedThing]:
        for number in "123":
            await asyncio.sleep(1.0)
            yield answers.OwnedThing(kind=answers.OwnedKind.VOLUME, id=number)


PASSING_ON: tuple[Callable[[], Layer], ...] = (
    Deadline,
    Retries,
    lambda: Throttle(1),
    lambda: Recorder(lambda _: None),
    lambda: Faults(_no_fault),
)
"""Layers that leave a good answer as it is."""


@pytest.mark.parametrize("layer", PASSING_ON)
def test_a_stream_passes_every_layer(layer: Callable[[], Layer]) -> None:
    """All things come, in order."""

    async def story() -> None:
        driver = under(Streaming(FULL), layer())
        things = [thing.id async for thing in driver.enumerate(ctx(), requests.EnumerateOwned())]
        assert things == ["1", "2", "3"]

    run_virtual(story(), seed=1)


class Ending(Streaming):
    """Takes a second to end an enumeration."""

    ended = False

    async def enumerate(self, *_: object) -> AsyncIterator[answers.OwnedThing]:
        try:
            async for thing in super().enumerate():
                yield thing
        finally:
            await asyncio.sleep(1.0)
            self.ended = True


@pytest.mark.parametrize("layer", [*PASSING_ON, lambda: Guard(PRIMARY_RULES, FULL, ())])
def test_who_closes_a_stream_closes_the_drivers(layer: Callable[[], Layer]) -> None:
    """When the close has returned, nothing of the call is with the driver any more."""

    async def story() -> None:
        below = Ending(FULL)
        for driver in (under(below, layer()), CalledDriver(under(below, layer()), InlineLane())):
            below.ended = False
            stream: Any = driver.enumerate(ctx(), requests.EnumerateOwned())
            async with aclosing(stream) as things:
                await anext(things)
            assert below.ended

    run_virtual(story(), seed=1)


def test_who_has_seen_enough_of_a_stream_leaves_no_error_behind() -> None:
    """A reader that stops early is recorded with what it got, and an error only where one came."""

    async def story() -> None:
        records: list[CallRecord] = []
        driver = under(Streaming(FULL), Recorder(records.append))
        things = driver.enumerate(ctx(), requests.EnumerateOwned())
        async with aclosing(cast("AsyncGenerator[answers.OwnedThing, None]", things)) as reading:
            assert (await anext(reading)).id == "1"
        assert [(record.things, record.error) for record in records] == [(1, None)]

    run_virtual(story(), seed=1)


def test_a_stream_ends_at_its_deadline() -> None:
    """What came before it came, and then the caller learns that the rest did not."""

    async def story() -> None:
        driver = under(Streaming(FULL), Deadline())
        things = aiter(driver.enumerate(ctx(2.5), requests.EnumerateOwned()))
        assert [(await anext(things)).id for _ in range(2)] == ["1", "2"]
        with pytest.raises(Unknown):
            await anext(things)

    run_virtual(story(), seed=1)
