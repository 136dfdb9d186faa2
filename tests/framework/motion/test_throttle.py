"""Limits in bytes a second, in virtual time: kept, shared fairly, and changed while they bind."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import UsageError
from holdfast.motion.throttle import Limit
from holdfast_simulator.loop import run_virtual

MIB = 1 << 20
BURST_S = 0.25


@given(st.lists(st.integers(1, 16 * MIB), min_size=1, max_size=20), st.integers(1, 1 << 30))
def test_no_more_passes_than_the_limit_and_a_burst(counts: list[int], rate: int) -> None:
    """At each moment what has passed fits into the time since the beginning, but for the burst."""

    async def main() -> list[tuple[float, int]]:
        limit, began, passed = Limit(rate), runtime().now(), 0
        seen: list[tuple[float, int]] = []
        for count in counts:
            await limit.take(count)
            passed += count
            seen.append((runtime().now() - began, passed))
        return seen

    seen = run_virtual(main(), seed=1)
    for elapsed_s, passed in seen:
        assert passed <= rate * (elapsed_s + BURST_S) * (1 + 1e-9) + 1
    assert seen[-1][0] <= sum(counts) / rate + 1e-6


def test_transfers_beside_each_other_get_equal_shares() -> None:
    """Of two that never stop asking, neither is ahead by more than the burst and a piece."""

    async def main() -> list[int]:
        limit, passed = Limit(64 * MIB), [0, 0]

        async def transfer(which: int) -> None:
            while True:
                await limit.take(16 * MIB)
                passed[which] += 16 * MIB

        tasks = [asyncio.create_task(transfer(which)) for which in range(2)]
        await asyncio.sleep(60)
        for task in tasks:
            task.cancel()
        return passed

    first, second = run_virtual(main(), seed=1)
    assert abs(first - second) <= 32 * MIB
    assert first + second == pytest.approx(60 * 64 * MIB, rel=0.02)


def test_a_limit_that_is_changed_binds_those_who_wait() -> None:
    """What would have waited an hour passes when the limit is lifted, and waits when it is set."""

    async def main() -> tuple[float, float]:
        limit = Limit(1 * MIB)
        began = runtime().now()
        waiting = asyncio.create_task(limit.take(3600 * MIB))
        await asyncio.sleep(5)
        limit.change(None)
        await waiting
        lifted_s = runtime().now() - began
        limit.change(10 * MIB)
        began = runtime().now()
        await limit.take(100 * MIB)
        return lifted_s, runtime().now() - began

    lifted_s, limited_s = run_virtual(main(), seed=1)
    assert lifted_s == pytest.approx(5)
    assert limited_s == pytest.approx(100 / 10 - BURST_S)


def test_who_gives_up_waiting_takes_nothing() -> None:
    """A transfer that is cancelled while it waits costs those behind it nothing."""

    async def main() -> float:
        limit = Limit(1 * MIB)
        given_up = asyncio.create_task(limit.take(3600 * MIB))
        await asyncio.sleep(1)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        began = runtime().now()
        await limit.take(10 * MIB)
        return runtime().now() - began

    assert run_virtual(main(), seed=1) == pytest.approx(10 - BURST_S)


@pytest.mark.parametrize("rate", [0, -1])
def test_a_limit_of_nothing_is_refused(rate: int) -> None:
    """A limit of 0 would be a pause that looks like a fault."""

    async def main() -> None:
        limit = Limit(MIB)
        with pytest.raises(UsageError, match="lets nothing pass"):
            limit.change(rate)
        with pytest.raises(UsageError, match="lets nothing pass"):
            Limit(rate)
        await limit.take(1)

    run_virtual(main(), seed=1)
