"""Operations that are asked to pause or to be cancelled."""

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunked import (
    Chunks,
    Place,
    asked_at,
    checkpoints,
    chunking,
    run_chunking,
    the_operation,
)
from holdfast.catalogue.port import Catalogue
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import UsageError
from holdfast.contract.requests import CallContext, CreateVolume, DeleteVolume, GetVolume, Role
from holdfast.model.owner_and_wish import Wish
from holdfast.model.rows import Volume
from holdfast.model.state_tables import OperationState
from holdfast.operations import pause_and_cancel
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.scrub import scrub
from holdfast.workflows import create_volume
from zones import memory_zone, run_inline


@given(first=st.integers(1, 5), second=st.integers(1, 5), data=st.data())
def test_a_paused_operation_goes_on_where_it_was_and_doesnothing_twice(
    first: int, second: int, data: st.DataObject
) -> None:
    """Wherever it is paused, at a checkpoint or between steps, and although it is resumed by
    another process: each chunk is done once, and no checkpoint is left.
    """
    counts = {"a": first, "b": second}
    name = data.draw(st.sampled_from(sorted(counts)))
    at = (name, data.draw(st.integers(0, counts[name] - 1)))

    async def story(
        catalogue: Catalogue, place: Place
    ) -> tuple[Verdict, Verdict, dict[str, list[int]], int]:
        paused = await asked_at(
            catalogue,
            place,
            Orchestrator.pause,
            at,
            *(Chunks(each, count) for each, count in counts.items()),
        )
        async with chunking(catalogue, place) as orchestrator:
            assert await orchestrator.recover() == ()  # it waits for a person, not for recovery
            assert (await scrub(orchestrator)).findings == ()
            operation = await the_operation(catalogue)
            assert operation.state is OperationState.PAUSED
            resumed = (await orchestrator.resume(operation.id)).verdict
        return paused, resumed, place.done, await checkpoints(catalogue)

    assert run_chunking(story) == (
        Verdict.PAUSED,
        Verdict.SUCCEEDED,
        {each: list(range(count)) for each, count in counts.items()},
        0,
    )


@given(first=st.integers(1, 4), second=st.integers(1, 4), data=st.data())
def test_a_cancelled_operation_takes_back_all_that_it_did(
    first: int, second: int, data: st.DataObject
) -> None:
    """Wherever it is cancelled: what was done is undone, it failed clean, and nothing is left."""
    counts = {"a": first, "b": second}
    name = data.draw(st.sampled_from(sorted(counts)))
    at = (name, data.draw(st.integers(0, counts[name] - 1)))
    steps = tuple(Chunks(each, count) for each, count in counts.items())

    async def story(
        catalogue: Catalogue, place: Place
    ) -> tuple[Verdict, dict[str, list[int]], list[str], int]:
        verdict = await asked_at(catalogue, place, Orchestrator.cancel, at, *steps)
        return verdict, place.done, place.undone, await checkpoints(catalogue)

    undone = ["a"] if at == ("a", first - 1) else ["b", "a"] if name == "b" else ["a"]
    assert run_chunking(story) == (Verdict.FAILED_CLEAN, {}, undone, 0)


def test_what_is_paused_is_cancelled_at_once() -> None:
    """Nobody has to resume it for that; and it is not done first."""

    async def story(
        catalogue: Catalogue, place: Place
    ) -> tuple[OperationState, dict[str, list[int]], list[str]]:
        await asked_at(
            catalogue, place, Orchestrator.pause, ("a", 1), Chunks("a", 3), Chunks("b", 3)
        )
        async with chunking(catalogue, place) as orchestrator:
            await orchestrator.cancel((await the_operation(catalogue)).id)
        return (await the_operation(catalogue)).state, place.done, place.undone

    assert run_chunking(story) == (OperationState.FAILED_CLEAN, {}, ["a"])


def test_what_was_never_attempted_is_not_done_because_it_is_cancelled() -> None:
    """Paused before a step that nothing takes back, then cancelled: the step is not performed."""

    async def story(
        catalogue: Catalogue, place: Place
    ) -> tuple[OperationState, dict[str, list[int]]]:
        steps = (Chunks("a", 1), Chunks("final", 1, final=True))
        await asked_at(catalogue, place, Orchestrator.pause, ("a", 0), *steps)
        place.done["a"] = [0]
        async with chunking(catalogue, place) as orchestrator:
            await orchestrator.cancel((await the_operation(catalogue)).id)
        return (await the_operation(catalogue)).state, place.done

    assert run_chunking(story) == (OperationState.FAILED_CLEAN, {})


def test_whatnothing_takes_back_is_brought_to_its_end() -> None:
    """Cancelled after a final step, an operation goes on: half of it would be neither."""

    async def story(catalogue: Catalogue, place: Place) -> tuple[Verdict, dict[str, list[int]]]:
        steps = (Chunks("final", 2, final=True), Chunks("b", 2))
        verdict = await asked_at(catalogue, place, Orchestrator.cancel, ("final", 0), *steps)
        return verdict, place.done

    assert run_chunking(story) == (Verdict.SUCCEEDED, {"final": [0, 1], "b": [0, 1]})


