"""The orchestrator: accepts workflows, runs them one at a time per object, and recovers.

It owns one task group; whatever runs in the background lives in it and ends with it. Open it with
``open_orchestrator``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from holdfast.attempts import Attempts, Policy
from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.credentials.stores import settle, settle_one
from holdfast.dataplane import DataPlane, data_plane, use_data_plane
from holdfast.engine import Engine, Outcome
from holdfast.journal import SHARED, Draft, Workflow
from holdfast.lease import LeaseDamaged, renew_lease, take_lease
from holdfast.ledger_upgrade import upgrade_ledger
from holdfast.model.rows import Operation
from holdfast.recovery import (
    Recovered,
    interrupted,
    not_recovered,
    places_of,
    read_plan,
    unreadable,
)
from holdfast.runtime import runtime
from holdfast.steps.builtin import builtin_registry
from holdfast.steps.registry import Registry
from holdfast.stores import Opener, OpenStores, PluginOpener
from holdfast.turns import Hold, Turns

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

    def __init__(self, engine: Engine, stores: OpenStores, tasks: asyncio.TaskGroup) -> None:
        self.engine = engine
        self.stores = stores
        self.catalogue = engine.catalogue
        self._tasks = tasks
        self._background: set[asyncio.Task[None]] = set()
        self._active: set[str] = set()
        self._making: set[str] = set()
        self._unfit: LeaseDamaged | None = None
        self._turns = Turns(engine.attempts.policy.patience_s)

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
        found = await interrupted(self.catalogue, self._active)
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
            # Its own id too: of two recoveries at once, the second finds what the first has ended.
            rows = _rows_of(operation)
            async with self._turns.take(rows), gate:
                self._active.add(operation.id)
                try:
                    outcome = await self.engine.resume(operation)
                finally:
                    self._give_back(operation.id, rows)
                    await self._settle_secrets(operation.subject)
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


@asynccontextmanager
async def open_orchestrator(
    catalogue: Catalogue,
    *,
    opener: Opener | None = None,
    registry: Registry | None = None,
    policy: Policy | None = None,
    renewing_lease: bool = False,
) -> AsyncIterator[Orchestrator]:
    """Own a catalogue and run workflows on it.

    Args:
        catalogue: is owned until the context ends.
        opener: opens the stores' drivers; by default with the installed providers.
        registry: the kinds of step; by default those of the framework.
        policy: how long and how often steps are tried.
        renewing_lease: make a new lease where the catalogue's cannot be read; without that, such a
            catalogue is opened for what only reads.
    """
    runtime().adopt_loop()
    fence = await _owned(catalogue, renewing_lease=renewing_lease)
    stores = OpenStores(catalogue, opener or PluginOpener())
    attempts = Attempts(stores, fence=fence if isinstance(fence, int) else 0, policy=policy)
    engine = Engine(catalogue, registry or builtin_registry(), attempts)
    failed: Exception | None = None
    async with _hosts():
        try:
            async with asyncio.TaskGroup() as tasks:
                orchestrator = Orchestrator(engine, stores, tasks)
                if isinstance(fence, LeaseDamaged):
                    orchestrator.refuse_work(fence)
                try:
                    yield orchestrator
                except Exception as failure:  # noqa: BLE001 - raised below, not wrapped in a group
                    failed = failure
                    orchestrator.stop()
        finally:
            try:
                await _undisturbed(_quiet(attempts))
            finally:
                try:
                    await _undisturbed(stores.aclose())
                except Exception:
                    if failed is None:  # else the first failure is the one to be told
                        raise
    if failed is not None:
        raise failed


async def _owned(catalogue: Catalogue, *, renewing_lease: bool) -> int | LeaseDamaged:
    """Become a catalogue's owner, and finish what an earlier version or owner left half done in it.

    Returns:
        The owner's fence, or why there is none.
    """
    owner = runtime().new_id("orchestrator")
    if renewing_lease:
        now_s = runtime().wall_clock()
        await catalogue.transact(lambda tx: renew_lease(tx, now_s))
    fence = await catalogue.transact(lambda tx: take_lease(tx, owner))
    await upgrade_ledger(catalogue)
    await settle(catalogue)
    return fence


@asynccontextmanager
async def _hosts() -> AsyncIterator[None]:
    """A data plane for handles that need one, unless the caller has one; unused, it costs nothing.

    Every host is this machine then.
    """
    if data_plane() is not None:
        yield
        return
    async with DataPlane() as plane:
        with use_data_plane(plane):
            yield


async def _quiet(attempts: Attempts) -> None:
    """No driver call that was cut off acts any more.

    Who owns the catalogue next decides by what the backend shows; it must not change after that.
    """
    await attempts.quiet()
    await runtime().drained()


async def _undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Do this to its end, whoever cancels meanwhile.

    Only the end of the loop itself (a second Ctrl-C) does not wait.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as cancellation:
            cancelled = cancellation
    task.result()
    if cancelled is not None:
        raise cancelled
