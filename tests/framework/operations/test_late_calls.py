"""Nothing is decided about an object while a call that was given up may still act on it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.contract import errors
from holdfast.contract.requests import Role
from holdfast.model.rows import Volume
from holdfast.operations.operation_outcome import OperationFailed, Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.workflows import (
    Refused,
    attach_volume,
    create_snapshot,
    create_volume,
    delete_volume,
    resize_volume,
    revert_volume,
)
from holdfast_simulator.loop import run_virtual
from late import LateFaults, Stuck
from stories import Props, script, write_image
from zones import HOST, Planned, Switch, Zone, disagreements, memory_zone


async def count(image: Path) -> int:
    """How many driver calls the whole story makes."""
    async with memory_zone() as zone:
        await zone.until_killed(script(Props(zone, image)), Switch())
        return len(zone.faults.log)


async def late(image: Path, number: int, error: errors.DriverError | None) -> list[object] | None:
    """What is wrong after one call was stuck; ``None`` where none was."""
    async with memory_zone() as zone:
        stuck = Stuck()
        zone.faults = LateFaults(number, stuck, error)
        async with zone.orchestrator() as orchestrator:
            try:
                await script(Props(zone, image))(orchestrator)
            except OperationFailed as failed:
                verdicts = [failed.outcome.verdict]
            else:
                return ["the story went on while a call was stuck"]
            if not stuck.begun.is_set():
                return None
            calls = len(zone.faults.log)
            told = await orchestrator.recover()
            verdicts += [one.outcome.verdict for one in told]
            asked = zone.faults.log[number:]
            await stuck.end()
            ended = [one.outcome.verdict for one in await orchestrator.recover()]
        wrong: list[object] = [*asked, *await disagreements(zone)]
        if calls != number or verdicts != [Verdict.UNKNOWN] * 2 or Verdict.UNKNOWN in ended:
            wrong += [calls - number, *verdicts, *ended]
        return wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    "error",
    [None, errors.Unknown("lost"), errors.Denied("refused")],
    ids=["a call", "what follows a lost answer", "what follows a refusal"],
)
def test_no_call_is_made_while_an_earlier_one_may_still_act(
    tmp_path: Path, error: errors.DriverError | None
) -> None:
    """Whichever call of whichever workflow is stuck: no probe, no later attempt, no compensation
    and no outcome before it ends, not by recovery either; then recovery ends the operation.
    """
    image = write_image(tmp_path)
    first = 1 if error is None else 2

    async def sweep() -> tuple[dict[int, list[object]], int]:
        found = {
            number: await late(image, number, error)
            for number in range(first, await count(image) + 1)
        }
        struck = {number: wrong for number, wrong in found.items() if wrong is not None}
        return {number: wrong for number, wrong in struck.items() if wrong}, len(struck)

    wrong, struck = run_virtual(sweep(), seed=1)

    assert wrong == {}
    assert struck > 5


@pytest.mark.slow
def test_the_end_of_a_caller_is_not_the_end_of_its_call(tmp_path: Path) -> None:
    """Cancelled while any call is stuck, an operation is left to recovery, which waits for that
    call; so does the next owner of the catalogue.
    """
    image = write_image(tmp_path)

    async def one(number: int) -> list[object]:
        async with memory_zone() as zone:
            stuck = Stuck()
            zone.faults = LateFaults(number, stuck)
            async with zone.orchestrator() as orchestrator:
                props = Props(zone, image)
                playing = asyncio.ensure_future(script(props)(orchestrator))
                await stuck.begun.wait()
                playing.cancel()
                await asyncio.wait([playing])
                told = [one.outcome.verdict for one in await orchestrator.recover()]
                calls = zone.faults.log[number:]
                releasing = asyncio.create_task(release_later(stuck))
            order = [stuck.let_go.is_set(), playing.cancelled()]
            await releasing
            async with zone.orchestrator() as orchestrator:
                ended = [one.outcome.verdict for one in await orchestrator.recover()]
            wrong: list[object] = [*calls, *await disagreements(zone)]
            if order != [True, True] or told != [Verdict.UNKNOWN] or Verdict.UNKNOWN in ended:
                wrong += [*order, *told, *ended]
            return wrong

    async def sweep() -> dict[int, list[object]]:
        found = {number: await one(number) for number in range(1, await count(image) + 1)}
        return {number: wrong for number, wrong in found.items() if wrong}

    assert run_virtual(sweep(), seed=1) == {}


async def release_later(stuck: Stuck) -> None:
    await asyncio.sleep(30)
    await stuck.end()


async def with_snapshot(zone: Zone, orchestrator: Orchestrator) -> tuple[str, str]:
    """A volume and its snapshot."""
    store = await zone.add(orchestrator, "primary", Role.PRIMARY)
    made = await orchestrator.run(create_volume(name="v", store=store, size_bytes=8192))
    taken = await orchestrator.run(create_snapshot(made.expect().subject, name="s"))
    return made.subject, taken.expect().subject


def next_call_stuck(zone: Zone) -> Stuck:
    """The next driver call is stuck."""
    stuck = Stuck()
    zone.faults.planned = Planned(call=len(zone.faults.calls) + 1, stuck=stuck.make)
    return stuck


LATER: dict[str, Callable[[str, str], Any]] = {
    "attach": lambda volume, _: attach_volume(volume, host=HOST),
    "resize": lambda volume, _: resize_volume(volume, size_bytes=65536),
    "revert": lambda volume, snapshot: revert_volume(volume, snapshot=snapshot),
    "delete": lambda volume, _: delete_volume(volume),
}


@pytest.mark.parametrize("later", LATER)
def test_later_work_on_the_object_is_told_that_a_call_may_still_act(later: str) -> None:
    """It waits for the call, and is refused with a clear word where that takes too long."""

    async def story() -> tuple[Verdict, str]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            volume, snapshot = await with_snapshot(zone, orchestrator)
            stuck = next_call_stuck(zone)
            before = len(zone.faults.log)
            outcome = await orchestrator.run(revert_volume(volume, snapshot=snapshot))
            with pytest.raises(errors.Busy) as busy:
                await orchestrator.run(LATER[later](volume, snapshot))
            assert zone.faults.log[before:] == ["revert_volume"]
            waiting = asyncio.create_task(orchestrator.run(LATER[later](volume, snapshot)))
            await stuck.end()
            with pytest.raises(Refused, match="is Uncertain"):
                await waiting
            await orchestrator.recover()
            return outcome.verdict, str(busy.value)

    verdict, told = run_virtual(story(), seed=1)

    assert verdict is Verdict.UNKNOWN
    assert "given up and may still act" in told


def test_a_stuck_call_holds_only_its_own_object() -> None:
    """Other volumes of the same store are worked on meanwhile."""

    async def story() -> list[Verdict]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            volume, snapshot = await with_snapshot(zone, orchestrator)
            store = (await orchestrator.catalogue.transact(lambda tx: tx.get(Volume, volume))).store
            stuck = next_call_stuck(zone)
            reverting = asyncio.create_task(
                orchestrator.run(revert_volume(volume, snapshot=snapshot))
            )
            await stuck.begun.wait()
            other = await orchestrator.run(create_volume(name="o", store=store, size_bytes=8192))
            grown = await orchestrator.run(resize_volume(other.subject, size_bytes=16384))
            unknown = await reverting
            await stuck.end()
            await orchestrator.recover()
            return [other.verdict, grown.verdict, unknown.verdict]

    assert run_virtual(story(), seed=1) == [
        Verdict.SUCCEEDED,
        Verdict.SUCCEEDED,
        Verdict.UNKNOWN,
    ]
