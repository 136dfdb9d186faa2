"""Every driver call of every workflow fails in every way, once or for good."""

import asyncio
from pathlib import Path

import pytest

from holdfast import errors
from holdfast.engine import OperationFailed
from holdfast.journal import Verdict
from stories import ACTS, Props, script, write_image
from zones import (
    Faults,
    Planned,
    Switch,
    Zone,
    disagreements,
    local_zone,
    memory_zone,
    recovered,
    run_inline,
)

FINAL = (
    errors.Invalid,
    errors.OutOfRange,
    errors.Unsupported,
    errors.NotFound,
    errors.Conflict,
    errors.Unauthenticated,
    errors.Denied,
    errors.InUse,
    errors.Precondition,
    errors.Exhausted,
    errors.Corrupt,
)
PASSING = (errors.Busy, errors.Unavailable, errors.Unknown, errors.Internal)


async def count_calls(image: Path) -> list[str]:
    """The driver calls of the whole story, in order."""
    async with memory_zone() as zone:
        await zone.until_killed(script(Props(zone, image)), Switch())
        return zone.faults.calls


async def play(zone: Zone, image: Path, planned: Planned) -> OperationFailed | None:
    """Play the story under a fault; the failure that stopped it."""
    zone.faults = Faults(planned)
    try:
        async with zone.orchestrator() as orchestrator:
            await script(Props(zone, image))(orchestrator)
    except OperationFailed as failed:
        return failed
    return None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "after"),
    [(error, False) for error in PASSING] + [(errors.Unknown, True), (errors.Internal, True)],
)
def test_a_passing_fault_of_any_call_changes_nothing(
    tmp_path: Path, error: type[errors.DriverError], after: bool
) -> None:
    """One refused call, or one lost answer, is overcome: the workflow succeeds."""
    image = write_image(tmp_path)

    async def sweep() -> dict[str, object]:
        wrong: dict[str, object] = {}
        for number, verb in enumerate(await count_calls(image), 1):
            async with memory_zone() as zone:
                planned = Planned(call=number, error=error("planned"), after=after)
                failed = await play(zone, image, planned)
                found = await disagreements(zone)
                if failed or found:
                    wrong[f"{number} {verb}"] = (str(failed), found)
        return wrong

    assert run_inline(sweep()) == {}


@pytest.mark.slow
@pytest.mark.parametrize("error", FINAL, ids=lambda error: error.__name__)
def test_a_final_error_of_any_call_is_taken_back(
    tmp_path: Path, error: type[errors.DriverError]
) -> None:
    """A call that fails for good fails its workflow clean: nothing is left, at once."""
    image = write_image(tmp_path)

    async def sweep() -> dict[str, object]:
        wrong: dict[str, object] = {}
        for number, verb in enumerate(await count_calls(image), 1):
            async with memory_zone() as zone:
                failed = await play(zone, image, Planned(call=number, error=error("planned")))
                found = await disagreements(zone)
                clean = failed is not None and failed.outcome.verdict is Verdict.FAILED_CLEAN
                if not clean or found:
                    wrong[f"{number} {verb}"] = (str(failed), found)
        return wrong

    assert run_inline(sweep()) == {}


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_faults_on_real_files_are_overcome_or_taken_back(tmp_path: Path, after: bool) -> None:
    """On the local driver, whose volumes are filled through a grant, it is the same."""
    image = write_image(tmp_path)

    async def sweep() -> dict[str, object]:
        wrong: dict[str, object] = {}
        async with local_zone() as zone:
            await zone.until_killed(script(Props(zone, image)), Switch())
            calls = zone.faults.calls
        for number, verb in enumerate(calls, 1):
            error = errors.Unknown if after else FINAL[number % len(FINAL)]
            async with local_zone() as zone:
                planned = Planned(call=number, error=error("planned"), after=after)
                failed = await play(zone, image, planned)
                found = await disagreements(zone)
                if found or (failed is None) is not after:
                    wrong[f"{number} {verb}"] = (str(failed), found)
        return wrong

    assert run_inline(sweep()) == {}


@pytest.mark.slow
def test_a_lasting_silence_is_recovered_when_it_ends(tmp_path: Path) -> None:
    """While nobody can tell what became of a call the outcome is unknown; recovery settles it."""
    image = write_image(tmp_path)

    async def sweep() -> tuple[dict[str, object], set[Verdict]]:
        wrong: dict[str, object] = {}
        verdicts: set[Verdict] = set()
        for number, verb in enumerate(await count_calls(image), 1):
            async with memory_zone() as zone:
                silence = Planned(call=number, error=errors.Unknown("silence"), lasting=True)
                failed = await play(zone, image, silence)
                assert failed is not None
                verdicts.add(failed.outcome.verdict)
                await recovered(zone)
                found = await disagreements(zone)
                if found:
                    wrong[f"{number} {verb}"] = (str(failed), found)
        return wrong, verdicts

    wrong, verdicts = run_inline(sweep())

    assert wrong == {}
    assert Verdict.UNKNOWN in verdicts


@pytest.mark.slow
def test_what_cannot_be_taken_back_is_named(tmp_path: Path) -> None:
    """When compensation fails for good, the operation is dirty and names what it left."""
    image = write_image(tmp_path)

    async def sweep() -> tuple[dict[str, object], set[Verdict]]:
        wrong: dict[str, object] = {}
        verdicts: set[Verdict] = set()
        for number, verb in enumerate(await count_calls(image), 1):
            async with memory_zone() as zone:
                refusal = Planned(call=number, error=errors.Denied("refused"), lasting=True)
                failed = await play(zone, image, refusal)
                assert failed is not None
                outcome = failed.outcome
                verdicts.add(outcome.verdict)
                found = await disagreements(zone)
                dirty = outcome.verdict is Verdict.FAILED_DIRTY
                if dirty != bool(outcome.left) or (found and not dirty):
                    wrong[f"{number} {verb}"] = (str(failed), found)
        return wrong, verdicts

    wrong, verdicts = run_inline(sweep())

    assert wrong == {}
    assert Verdict.FAILED_DIRTY in verdicts


async def cancelled_during(
    zone: Zone, image: Path, number: int, *, after: bool
) -> asyncio.Task[OperationFailed | None]:
    """The story, ended, whose task was cancelled during a call."""
    story: list[asyncio.Task[OperationFailed | None]] = []

    def cancel() -> None:
        story[0].cancel()

    planned = Planned(call=number, cancel=cancel, after=after)
    story.append(asyncio.create_task(play(zone, image, planned)))
    await asyncio.wait(story)
    return story[0]


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
def test_a_cancelled_caller_leaves_its_operation_in_the_journal(
    tmp_path: Path, after: bool
) -> None:
    """Cancelled during any call, the operation waits for recovery, which ends it."""
    image = write_image(tmp_path)

    async def sweep() -> dict[str, object]:
        wrong: dict[str, object] = {}
        for number, verb in enumerate(await count_calls(image), 1):
            async with memory_zone() as zone:
                task = await cancelled_during(zone, image, number, after=after)
                ended = await recovered(zone)
                found = await disagreements(zone)
                if not task.cancelled() or len(ended) != 1 or found:
                    wrong[f"{number} {verb}"] = (task.cancelled(), ended, found)
        return wrong

    assert run_inline(sweep()) == {}


def test_the_acts_are_all_the_workflows_there_are() -> None:
    """No workflow is left out of these tests."""
    import holdfast.workflows as known  # noqa: PLC0415 - looked at, not used

    exported = {name for name in known.__all__ if name != "Refused"}

    assert {kind for _, kind, _ in ACTS} == exported
