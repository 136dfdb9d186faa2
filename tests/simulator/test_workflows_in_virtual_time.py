"""Every workflow runs on a loop whose time jumps: nothing real leaks in."""

import asyncio
from itertools import pairwise
from pathlib import Path

from holdfast.contract.errors import Unavailable
from holdfast.model.rows import Operation, Store
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.step_retries import Policy
from holdfast_simulator.loop import run_virtual
from stories import ACTS, Props, contents, script, write_image
from zones import Faults, Planned, Switch, disagreements, memory_zone, recovered


async def _story(image: Path) -> tuple[list[str], dict[str, str], list[str]]:
    async with memory_zone() as zone:
        assert not await zone.until_killed(script(Props(zone, image)), Switch())
        ids = [row.id for row in await zone.rows(Operation)]
        return ids, await contents(zone), await disagreements(zone)


def test_every_workflow_runs_in_virtual_time(tmp_path: Path) -> None:
    """The whole story, with its scrub, on the jumping loop."""
    ids, _, wrong = run_virtual(_story(write_image(tmp_path)), seed=1)

    assert len(ids) == len(ACTS)
    assert wrong == []


def test_one_seed_gives_one_history(tmp_path: Path) -> None:
    """Equal seeds give equal ids and bytes; another seed gives other ids."""
    image = write_image(tmp_path)

    first = run_virtual(_story(image), seed=7)

    assert run_virtual(_story(image), seed=7) == first
    assert run_virtual(_story(image), seed=8)[0] != first[0]


def test_a_recovery_runs_in_virtual_time(tmp_path: Path) -> None:
    """Kill and recovery, on the jumping loop."""

    async def story(kill: int) -> tuple[int, list[str]]:
        async with memory_zone() as zone:
            await zone.until_killed(script(Props(zone, write_image(tmp_path))), Switch(kill))
            return len(await recovered(zone)), await disagreements(zone)

    ended = [run_virtual(story(kill), seed=1) for kill in range(95, 105)]

    assert {wrong for _, found in ended for wrong in found} == set()
    assert sum(count for count, _ in ended) > 5


def test_a_driver_that_hangs_keeps_its_object(tmp_path: Path) -> None:
    """A call that never returns has an unknown outcome, and its rows stay as they are: nothing is
    asked, done again or decided while it may still act, and the end of the orchestrator ends it.
    """

    async def story() -> tuple[list[float], list[Verdict], list[str], str, list[str]]:
        async with memory_zone() as zone:
            loop = asyncio.get_running_loop()
            props = Props(zone, write_image(tmp_path))
            async with zone.orchestrator() as orchestrator:
                await script(props, 6)(orchestrator)
                zone.faults.planned = Planned(call=len(zone.faults.calls) + 1, hang=True)
                zone.faults.log.clear()
                times = [loop.time()]
                outcome = await orchestrator.run(ACTS[6][2](props))
                times.append(loop.time())
                (left,) = await orchestrator.recover()
                verdicts = [outcome.verdict, left.outcome.verdict]
                log = list(zone.faults.log)
                times.append(loop.time())
            times.append(loop.time())
            waited = [after - before for before, after in pairwise(times)]
            verdicts += [one.verdict for one in await recovered(zone)]
            return waited, verdicts, log, left.outcome.error, await disagreements(zone)

    waited, verdicts, log, error, wrong = run_virtual(story(), seed=1)

    assert [60 <= seconds < 120 for seconds in waited] == [True] * 3
    assert verdicts == [Verdict.UNKNOWN, Verdict.UNKNOWN, Verdict.SUCCEEDED]
    assert log == ["create_snapshot"]
    assert "may still act" in error
    assert wrong == []


def test_waiting_costs_no_time(tmp_path: Path) -> None:
    """A store that is down for good is given up after minutes of virtual time."""

    async def story() -> tuple[float, int]:
        async with memory_zone() as zone:
            zone.faults = Faults(Planned(call=1, error=Unavailable("down"), lasting=True))
            slow = Policy(backoff_s=60.0, backoff_max_s=120.0, step_s=3600.0)
            async with zone.orchestrator(policy=slow) as orchestrator:
                outcome = await orchestrator.run(ACTS[0][2](Props(zone, tmp_path)))
                return asyncio.get_running_loop().time(), len(
                    [row for row in await zone.rows(Store) if row.id == outcome.subject]
                )

    elapsed, stores = run_virtual(story(), seed=1)

    assert elapsed > 60
    assert stores == 1
