"""How far a step has come, and where it goes on."""

import asyncio

import pytest

from chunked import (
    Chunks,
    Place,
    asked_at,
    checkpoints,
    chunking,
    chunks,
    nothing,
    run_chunking,
)
from holdfast.catalogue.port import Catalogue
from holdfast.contract.errors import Exhausted, Internal, Precondition
from holdfast.model.rows import CHECKPOINT_MAX_BYTES
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator


def test_a_step_that_was_cut_off_goes_on_from_its_last_checkpoint() -> None:
    """The process dies in the third chunk: recovery does that again, and none before it."""

    async def story(
        catalogue: Catalogue, place: Place
    ) -> tuple[list[Verdict], dict[str, list[int]], int]:
        async with chunking(catalogue, place) as orchestrator:
            task = asyncio.create_task(orchestrator.run(chunks(Chunks("a", 4))))

            async def cut(name: str, chunk: int) -> None:
                del name
                if chunk == 2:
                    task.cancel()
                    await asyncio.sleep(0)

            place.at = cut
            await asyncio.wait([task])
        place.at = nothing
        async with chunking(catalogue, place) as orchestrator:
            recovered = [one.outcome.verdict for one in await orchestrator.recover()]
        return recovered, place.done, await checkpoints(catalogue)

    assert run_chunking(story) == ([Verdict.SUCCEEDED], {"a": [0, 1, 2, 2, 3]}, 0)


def test_a_checkpoint_is_of_a_bounded_size() -> None:
    """What does not fit is no checkpoint: rows stay small."""

    async def story(catalogue: Catalogue, place: Place) -> str:
        async with chunking(catalogue, place) as orchestrator:
            running = await orchestrator.engine.accept(chunks(Chunks("a", 1)), "op-1")
            step = orchestrator.engine.at_hand(running, 0, [], frozenset())
            await step.journal.checkpoint(bytes(CHECKPOINT_MAX_BYTES))
            with pytest.raises(Internal) as refused:
                await step.journal.checkpoint(bytes(CHECKPOINT_MAX_BYTES + 1))
            assert await step.journal.checkpoints() == (bytes(CHECKPOINT_MAX_BYTES),)
        return str(refused.value)

    assert "4097" in run_chunking(story)


def test_chunks_that_are_moved_at_once_stop_together() -> None:
    """Each task of a step hears that it is to stop; the step is paused, and not failed."""

    async def story(catalogue: Catalogue, place: Place) -> tuple[Verdict, list[str]]:
        steps = (Chunks("a", 4, parallel=True),)
        verdict = await asked_at(catalogue, place, Orchestrator.pause, ("a", 0), *steps)
        return verdict, place.undone

    assert run_chunking(story) == (Verdict.PAUSED, [])


def test_a_step_that_left_checkpoints_and_fails_is_taken_back() -> None:
    """What it moved itself is no driver call, and is removed all the same."""

    async def story(
        catalogue: Catalogue, place: Place
    ) -> tuple[Verdict, dict[str, list[int]], int]:

        async def full(name: str, chunk: int) -> None:
            del name
            if chunk == 2:
                raise Exhausted("there is no room")

        place.at = full
        async with chunking(catalogue, place) as orchestrator:
            outcome = await orchestrator.run(chunks(Chunks("a", 4)))
        return outcome.verdict, place.done, await checkpoints(catalogue)

    assert run_chunking(story) == (Verdict.FAILED_CLEAN, {}, 0)


def test_a_checkpoint_whose_answer_was_lost_takes_its_number() -> None:
    """The next one takes another; and what comes after the step has ended is refused."""

    async def story(catalogue: Catalogue, place: Place) -> tuple[int, str]:
        async with chunking(catalogue, place) as orchestrator:
            running = await orchestrator.engine.accept(chunks(Chunks("a", 1)), "op-1")
            first = orchestrator.engine.at_hand(running, 0, [], frozenset())
            second = orchestrator.engine.at_hand(running, 0, [], frozenset())
            await asyncio.gather(*(step.journal.checkpoint(b"x") for step in (first, second) * 3))
            written = len(await first.journal.checkpoints())
            await orchestrator.engine.drive(running)
            with pytest.raises(Precondition, match="has ended") as refused:
                await second.journal.checkpoint(b"late")
        assert await checkpoints(catalogue) == 0
        return written, str(refused.value)

    assert run_chunking(story)[0] == 6