def test_a_cancelled_operation_cannot_be_asked_for_anything_else() -> None:
    """Once it is being taken back, no pause stops it half-way; an ended one is left alone."""

    async def story(catalogue: Catalogue, place: Place) -> tuple[Wish, Verdict, str]:

        async def both(orchestrator: Orchestrator, operation: str) -> None:
            await orchestrator.cancel(operation)
            await orchestrator.pause(operation)

        verdict = await asked_at(catalogue, place, both, ("a", 0), Chunks("a", 2))
        async with chunking(catalogue, place) as orchestrator:
            operation = await the_operation(catalogue)
            await orchestrator.pause(operation.id)
            with pytest.raises(UsageError, match="not paused") as refused:
                await orchestrator.resume(operation.id)
        return (await the_operation(catalogue)).wish, verdict, str(refused.value)

    wish, verdict, refusal = run_chunking(story)
    assert (wish, verdict) == (Wish.CANCEL, Verdict.FAILED_CLEAN)
    assert "FailedClean" in refusal


def test_who_cancels_while_it_pauses_is_heard() -> None:
    """A cancel that comes after the pause was seen, and before it is written, is not lost."""

    async def story(catalogue: Catalogue, place: Place) -> tuple[Verdict, dict[str, list[int]]]:

        async def both(orchestrator: Orchestrator, operation: str) -> None:
            await orchestrator.pause(operation)
            place.late = asyncio.create_task(orchestrator.cancel(operation))

        verdict = await asked_at(catalogue, place, both, ("a", 0), Chunks("a", 3))
        await place.late
        return verdict, place.done

    assert run_chunking(story) == (Verdict.FAILED_CLEAN, {})


def test_what_was_to_be_cancelled_and_is_paused_is_not_forgotten() -> None:
    """The process ends between the wish and its fulfilment: recovery takes it back, and whoever
    asks again is heard.
    """

    async def story(
        catalogue: Catalogue, place: Place, *, again: bool
    ) -> tuple[OperationState, dict[str, list[int]]]:
        await asked_at(catalogue, place, Orchestrator.pause, ("a", 1), Chunks("a", 3))
        operation = await the_operation(catalogue)
        await catalogue.transact(lambda tx: pause_and_cancel.ask(tx, operation.id, Wish.CANCEL))
        async with chunking(catalogue, place) as orchestrator:
            if again:
                await orchestrator.cancel(operation.id)
            else:
                assert not (await scrub(orchestrator)).clean
                await orchestrator.recover()
        return (await the_operation(catalogue)).state, place.done

    for again in (True, False):
        assert run_chunking(partial(story, again=again)) == (OperationState.FAILED_CLEAN, {})


def test_two_that_resume_at_once_resume_once() -> None:
    """The second finds it running, or paused anew, and undoes nobody's pause."""

    async def story(catalogue: Catalogue, place: Place) -> tuple[list[Verdict], OperationState]:
        await asked_at(catalogue, place, Orchestrator.pause, ("a", 0), Chunks("a", 3))
        operation = await the_operation(catalogue)
        async with chunking(catalogue, place) as orchestrator:

            async def pause_again(name: str, chunk: int) -> None:
                del name
                if chunk == 1:
                    await orchestrator.pause(operation.id)

            place.at = pause_again
            outcomes = await asyncio.gather(
                orchestrator.resume(operation.id), orchestrator.resume(operation.id)
            )
        return [one.verdict for one in outcomes], (await the_operation(catalogue)).state

    assert run_chunking(story) == ([Verdict.PAUSED, Verdict.PAUSED], OperationState.PAUSED)


def test_a_cancelled_step_takesnothing_away_that_is_not_its_own() -> None:
    """An attempt that nobody knows of is asked about first: what another holds stays there."""

    async def story() -> tuple[Verdict, list[str]]:
        async with memory_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                store = await zone.add(orchestrator, "primary", Role.PRIMARY)
                wanted = create_volume(name="v", store=store, size_bytes=8192)
                await orchestrator.engine.accept(wanted, "op-1")
                (row,) = await zone.rows(Volume)
                driver = await orchestrator.stores.primary(store)
                ctx = CallContext(
                    operation="op-other", step=0, attempt=1, fence=0, deadline=runtime().now() + 9
                )
                await driver.create_volume(ctx, CreateVolume(key=row.key, size_bytes=3 << 20))
                await orchestrator.cancel("op-1")
            async with zone.orchestrator() as orchestrator:
                (recovered,) = await orchestrator.recover()
                driver = await orchestrator.stores.primary(store)
                kept = await driver.get_volume(ctx, GetVolume(key=row.key))
                await driver.delete_volume(ctx, DeleteVolume(key=row.key))
            return recovered.outcome.verdict, [str(kept.size_bytes)]

    assert run_inline(story()) == (Verdict.FAILED_CLEAN, [str(3 << 20)])
