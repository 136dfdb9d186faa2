"""Workflows in virtual time, with the lanes of a runtime that was named."""

import asyncio
from pathlib import Path

from holdfast.concurrency.lanes import in_lane
from holdfast.concurrency.named_runtimes import load_runtime
from holdfast.concurrency.runtime import run_in, runtime
from holdfast.contract.requests import Role
from holdfast.workflows import create_volume
from holdfast_simulator.loop import run_virtual
from slow_disks import SECONDS, SlowDisks
from stories import ACTS, Props, script, write_image
from zones import Switch, disagreements, local_zone

NAME = "slow_disks:SlowDisks"


def slow_disks() -> SlowDisks:
    found = load_runtime(NAME, seed=1)
    assert isinstance(found, SlowDisks)
    return found


def test_every_workflow_runs_in_the_lanes_of_a_runtime_that_was_named(tmp_path: Path) -> None:
    """The whole story on real files: the stores' blocking work takes their lanes' virtual time, and
    at the end every lane is closed.
    """

    async def story(image: Path) -> tuple[float, list[str]]:
        async with local_zone() as zone:
            assert not await zone.until_killed(script(Props(zone, image)), Switch())
            return runtime().now(), await disagreements(zone)

    disks = slow_disks()

    elapsed_s, wrong = run_in(disks, story(write_image(tmp_path)))

    assert wrong == []
    assert elapsed_s > SECONDS * len(ACTS)
    assert sum(disk.works for disk in disks.lanes) > len(ACTS)
    assert [disk.closed for disk in disks.lanes] == [True] * len(disks.lanes)


def test_stores_wait_for_their_own_lanes_only() -> None:
    """Volumes in two stores at once take as long as one alone, two in one store longer."""

    async def story() -> list[float]:
        async with local_zone() as zone, zone.orchestrator() as orchestrator:
            one, two = [await zone.add(orchestrator, name, Role.PRIMARY) for name in ("a", "b")]
            took_s: list[float] = []
            for number, stores in enumerate(((one,), (one, two), (one, one))):
                begun_s = runtime().now()
                made = [
                    create_volume(name=f"v{number}.{at}", store=store, size_bytes=4096)
                    for at, store in enumerate(stores)
                ]
                for outcome in await asyncio.gather(*map(orchestrator.run, made)):
                    outcome.expect()
                took_s.append(runtime().now() - begun_s)
            return took_s

    alone_s, apart_s, together_s = run_in(slow_disks(), story())

    assert alone_s > 0
    assert apart_s == alone_s
    assert together_s > alone_s


def test_a_lane_of_the_virtual_runtime_itself_takes_no_time_and_keeps_the_order() -> None:
    """What is given to one lane runs in that order, wherever it comes from."""

    async def story() -> tuple[list[int], float]:
        ran: list[int] = []
        lane = runtime().open_lane()
        with in_lane(lane):
            asked = [
                runtime().run_blocking(ran.append, number)
                if number % 2
                else lane.run(ran.append, number)
                for number in range(10)
            ]
            await asyncio.gather(*asked)
        return ran, runtime().now()

    assert run_virtual(story(), seed=1) == (list(range(10)), 0.0)
