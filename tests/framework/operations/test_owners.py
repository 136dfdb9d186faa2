"""Who drives an operation, and whose part it is."""

import asyncio

import msgspec
import pytest

from chunked import (
    Chunks,
    Place,
    asked_at,
    chunking,
    chunks,
    run_chunking,
    the_operation,
)
from holdfast.catalogue.port import Catalogue, NotInCatalogue, Transaction
from holdfast.contract.errors import UsageError
from holdfast.model.owner_and_wish import Owner
from holdfast.model.rows import Operation
from holdfast.model.state_tables import OperationState
from holdfast.operations import journal
from holdfast.operations.lease import NotItsOwner
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator


def test_recovery_leaves_alone_what_another_owner_drives() -> None:
    """An operation whose owner has the lease is not touched; one whose owner lost it is taken."""

    async def story(catalogue: Catalogue, place: Place) -> tuple[list[str], list[OperationState]]:
        async with chunking(catalogue, place) as first:
            lost = await first.engine.accept(chunks(Chunks("a", 1)), "op-lost")
        async with chunking(catalogue, place) as second:
            mine = second.engine.owner

            def foreign(tx: Transaction) -> None:
                journal.begin("op-foreign", chunks(Chunks("b", 1)), mine, 0.0)(tx)

            await catalogue.transact(foreign)
            # A third, which was not told that the second has the lease still.
            second.engine.owner = Owner("orchestrator-third", mine.fence)
            recovered = [one.outcome.operation for one in await second.recover()]
        assert lost.operation.owner != mine
        rows = await catalogue.transact(lambda tx: tx.select(Operation))
        return recovered, [row.state for row in rows]

    assert run_chunking(story) == (
        ["op-lost"],
        [OperationState.RUNNING, OperationState.SUCCEEDED],
    )


def test_an_owner_that_lost_an_operation_writesnothing_more_of_it() -> None:
    """It is told so, and what the new owner wrote stays."""

    async def story(
        catalogue: Catalogue, place: Place
    ) -> tuple[Owner, OperationState, dict[str, list[int]]]:
        other = Owner("orchestrator-other", 99)

        async def take(tx_of: Orchestrator, operation: str) -> None:
            def commit(tx: Transaction) -> None:
                row = tx.get(Operation, operation)
                tx.update(msgspec.structs.replace(row, owner=other))

            await tx_of.catalogue.transact(commit)

        with pytest.raises(NotItsOwner, match="orchestrator-other"):
            await asked_at(catalogue, place, take, ("a", 0), Chunks("a", 1), Chunks("b", 1))
        row = await the_operation(catalogue)
        return row.owner, row.state, place.done

    owner, state, done = run_chunking(story)
    assert (owner.orchestrator, state) == ("orchestrator-other", OperationState.RUNNING)
    assert done == {"a": [0]}


def test_a_child_is_begun_only_while_its_parent_goes_on() -> None:
    """Who cancels a parent cancels its children, and none is begun after that, nor of nothing."""

    async def story(catalogue: Catalogue, place: Place) -> tuple[list[str], list[str]]:
        refusals: list[str] = []
        async with chunking(catalogue, place) as orchestrator:

            async def child(parent: str, name: str) -> Verdict:
                workflow = msgspec.structs.replace(chunks(Chunks(name, 2)), parent=parent)
                return (await orchestrator.run(workflow)).verdict

            async def at(name: str, chunk: int) -> None:
                if (name, chunk) == ("parent", 1):
                    (row,) = await catalogue.transact(
                        lambda tx: tx.select(Operation, kind="chunks")
                    )
                    place.late = asyncio.create_task(child(row.id, "child"))
                    await asyncio.sleep(0)
                if (name, chunk) == ("child", 0):
                    rows = await catalogue.transact(lambda tx: tx.select(Operation, parent=""))
                    await orchestrator.cancel(rows[0].id)
                    with pytest.raises(UsageError) as refused:
                        await child(rows[0].id, "late")
                    refusals.append(str(refused.value))

            place.at = at
            await orchestrator.run(chunks(Chunks("parent", 500)))
            await place.late
            with pytest.raises(NotInCatalogue):
                await child("op-none", "orphan")
        rows = await catalogue.transact(lambda tx: tx.select(Operation))
        return [f"{row.subject} {row.state}" for row in rows], refusals

    ended, refusals = run_chunking(story)
    assert sorted(ended) == ["child FailedClean", "parent FailedClean"]
    assert "begins nothing more" in refusals[0]
