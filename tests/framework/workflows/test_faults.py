"""Every driver call of every workflow fails in every way, once or for good."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import pytest

from holdfast.contract import errors
from holdfast.operations.operation_outcome import OperationFailed, Outcome, Verdict
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


async def play(zone: Zone, image: Path, planned: Planned) -> OperationFailed | None:
    """Play the story under a fault; the failure that stopped it."""
    zone.faults = Faults(planned)
    try:
        async with zone.orchestrator() as orchestrator:
            await script(Props(zone, image))(orchestrator)
    except OperationFailed as failed:
        return failed
    return None


class Struck(NamedTuple):
    """What came of a story one of whose driver calls failed."""

    call: str
    outcome: Outcome | None
    """Of the workflow that failed."""
    disagreements: list[str]


MakeZone = Callable[[], AbstractAsyncContextManager[Zone]]


async def sweep(
    image: Path,
    fault: Callable[[int], Planned],
    *,
    zones: MakeZone = memory_zone,
    ends: Callable[[Zone], Awaitable[object]] | None = None,
) -> list[Struck]:
    """Strike each driver call of the whole story in turn, each in a zone of its own.

    Args:
        image: the image that the story begins with.
        fault: what becomes of the call of this number.
        zones: makes a zone.
        ends: what happens in a zone after its story, before it is looked at.
    """
    struck: list[Struck] = []
    for number, verb in enumerate(await calls_of_the_story(image, zones), 1):
        async with zones() as zone:
            failed = await play(zone, image, fault(number))
            if ends is not None:
                await ends(zone)
            outcome = None if failed is None else failed.outcome
            struck.append(Struck(f"{number} {verb}", outcome, await disagreements(zone)))
    return struck


async def calls_of_the_story(image: Path, zones: MakeZone = memory_zone) -> list[str]:
    """The driver calls of the whole story, in order."""
    async with zones() as zone:
        await zone.until_killed(script(Props(zone, image)), Switch())
        return zone.faults.calls


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "after"),
    [(error, False) for error in PASSING] + [(errors.Unknown, True), (errors.Internal, True)],
)
def test_a_passing_fault_of_any_call_changes_nothing(
    tmp_path: Path, error: type[errors.DriverError], after: bool
) -> None:
    """One refused call, or one lost answer, is overcome: the workflow succeeds."""

    def fault(number: int) -> Planned:
        return Planned(call=number, error=error("planned"), after=after)

    struck = run_inline(sweep(write_image(tmp_path), fault))

    assert [one for one in struck if one.outcome or one.disagreements] == []


@pytest.mark.slow
@pytest.mark.parametrize("error", FINAL, ids=lambda error: error.__name__)
def test_a_final_error_of_any_call_is_taken_back(
    tmp_path: Path, error: type[errors.DriverError]
) -> None:
    """A call that fails for good fails its workflow clean: nothing is left, at once."""

    def fault(number: int) -> Planned:
        return Planned(call=number, error=error("planned"))

    struck = run_inline(sweep(write_image(tmp_path), fault))

    assert [one for one in struck if not failed_clean(one) or one.disagreements] == []


def failed_clean(one: Struck) -> bool:
    return one.outcome is not None and one.outcome.verdict is Verdict.FAILED_CLEAN


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_faults_on_real_files_are_overcome_or_taken_back(tmp_path: Path, after: bool) -> None:
    """On the local driver, whose volumes are filled through a grant, it is the same."""

    def fault(number: int) -> Planned:
        error = errors.Unknown if after else FINAL[number % len(FINAL)]
        return Planned(call=number, error=error("planned"), after=after)

    struck = run_inline(sweep(write_image(tmp_path), fault, zones=local_zone))

    assert [one for one in struck if one.disagreements or (one.outcome is None) is not after] == []


@pytest.mark.slow
def test_a_lasting_silence_is_recovered_when_it_ends(tmp_path: Path) -> None:
    """While nobody can tell what became of a call the outcome is unknown; recovery settles it."""

    def silence(number: int) -> Planned:
        return Planned(call=number, error=errors.Unknown("silence"), lasting=True)

    struck = run_inline(sweep(write_image(tmp_path), silence, ends=recovered))

    assert [one for one in struck if one.outcome is None or one.disagreements] == []
    assert Verdict.UNKNOWN in {one.outcome.verdict for one in struck if one.outcome}


@pytest.mark.slow
def test_what_cannot_be_taken_back_is_named(tmp_path: Path) -> None:
    """When compensation fails for good, the operation is dirty and names what it left."""

    def refusal(number: int) -> Planned:
        return Planned(call=number, error=errors.Denied("refused"), lasting=True)

    struck = run_inline(sweep(write_image(tmp_path), refusal))

    assert [one for one in struck if not is_named(one)] == []
    assert Verdict.FAILED_DIRTY in {one.outcome.verdict for one in struck if one.outcome}


def is_named(one: Struck) -> bool:
    """Whether the workflow failed, and says that it left something where it did."""
    if one.outcome is None:
        return False
    dirty = one.outcome.verdict is Verdict.FAILED_DIRTY
    return dirty == bool(one.outcome.left) and (dirty or not one.disagreements)


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
        for number, verb in enumerate(await calls_of_the_story(image), 1):
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
