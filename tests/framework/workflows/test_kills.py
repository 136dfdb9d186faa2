"""A process that dies at any commit or driver call loses nothing that was acknowledged."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.contract import errors
from holdfast.operations.operation_outcome import OperationFailed, Verdict
from stories import ACTS, Props, contents, script, write_image
from zones import (
    Faults,
    Planned,
    Switch,
    Zone,
    disagreements,
    memory_zone,
    recovered,
    run_inline,
)


async def count_points(image: Path) -> int:
    """How often the whole story can die."""
    async with memory_zone() as zone:
        switch = Switch()
        await zone.until_killed(script(Props(zone, image)), switch)
        return switch.points


async def killed_and_recovered(zone: Zone, image: Path, kills: list[int]) -> list[str]:
    """What is wrong after a kill, kills of the recoveries that follow, and a last recovery."""
    props = Props(zone, image)
    first, *later = kills
    await zone.until_killed(script(props), Switch(first))
    acknowledged = dict(props.ids)
    before = await contents(zone)
    for kill in later:
        await zone.until_killed(lambda orchestrator: orchestrator.recover(), Switch(kill))
    outcomes = await recovered(zone)
    wrong = [f"{one.kind}: {one.verdict}" for one in outcomes if one.verdict is Verdict.UNKNOWN]
    after = await contents(zone)
    done = {name for name, _, _ in ACTS if name in acknowledged}
    if "reverted" in done and "gone snapshot" not in done:
        root = acknowledged["root"]
        wrong += [] if after[root] == before[root] else ["the reverted volume changed"]
    wrong += [
        f"{name} is lost"
        for name in ("empty", "root")
        if name in done and acknowledged[name] not in after
    ]
    return wrong + await disagreements(zone)


@pytest.mark.slow
def test_a_kill_at_any_point_of_any_workflow_is_recovered(tmp_path: Path) -> None:
    """Killed before or after any commit or driver call, recovery ends every operation, leaks
    nothing and loses nothing.
    """
    image = write_image(tmp_path)

    async def sweep() -> dict[int, list[str]]:
        points = await count_points(image)
        assert points > 200
        wrong: dict[int, list[str]] = {}
        for kill in range(1, points + 1):
            async with memory_zone() as zone:
                wrong[kill] = await killed_and_recovered(zone, image, [kill])
        return {kill: found for kill, found in wrong.items() if found}

    assert run_inline(sweep()) == {}


@pytest.mark.slow
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    kills=st.tuples(
        st.integers(min_value=1, max_value=230),
        st.integers(min_value=1, max_value=30),
        st.integers(min_value=1, max_value=30),
    )
)
def test_recovery_may_be_killed_too(tmp_path: Path, kills: tuple[int, int, int]) -> None:
    """However often a recovery dies, a later one ends all operations."""

    async def crash() -> list[str]:
        async with memory_zone() as zone:
            return await killed_and_recovered(zone, write_image(tmp_path), list(kills))

    assert run_inline(crash()) == []


@pytest.mark.slow
@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    call=st.integers(min_value=1, max_value=60),
    error=st.sampled_from([errors.Exhausted, errors.Denied, errors.Corrupt, errors.Unknown]),
    after_the_fault=st.integers(min_value=1, max_value=24),
)
def test_a_kill_while_work_is_taken_back_is_recovered(
    tmp_path: Path, call: int, error: type[errors.DriverError], after_the_fault: int
) -> None:
    """A process that dies in the middle of compensation leaves nothing behind either."""

    async def crash() -> list[str]:
        async with memory_zone() as zone:
            zone.faults = Faults(Planned(call=call, error=error("planned")))
            switch = Switch()
            zone.faults.struck = lambda: switch.kill_after(after_the_fault)
            try:
                await zone.until_killed(script(Props(zone, write_image(tmp_path))), switch)
            except OperationFailed as failed:
                assert failed.outcome.verdict is Verdict.FAILED_CLEAN  # noqa: PT017 - it may end before the kill
            outcomes = await recovered(zone)
            wrong = [f"{one.verdict}" for one in outcomes if one.left]
            return wrong + await disagreements(zone)

    assert run_inline(crash()) == []
