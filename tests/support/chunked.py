"""A kind of step for tests that works through chunks, and leaves a checkpoint after each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from holdfast.assembly import open_orchestrator
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.contract.answers import Absent, Partial, Undetermined
from holdfast.contract.errors import Unavailable
from holdfast.model.rows import Checkpoint, Operation
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.plans import PlannedStep
from holdfast.operations.step_kind import Happened, StepContext, StepKind
from holdfast.operations.step_registry import Registry
from holdfast.operations.step_retries import Policy
from holdfast.operations.workflow import Draft, Workflow
from zones import run_inline

T = TypeVar("T")
Asking = Callable[[Orchestrator, str], Coroutine[Any, Any, None]]


class Place:
    """What the chunks are done to; it outlives every orchestrator."""

    def __init__(self) -> None:
        self.done: dict[str, list[int]] = {}
        self.undone: list[str] = []
        self.at: Callable[[str, int], Awaitable[None]] = _go_on
        """Is called after each chunk that is done, and before its checkpoint."""
        self.late: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        """What a test has begun beside the chunks."""
        self.refused: set[str] = set()
        """Names whose chunks fail."""


async def _go_on(name: str, chunk: int) -> None:
    """Nothing happens between chunks."""


class Chunks(msgspec.Struct, frozen=True):
    """So many chunks under a name; ``final`` are never taken back, ``parallel`` all at once."""

    name: str
    count: int
    final: bool = False
    parallel: bool = False


class Done(msgspec.Struct, frozen=True):
    """What a step of these kinds answers."""

    name: str


class ChunkKind(StepKind[Chunks, Done]):
    """Does chunk after chunk, and a checkpoint after each."""

    kind = "test.chunks"
    inputs = Chunks
    result = Done
    checkpoints = True

    def __init__(self, place: Place) -> None:
        self._place = place

    async def perform(self, step: StepContext, inputs: Chunks) -> Done:
        if inputs.name in self._place.refused:
            raise Unavailable("there is no room for it")
        self._place.done.setdefault(inputs.name, [])
        if inputs.parallel:
            async with asyncio.TaskGroup() as group:
                for chunk in range(inputs.count):
                    group.create_task(self._one(step, inputs, chunk))
            return Done(inputs.name)
        for chunk in range(len(await step.journal.checkpoints()), inputs.count):
            await self._one(step, inputs, chunk)
        return Done(inputs.name)

    async def _one(self, step: StepContext, inputs: Chunks, chunk: int) -> None:
        self._place.done[inputs.name].append(chunk)
        await self._place.at(inputs.name, chunk)
        await step.journal.checkpoint(str(chunk).encode())

    async def probe(
        self, step: StepContext, inputs: Chunks
    ) -> Happened[Done] | Absent | Partial | Undetermined:
        reached = len(await step.journal.checkpoints())
        return Happened(Done(inputs.name)) if reached == inputs.count else Absent()

    def undoes(self, inputs: Chunks) -> bool:
        return not inputs.final

    def lingers(self, inputs: Chunks) -> bool:
        return inputs.final

    async def compensate(self, step: StepContext, inputs: Chunks) -> None:
        del step
        self._place.undone.append(inputs.name)
        self._place.done.pop(inputs.name, None)

    def describe(self, inputs: Chunks) -> str:
        return f"chunks of {inputs.name}"


def chunks(*steps: Chunks) -> Workflow:
    """An operation with one step for each."""

    def draft(tx: Transaction, operation: str) -> Draft:
        del tx, operation
        return Draft(plan=tuple(PlannedStep("test.chunks", 1, step) for step in steps), involved=())

    return Workflow(kind="chunks", subject=steps[0].name, holds=(steps[0].name,), draft=draft)


@asynccontextmanager
async def chunking(catalogue: Catalogue, place: Place) -> AsyncIterator[Orchestrator]:
    """An orchestrator that knows this kind of step, and tries twice."""
    registry = Registry((ChunkKind(place),))
    policy = Policy(backoff_s=0.01, backoff_max_s=0.02, attempts=2)
    async with open_orchestrator(catalogue, registry=registry, policy=policy) as orchestrator:
        yield orchestrator


async def checkpoints(catalogue: Catalogue) -> int:
    """How many checkpoints there are."""

    def count(tx: Transaction) -> int:
        return len(tx.select(Checkpoint))

    return await catalogue.transact(count)


def run_chunking(story: Callable[[MemoryCatalogue, Place], Coroutine[Any, Any, T]]) -> T:
    """Tell a story on a new catalogue and a new place, without threads; what it answers."""

    async def inside() -> T:
        async with MemoryCatalogue().opened() as catalogue:
            return await story(catalogue, Place())

    return run_inline(inside())


async def the_operation(catalogue: Catalogue, kind: str = "chunks") -> Operation:
    """The one operation of a kind."""
    (row,) = await catalogue.transact(lambda tx: tx.select(Operation, kind=kind))
    return row


async def asked_at(
    catalogue: Catalogue, place: Place, asking: Asking, at: tuple[str, int], *steps: Chunks
) -> Verdict:
    """Run steps in a process of their own, and ask once a chunk of one is done."""
    async with chunking(catalogue, place) as orchestrator:

        async def ask(name: str, chunk: int) -> None:
            if (name, chunk) == at:
                await asking(orchestrator, (await the_operation(catalogue)).id)

        place.at = ask
        return (await orchestrator.run(chunks(*steps))).verdict


async def nothing(name: str, chunk: int) -> None:
    """Nothing happens between chunks."""
    del name, chunk
