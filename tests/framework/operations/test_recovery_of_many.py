"""Recovery drives each operation for itself, whatever the others wait for."""

from pathlib import Path

import msgspec
import pytest

from holdfast.catalogue.port import Transaction
from holdfast.contract.answers import ObjectInfo
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Unknown
from holdfast.contract.requests import Role
from holdfast.model.rows import Operation, Step
from holdfast.model.state_tables import Event, StepState
from holdfast.operations.journal import lost_step
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import RECOVERIES_AT_ONCE
from holdfast.operations.recovery import Recovered
from holdfast.steps.content_steps import Saved
from holdfast.workflows import create_volume, create_volume_from_template, register_template
from holdfast_simulator.loop import run_virtual
from stories import IMAGE_BYTES, write_image
from zones import Faults, Planned, memory_zone


def test_work_that_waits_for_another_store_delays_no_recovery(tmp_path: Path) -> None:
    """Many operations begin on one store and are stuck on a dead one: what needs only the first is
    recovered before any of them is given up.
    """
    image = str(write_image(tmp_path))

    async def story() -> tuple[list[str], set[Verdict]]:
        told: list[Recovered] = []
        async with memory_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                primary = await zone.add(orchestrator, "primary", Role.PRIMARY)
                images = await zone.add(orchestrator, "images", Role.IMAGE)
                template = await orchestrator.run(
                    register_template(name="t", store=images, path=image, size_bytes=IMAGE_BYTES)
                )
                zone.faults = Faults(Planned(call=1, error=Unknown("lost"), lasting=True))
            async with zone.orchestrator() as orchestrator:
                lost = [
                    create_volume_from_template(
                        name=f"w{n}", store=primary, template=template.subject
                    )
                    for n in range(2 * RECOVERIES_AT_ONCE)
                ]
                lost.append(create_volume(name="x", store=primary, size_bytes=8192))
                found = [await orchestrator.run(one) for one in lost]
                assert {one.verdict for one in found} == {Verdict.UNKNOWN}
            zone.faults = Faults(Planned(call=1, hang=True, lasting=True, verb="open_object"))
            zone.faults.asks = True
            async with zone.orchestrator() as orchestrator:
                await orchestrator.recover(told.append)
            zone.faults = Faults()
            async with zone.orchestrator() as orchestrator:
                ended = {one.outcome.verdict for one in await orchestrator.recover()}
        return [one.outcome.kind for one in told], ended

    kinds, ended = run_virtual(story(), seed=1)

    assert len(kinds) == 2 * RECOVERIES_AT_ONCE + 1
    assert kinds[0] == "create_volume"
    assert Verdict.UNKNOWN not in ended


@pytest.mark.parametrize(
    ("kept", "lost"),
    [
        ((), 1),
        ((StepState.INTENDED, None), 0),
        ((StepState.DONE, StepState.UNCERTAIN), 0),
        ((StepState.DONE, None), 2),
        ((None, StepState.INTENDED), 1),
        ((StepState.DONE, None, StepState.INTENDED), 2),
        ((StepState.COMPENSATING, StepState.FAILED), 0),
        ((StepState.COMPENSATING, None, StepState.FAILED), 2),
    ],
)
def test_the_step_that_an_operation_lacks_is_known(
    kept: tuple[StepState | None, ...], lost: int
) -> None:
    """Nobody takes the step before it for the one that was under way."""
    steps = [
        Step(id=f"op.{index:03d}", operation="op", index=index, state=state)
        for index, state in enumerate(kept)
        if state is not None
    ]
    assert lost_step(steps) == lost


def test_a_step_that_is_lost_is_neither_repeated_nor_passed_over(tmp_path: Path) -> None:
    """The step after it may have acted: no store is asked, and the operation stays as it is."""
    image = str(write_image(tmp_path))

    async def story() -> tuple[list[Verdict], str, list[str]]:
        async with memory_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                images = await zone.add(orchestrator, "images", Role.IMAGE)
                made = register_template(name="t", store=images, path=image, size_bytes=IMAGE_BYTES)
                running = await orchestrator.engine.accept(made, "op-0")

                def without_second(tx: Transaction) -> None:
                    (step,) = running.steps
                    saved = Saved(
                        object=ObjectInfo(
                            key="k",
                            id="i",
                            kind=ObjectKind.TEMPLATE,
                            content_type="",
                            size_bytes=1,
                            sha256="",
                        ),
                        content="",
                    )
                    result = msgspec.Raw(msgspec.json.encode(saved))
                    tx.fire(step, Event.OPERATION_SUCCEEDED, result=result)

                await zone.catalogue.transact(without_second)
            zone.faults.log.clear()
            async with zone.orchestrator() as orchestrator:
                found = await orchestrator.recover()
            return (
                [one.outcome.verdict for one in found],
                found[0].outcome.error,
                list(zone.faults.log),
            )

    verdicts, error, asked = run_virtual(story(), seed=1)

    assert verdicts == [Verdict.UNKNOWN]
    assert "has no step 2 of it" in error
    assert asked == []


def test_an_operation_without_its_steps_is_left_and_told() -> None:
    """What became of it nobody can say: it stays as it is, and others are recovered."""

    async def story() -> tuple[dict[str, Verdict], str]:
        async with memory_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                primary = await zone.add(orchestrator, "primary", Role.PRIMARY)
                zone.faults = Faults(Planned(call=1, error=Unknown("lost"), lasting=True))
            async with zone.orchestrator() as orchestrator:
                made = create_volume(name="v", store=primary, size_bytes=8192)
                lost = await orchestrator.run(made)
            zone.faults = Faults()

            def without_steps(tx: Transaction) -> None:
                plan = tx.get(Operation, lost.operation).plan
                tx.insert(Operation(id="op-0", kind="k", subject="s", plan=plan))

            await zone.catalogue.transact(without_steps)
            async with zone.orchestrator() as orchestrator:
                found = await orchestrator.recover()
        told = {one.outcome.kind: one.outcome for one in found}
        return {kind: one.verdict for kind, one in told.items()}, told["k"].error

    verdicts, error = run_virtual(story(), seed=1)

    assert verdicts == {"k": Verdict.UNKNOWN, "create_volume": Verdict.SUCCEEDED}
    assert "has no step 1 of it" in error
