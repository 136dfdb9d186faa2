"""The orchestrator: accepts workflows, runs them one at a time per object, and recovers.

It owns one task group; whatever runs in the background lives in it and ends with it. Open it with
``open_orchestrator``.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from holdfast.attempts import Attempts, Policy
from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.dataplane import DataPlane, data_plane, use_data_plane
from holdfast.engine import Engine, Outcome
from holdfast.errors import HoldfastError
from holdfast.journal import Draft, Workflow
from holdfast.ledger_upgrade import upgrade_ledger
from holdfast.model.rows import Lease, Operation
from holdfast.recovery import Recovered, check_plans, interrupted
from holdfast.runtime import runtime
from holdfast.steps.builtin import builtin_registry
from holdfast.steps.registry import Registry
from holdfast.stores import Opener, OpenStores, PluginOpener

RECOVERIES_AT_ONCE = 8
_OWNER = "catalogue"


class _RolledBack(Exception):
    """Carries a draft out of a transaction that must not be kept."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft


class Orchestrator:
    """Runs workflows on one catalogue.

    A caller that is cancelled leaves its operation in the journal, where ``recover`` finds it.
    """

    def __init__(self, engine: Engine, stores: OpenStores, tasks: asyncio.TaskGroup) -> None:
        self.engine = engine
        self.stores = stores
        self.catalogue = engine.catalogue
        self._tasks = tasks
        self._background: set[asyncio.Task[None]] = set()
        self._active: set[str] = set()
        self._turns = _Turns()

    @property
    def active(self) -> Collection[str]:
        """The operations that somebody here is working on now."""
        return self._active

    async def run(self, workflow: Workflow) -> Outcome:
        """Run a workflow to its outcome; ``Outcome.expect`` turns failure into an exception.

        Work that holds the same row waits its turn.

        Raises:
            HoldfastError: the workflow was refused before anything was written or done.
        """
        operation = runtime().new_id("op")
        async with self._turns.take(workflow.holds):
            self._active.add(operation)
            try:
                running = await self.engine.accept(workflow, operation)
                return await self.engine.drive(running)
            finally:
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

    async def recover(self) -> tuple[Recovered, ...]:
        """Drive every interrupted operation to an outcome, and say what became of each.

        Repeating it is harmless, also at once. Operations that run in this orchestrator now are
        left alone.

        Raises:
            UnknownStep: a plan needs a step that is not installed; nothing was touched.
        """
        found = await interrupted(self.catalogue, self._active)
        check_plans(found, self.engine.registry)
        gate = asyncio.Semaphore(RECOVERIES_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._recover_one(one, gate)) for one in found]
        except* HoldfastError as failures:
            raise failures.exceptions[0] from None
        return tuple(task.result() for task in tasks)

    async def _recover_one(self, operation: Operation, gate: asyncio.Semaphore) -> Recovered:
        # Its own id too: of two recoveries at once, the second finds what the first has ended.
        holds = (operation.id, *(involved.id for involved in operation.involved))
        async with gate, self._turns.take(holds):
            self._active.add(operation.id)
            try:
                outcome = await self.engine.resume(operation)
            finally:
                self._active.discard(operation.id)
        return Recovered(found=operation.state, outcome=outcome)


class _Turns:
    """One piece of work at a time on each row; taken in order of ids, so that nobody deadlocks."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    @asynccontextmanager
    async def take(self, ids: Sequence[str]) -> AsyncIterator[None]:
        async with AsyncExitStack() as held:
            for row in sorted(set(ids)):
                self._users[row] = self._users.get(row, 0) + 1
                held.callback(self._leave, row)
                await held.enter_async_context(self._locks.setdefault(row, asyncio.Lock()))
            yield

    def _leave(self, row: str) -> None:
        self._users[row] -= 1
        if not self._users[row]:
            del self._users[row], self._locks[row]


@asynccontextmanager
async def open_orchestrator(
    catalogue: Catalogue,
    *,
    opener: Opener | None = None,
    registry: Registry | None = None,
    policy: Policy | None = None,
) -> AsyncIterator[Orchestrator]:
    """Own a catalogue and run workflows on it.

    Args:
        catalogue: is owned until the context ends.
        opener: opens the stores' drivers; by default with the installed providers.
        registry: the kinds of step; by default those of the framework.
        policy: how long and how often steps are tried.
    """
    owner = runtime().new_id("orchestrator")
    fence = await catalogue.transact(lambda tx: _next_fence(tx, owner))
    await upgrade_ledger(catalogue)
    stores = OpenStores(catalogue, opener or PluginOpener())
    attempts = Attempts(stores, fence=fence, policy=policy)
    engine = Engine(catalogue, registry or builtin_registry(), attempts)
    failed: Exception | None = None
    async with _hosts():
        try:
            async with asyncio.TaskGroup() as tasks:
                orchestrator = Orchestrator(engine, stores, tasks)
                try:
                    yield orchestrator
                except Exception as failure:  # noqa: BLE001 - raised below, not wrapped in a group
                    failed = failure
                    orchestrator.stop()
        finally:
            try:
                await _quiet()
            finally:
                await stores.aclose()
    if failed is not None:
        raise failed


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


async def _quiet() -> None:
    """Wait until no driver call that was cut off acts any more, whoever cancels meanwhile.

    Who owns the catalogue next decides by what the backend shows; it must not change after that.
    Only the end of the loop itself (a second Ctrl-C) does not wait.
    """
    waiting = asyncio.create_task(runtime().drained())
    cancelled: asyncio.CancelledError | None = None
    while not waiting.done():
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError as cancellation:
            cancelled = cancellation
    if cancelled is not None:
        raise cancelled


def _next_fence(tx: Transaction, owner: str) -> int:
    held = tx.find(Lease, _OWNER)
    if held is None:
        return tx.insert(Lease(id=_OWNER, owner=owner, fence=1)).fence
    return tx.update(msgspec.structs.replace(held, owner=owner, fence=held.fence + 1)).fence
