"""The orchestrator: accepts workflows, runs them one at a time per object, and recovers.

It owns one task group; whatever runs in the background lives in it and ends with it. Open it with
``holdfast.assembly.open_orchestrator``.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence

from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import UsageError
from holdfast.model.owner_and_wish import Owner, Wish
from holdfast.model.rows import Operation
from holdfast.model.state_tables import OperationState
from holdfast.operations import pause_and_cancel
from holdfast.operations.engine import Engine
from holdfast.operations.lease import LeaseDamaged
from holdfast.operations.operation_outcome import Outcome
from holdfast.operations.recovery import (
    Recovered,
    interrupted,
    not_recovered,
    places_of,
    read_plan,
    unreadable,
)
from holdfast.operations.step_registry import Registry
from holdfast.operations.step_retries import Attempts
from holdfast.operations.turns import Hold, Turns
from holdfast.operations.workflow import SHARED, Draft, Workflow
from holdfast.stores.kept_stores import OpenStores
from holdfast.stores.store_secrets import settle_one

RECOVERIES_AT_ONCE = 8
"""How many operations that work with the same stores are recovered at a time."""


class _RolledBack(Exception):
    """Carries a draft out of a transaction that must not be kept."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft


class Orchestrator:
    """Runs workflows on one catalogue.

    A caller that is cancelled leaves its operation in the journal, where ``recover`` finds it, and
    a call that is under way to end by itself: until it has, nobody else works on its rows.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        registry: Registry,
        attempts: Attempts,
        stores: OpenStores,
        *,
        owner: Owner,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.engine = Engine(catalogue, registry, attempts, owner)
        self.stores = stores
        self.catalogue = catalogue
        self._tasks = tasks
        self._background: set[asyncio.Task[None]] = set()
        self._active: set[str] = set()
        self._making: set[str] = set()
        self._unfit: LeaseDamaged | None = None
        self._turns = Turns(attempts.policy.patience_s)

    @property
    def active(self) -> Collection[str]:
        """The operations that somebody here is working on now."""
        return self._active

    @property
    def unfit(self) -> LeaseDamaged | None:
        """Why no work is done, if none is."""
        return self._unfit

    def refuse_work(self, problem: LeaseDamaged) -> None:
        """Do nothing in any store from now on; what only reads goes on."""
        self._unfit = problem

    def _check_fit(self) -> None:
        if self._unfit is not None:
            raise LeaseDamaged(str(self._unfit), self._unfit.row_id)

    async def run(self, workflow: Workflow) -> Outcome:
        """Run a workflow to its outcome; ``Outcome.expect`` turns failure into an exception.

        Work that holds the same row waits its turn.

        Raises:
            HoldfastError: the workflow was refused before anything was written or done.
            Busy: so was it, because a call from before may still act on a row it holds.
            LeaseDamaged: so is everything, until the lease is renewed.
        """
        self._check_fit()
        operation = runtime().new_id("op")
        holds = (
            *(Hold(row) for row in workflow.holds),
            *(Hold(row, shared=True) for row in workflow.shares),
        )
        async with self._turns.take(holds):
            self._active.add(operation)
            try:
                await self._keep(workflow)
                running = await self.engine.accept(workflow, operation)
                holds = (*holds, *_rows_of(running.operation))
                return await self.engine.drive(running)
            finally:
                self._give_back(operation, holds)
                await self._settle_secrets(workflow.subject)

    async def _keep(self, workflow: Workflow) -> None:
        """Keep a new store's secrets; nobody may take them for those of one that is gone."""
        if workflow.secrets:
            self._making.add(workflow.subject)
            await self.catalogue.secrets.keep(workflow.secrets)

    async def _settle_secrets(self, subject: str) -> None:
        """Once an operation has ended: keep no secret of a store that is gone with it."""
        self._making.discard(subject)
        await settle_one(self.catalogue, subject, self._making)

    def _give_back(self, operation: str, holds: Sequence[Hold]) -> None:
        """The turns end now, or with the operation's calls that may still act."""
        late = self.engine.attempts.late(operation)
        if late:
            self._turns.keep(holds, operation, late)
        self._active.discard(operation)

    def start(self, workflow: Workflow) -> asyncio.Future[Outcome]:
        """Run a workflow in the background, which ends with the orchestrator.

        What ``run`` raises is the future's; it stops nothing else.
        """
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        task = self._tasks.create_task(self._answer(workflow, answer), name=workflow.kind)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return answer

    async def _answer(self, workflow: Workflow, answer: asyncio.Future[Outcome]) -> None:
        try:
            outcome = await self.run(workflow)
        except Exception as failure:  # noqa: BLE001 - it belongs to the one who waits
            if not answer.done():
                answer.set_exception(failure)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        else:
            if not answer.done():
                answer.set_result(outcome)

    def stop(self) -> None:
        """Cancel what runs in the background; the journal keeps what is unfinished."""
        for task in self._background:
            task.cancel()

    async def plan(self, workflow: Workflow) -> Draft:
        """What a workflow would do now; nothing is written or done.

        Raises:
            HoldfastError: the workflow would be refused.
        """

        def look(tx: Transaction) -> None:
            raise _RolledBack(workflow.draft(tx, "op-dry-run"))

        try:
            await self.catalogue.transact(look)
        except _RolledBack as looked:
            return looked.draft
        raise AssertionError("a dry run never commits")

    async def pause(self, operation: str) -> None:
        """Ask an operation and all that is a part of it to stop before its next step.

        A step that leaves checkpoints stops at the next of them. Whoever ran it has an outcome with
        ``Verdict.PAUSED`` then; the rows stay held until it is resumed, also across a restart.

        Raises:
            NotInCatalogue: there is no such operation.
        """
        await self._ask(operation, Wish.PAUSE)

    async def cancel(self, operation: str) -> None:
        """Ask an operation and all that is a part of it to take back what it did.

        It is seen as ``pause`` is; what is paused is taken back at once. An operation that has done
        something that nothing takes back goes on to its end.

        Raises:
            NotInCatalogue: there is no such operation.
        """
        failures: list[Exception] = []
        for wishing in await self._ask(operation, Wish.CANCEL):
            if wishing.state is OperationState.PAUSED:
                try:
                    await self._drive_on(wishing)
                except Exception as failure:  # noqa: BLE001 - one that cannot be stops no other
                    failures.append(failure)
        if failures:
            raise failures[0]

    async def resume(self, operation: str) -> Outcome:
        """Go on with a paused operation, and with nothing that is a part of it.

        Raises:
            NotInCatalogue: there is no such operation.
            UsageError: it is not paused.
        """
        self._check_fit()
        row = await self.catalogue.transact(lambda tx: tx.get(Operation, operation))
        if row.state is not OperationState.PAUSED:
            raise UsageError(f"operation {operation} is {row.state}, and not paused")
        return await self._drive_on(row)

    async def _ask(self, operation: str, wish: Wish) -> list[Operation]:
        self._check_fit()
        return await self.catalogue.transact(lambda tx: pause_and_cancel.ask(tx, operation, wish))

    async def _drive_on(self, operation: Operation) -> Outcome:
        """Bring an operation that nobody works on to an outcome, in its turn."""
        # Its own id too: of two at once, the second finds what the first has ended.
        rows = _rows_of(operation)
        async with self._turns.take(rows):
            self._active.add(operation.id)
            try:
                return await self.engine.resume(operation)
            finally:
                self._give_back(operation.id, rows)
                await self._settle_secrets(operation.subject)

    async def recover(
        self, told: Callable[[Recovered], object] | None = None
    ) -> tuple[Recovered, ...]:
        """Drive every interrupted operation to an outcome, and say what became of each.

        Each is driven for itself: one that cannot go on is left as it is, with the rows it holds,
        and told as a failure among the others. Repeating it is harmless, also at once. Operations
        that run in this orchestrator now are left alone.

        Args:
            told: is told of each operation as soon as it is known what became of it.

        Raises:
            LeaseDamaged: nothing was touched, and nothing can be until the lease is renewed.
        """
        self._check_fit()
        found = await interrupted(self.catalogue, self.engine.owner, self._active)
        gates: dict[frozenset[str], asyncio.Semaphore] = {}
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._recover_one(one, gates, told)) for one in found]
        except BaseException as failure:
            # What ``told`` raised, or the end of the program: no failure of an operation is here.
            several: tuple[BaseException, ...] = getattr(failure, "exceptions", ())
            if several:
                raise several[0] from None
            raise
        damaged = await unreadable(self.catalogue)
        if told is not None:
            for one in damaged:
                told(one)
        return (*(task.result() for task in tasks), *damaged)

    async def _recover_one(
        self,
        operation: Operation,
        gates: dict[frozenset[str], asyncio.Semaphore],
        told: Callable[[Recovered], object] | None,
    ) -> Recovered:
        try:
            plan = read_plan(operation, self.engine.registry)
            gate = gates.setdefault(places_of(plan), asyncio.Semaphore(RECOVERIES_AT_ONCE))
            async with gate:
                outcome = await self._drive_on(operation)
            recovered = Recovered(found=operation.state, outcome=outcome)
        except Exception as failure:  # noqa: BLE001 - it is this operation's, and stops no other
            recovered = not_recovered(operation, failure)
        if told is not None:
            told(recovered)
        return recovered


def _rows_of(operation: Operation) -> tuple[Hold, ...]:
    """What an operation works on or reads: itself, and the rows it involves."""
    involved = (Hold(one.id, shared=one.begun == SHARED) for one in operation.involved)
    return (Hold(operation.id), *involved)
