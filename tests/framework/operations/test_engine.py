"""What the engine does with one operation: outcomes, probes, compensation, turns, dry runs."""

import asyncio
from pathlib import Path

import pytest

from holdfast.concurrency.runtime import runtime
from holdfast.contract import errors
from holdfast.contract.requests import CallContext, CreateVolume, GetVolume, Role
from holdfast.model.rows import ROWS, Lease, Operation, Snapshot, Step, Volume
from holdfast.model.state_tables import OperationState, StepState, VolumeState
from holdfast.operations.operation_outcome import OperationFailed, Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.workflow import Workflow
from holdfast.workflows import (
    Refused,
    attach_volume,
    create_snapshot,
    create_volume,
    delete_volume,
    resize_volume,
    revert_volume,
)
from stories import ACTS, Props, script, write_image
from zones import HOST, Faults, Planned, Zone, disagreements, memory_zone, recovered, run_inline


async def with_volume(zone: Zone, orchestrator: Orchestrator) -> str:
    """A primary store with one volume; the volume's id."""
    store = await zone.add(orchestrator, "primary", Role.PRIMARY)
    made = await orchestrator.run(create_volume(name="v", store=store, size_bytes=8192))
    return made.expect().subject


@pytest.mark.parametrize(
    ("after", "log"),
    [
        (True, ["create_snapshot", "probe"]),
        (False, ["create_snapshot", "probe", "create_snapshot"]),
    ],
)
def test_a_lost_answer_is_probed_before_anything_is_repeated(after: bool, log: list[str]) -> None:
    """What had happened is not done again; what had not is done after the probe said so."""

    async def story() -> tuple[Verdict, list[str]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            volume = await with_volume(zone, orchestrator)
            zone.faults.planned = Planned(
                call=len(zone.faults.calls) + 1, error=errors.Unknown("lost"), after=after
            )
            zone.faults.log.clear()
            outcome = await orchestrator.run(create_snapshot(volume, name="s"))
            return outcome.verdict, zone.faults.log

    assert run_inline(story()) == (Verdict.SUCCEEDED, log)


def test_recovery_probes_before_it_repeats() -> None:
    """A call that was cut off is asked about first by the process that comes after."""

    async def story() -> list[str]:
        async with memory_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                volume = await with_volume(zone, orchestrator)
                task = asyncio.create_task(orchestrator.run(create_snapshot(volume, name="s")))
                zone.faults.planned = Planned(
                    call=len(zone.faults.calls) + 1, cancel=task.cancel, after=True
                )
                await asyncio.wait([task])
            zone.faults.log.clear()
            await recovered(zone)
            return zone.faults.log

    assert run_inline(story()) == ["probe"]


def test_what_nobody_can_tell_leaves_the_rows_uncertain() -> None:
    """No answer and no probe: the volume is Uncertain, and nothing may touch it until recovery."""

    async def story() -> tuple[Verdict, list[VolumeState], str]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            volume = await with_volume(zone, orchestrator)
            zone.faults.planned = Planned(
                call=len(zone.faults.calls) + 1, error=errors.Unknown("lost"), lasting=True
            )
            outcome = await orchestrator.run(resize_volume(volume, size_bytes=16384))
            states = [row.state for row in await zone.rows(Volume)]
            with pytest.raises(Refused) as refused:
                await orchestrator.run(delete_volume(volume))
            zone.faults.planned = None
            await orchestrator.recover()
            states += [row.state for row in await zone.rows(Volume)]
            return outcome.verdict, states, str(refused.value)

    verdict, states, refusal = run_inline(story())

    assert verdict is Verdict.UNKNOWN
    assert states == [VolumeState.UNCERTAIN, VolumeState.READY]
    assert "is Uncertain" in refusal
    assert "recover" in refusal


async def run_and_recover(
    zone: Zone, orchestrator: Orchestrator, workflow: Workflow
) -> tuple[Verdict, list[VolumeState], list[Verdict]]:
    """A verdict under the planned fault, the volumes' states then, and recovery's without it."""
    outcome = await orchestrator.run(workflow)
    states = [row.state for row in await zone.rows(Volume)]
    zone.faults.planned = None
    ended = [one.outcome.verdict for one in await orchestrator.recover()]
    return outcome.verdict, states, ended


def test_a_revert_that_may_still_act_is_never_given_up() -> None:
    """After lost answers the volume stays Uncertain although nothing was seen to happen: a late
    revert would destroy what is written after it.
    """

    async def story() -> tuple[Verdict, list[VolumeState], list[Verdict]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            volume = await with_volume(zone, orchestrator)
            taken = await orchestrator.run(create_snapshot(volume, name="s"))
            await orchestrator.run(resize_volume(volume, size_bytes=16384))
            zone.faults.planned = Planned(
                call=1, error=errors.Unknown("lost"), verb="revert_volume", lasting=True
            )
            zone.faults.asks = True
            revert = revert_volume(volume, snapshot=taken.subject)
            return await run_and_recover(zone, orchestrator, revert)

    assert run_inline(story()) == (
        Verdict.UNKNOWN,
        [VolumeState.UNCERTAIN],
        [Verdict.SUCCEEDED],
    )


@pytest.mark.parametrize("then", [errors.Busy("at work"), errors.InUse("granted")])
def test_a_later_error_does_not_settle_a_call_that_may_still_act(then: errors.DriverError) -> None:
    """A deletion without an answer, then an error for good: the volume is not called Ready, since
    the first call may yet remove it; recovery ends it.
    """

    async def story() -> tuple[Verdict, list[VolumeState], list[Verdict]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            volume = await with_volume(zone, orchestrator)
            zone.faults.planned = Planned(
                call=len(zone.faults.calls) + 1, error=errors.Unknown("no answer"), then=then
            )
            return await run_and_recover(zone, orchestrator, delete_volume(volume))

    assert run_inline(story()) == (
        Verdict.UNKNOWN,
        [VolumeState.UNCERTAIN],
        [Verdict.SUCCEEDED],
    )


def test_recovery_settles_a_deletion_that_is_refused_for_good() -> None:
    """What was cut off before it acted and is refused when it is repeated fails clean."""

    async def story() -> tuple[list[Verdict], list[VolumeState]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            volume = await with_volume(zone, orchestrator)
            await orchestrator.engine.accept(delete_volume(volume), "op-cut-off")
            zone.faults.planned = Planned(
                call=len(zone.faults.calls) + 1, error=errors.InUse("granted")
            )
            ended = [one.outcome.verdict for one in await orchestrator.recover()]
            return ended, [row.state for row in await zone.rows(Volume)]

    assert run_inline(story()) == ([Verdict.FAILED_CLEAN], [VolumeState.READY])


def test_what_another_holds_under_the_name_is_not_deleted() -> None:
    """A creation that was cut off and meets a conflict in recovery fails clean, and what is there
    under its name stays.
    """

    async def story() -> tuple[list[Verdict], list[str], int]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            wanted = create_volume(name="v", store=store, size_bytes=8192)
            await orchestrator.engine.accept(wanted, "op-cut-off")
            ctx = CallContext(operation="elsewhere", deadline=runtime().now() + 60)
            primary = await orchestrator.stores.primary(store)
            await primary.create_volume(ctx, CreateVolume(key=wanted.subject, size_bytes=4096))
            zone.faults.log.clear()
            ended = [one.outcome.verdict for one in await orchestrator.recover()]
            found = await primary.get_volume(ctx, GetVolume(key=wanted.subject))
            return ended, zone.faults.log, found.size_bytes

    verdicts, log, size_bytes = run_inline(story())

    assert verdicts == [Verdict.FAILED_CLEAN]
    assert log == ["probe", "create_volume", "get_volume"]
    assert size_bytes == 4096


def test_two_recoveries_at_once_agree() -> None:
    """Whichever comes second tells the outcome that the first one reached."""

    async def story() -> tuple[list[list[Verdict]], list[VolumeState]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            for number in range(3):
                work = create_volume(name=f"v{number}", store=store, size_bytes=8192)
                await orchestrator.engine.accept(work, f"op-cut-off-{number}")
            both = await asyncio.gather(orchestrator.recover(), orchestrator.recover())
            verdicts = [[one.outcome.verdict for one in told] for told in both]
            return verdicts, [row.state for row in await zone.rows(Volume)]

    assert run_inline(story()) == (
        [[Verdict.SUCCEEDED] * 3] * 2,
        [VolumeState.READY] * 3,
    )


def test_what_was_taken_back_late_still_says_why() -> None:
    """The first cause is told while the compensation has no answer, and after recovery."""

    async def story() -> tuple[list[tuple[Verdict, bool]], str]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            zone.faults.planned = Planned(
                call=2, error=errors.Denied("no such luck"), then=errors.Unknown("no answer")
            )
            made = await orchestrator.run(zone.adding("primary", Role.PRIMARY))
            zone.faults.planned = None
            told = [made, *(one.outcome for one in await orchestrator.recover())]
            (operation,) = await zone.rows(Operation)
            return [(one.verdict, "no such luck" in one.error) for one in told], operation.error

    told, error = run_inline(story())

    assert told == [(Verdict.UNKNOWN, True), (Verdict.FAILED_CLEAN, True)]
    assert "no such luck" in error


def test_completed_steps_are_compensated_in_reverse(tmp_path: Path) -> None:
    """A late failure takes back all earlier steps, the last one first."""

    async def story() -> tuple[list[str], list[StepState], OperationState]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            props = Props(zone, write_image(tmp_path))
            await script(props, 7)(orchestrator)
            before = len(zone.faults.calls)
            zone.faults.planned = Planned(
                call=before + 1, error=errors.Exhausted("full"), verb="upload_part", lasting=True
            )
            zone.faults.log.clear()
            with pytest.raises(OperationFailed):
                await script_backup(props, orchestrator)
            (operation,) = [
                row for row in await zone.rows(Operation) if row.kind == "create_backup"
            ]
            steps = [row for row in await zone.rows(Step) if row.operation == operation.id]
            return zone.faults.log, [step.state for step in steps], operation.state

    log, steps, operation = run_inline(story())

    assert log == [
        "create_volume",
        "grant",
        "open",
        "start_upload",
        "upload_part",
        "abort_upload",  # by whoever sends the parts
        "abort_upload",
        "delete",
        "revoke",
        "delete_volume",
    ]
    assert steps == [StepState.COMPENSATED] * 3
    assert operation is OperationState.FAILED_CLEAN


async def script_backup(props: Props, orchestrator: Orchestrator) -> None:
    """The act that comes after the first seven."""
    name, _, act = ACTS[7]
    await props.run(orchestrator, name, act(props))


def test_work_on_one_row_takes_turns() -> None:
    """Snapshots of one volume that are asked for at once are taken one after another."""

    async def story() -> tuple[set[Verdict], int]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            volume = await with_volume(zone, orchestrator)
            asked = [orchestrator.start(create_snapshot(volume, name=f"s{n}")) for n in range(5)]
            outcomes = await asyncio.gather(*asked)
            return {one.verdict for one in outcomes}, len(await zone.rows(Snapshot))

    assert asyncio.run(story()) == ({Verdict.SUCCEEDED}, 5)


def test_a_refusal_stops_nothing_else() -> None:
    """What is refused in the background is its own future's; the orchestrator goes on."""

    async def story() -> tuple[str, Verdict]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            volume = await with_volume(zone, orchestrator)
            refused = orchestrator.start(attach_volume("vol-unknown", host=HOST))
            with pytest.raises(errors.HoldfastError) as problem:
                await refused
            outcome = await orchestrator.run(attach_volume(volume, host=HOST))
            return str(problem.value), outcome.verdict

    assert run_inline(story()) == ("the catalogue has no Volume vol-unknown", Verdict.SUCCEEDED)


def test_a_failure_in_the_body_is_raised_as_it_is() -> None:
    """The orchestrator's task group does not wrap what its user raises."""

    async def story() -> None:
        async with memory_zone() as zone, zone.orchestrator():
            raise errors.UsageError("mine")

    with pytest.raises(errors.UsageError, match="mine"):
        run_inline(story())


def test_a_dry_run_writes_nothing() -> None:
    """Drafting a plan leaves every table and the backend as they were."""

    async def story() -> tuple[list[str], bool, list[str]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            volume = await with_volume(zone, orchestrator)
            before = [await zone.rows(kind) for kind in ROWS]
            zone.faults = Faults()
            draft = await orchestrator.plan(delete_volume(volume))
            after = [await zone.rows(kind) for kind in ROWS]
            return [step.kind for step in draft.plan], before == after, zone.faults.calls

    assert run_inline(story()) == (["primary.delete_volume"], True, [])


def test_every_owner_of_a_catalogue_has_a_higher_fence() -> None:
    """Drivers can tell a later orchestrator's calls from an earlier one's."""

    async def story() -> list[int]:
        async with memory_zone() as zone:
            fences: list[int] = []
            for _ in range(3):
                async with zone.orchestrator():
                    fences += [row.fence for row in await zone.rows(Lease)]
            return fences

    assert run_inline(story()) == [1, 2, 3]


def test_every_call_has_a_higher_fence_than_all_before_it() -> None:
    """Whichever owner makes it, and whatever it is: a backend can refuse what comes too late."""

    async def story() -> list[int]:
        async with memory_zone() as zone:
            for number in range(2):
                async with zone.orchestrator() as orchestrator:
                    await zone.add(orchestrator, f"primary-{number}", Role.PRIMARY)
            return zone.faults.fences

    fences = run_inline(story())

    assert fences == sorted(set(fences))
    assert [fence >> 32 for fence in fences] == [1, 1, 1, 2, 2, 2]


def test_a_volume_in_error_can_be_deleted() -> None:
    """What a dirty failure left is removed by deleting the row that answers for it."""

    async def story() -> tuple[Verdict, list[VolumeState], list[str]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            zone.faults.planned = Planned(
                call=len(zone.faults.calls) + 1, error=errors.Internal("broken"), after=True
            )
            made = await orchestrator.run(create_volume(name="v", store=store, size_bytes=1))
            await orchestrator.run(attach_volume(made.subject, host=HOST))
            return (
                made.verdict,
                [row.state for row in await zone.rows(Volume)],
                await disagreements(zone),
            )

    assert run_inline(story()) == (Verdict.SUCCEEDED, [VolumeState.READY], [])
