"""Groups of transactions: all that wait are committed as one, and each gets its answer after it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Self, TypeVar

import msgspec

from holdfast.catalogue.observer import observed
from holdfast.catalogue.port import Catalogue, StaleVersion, Transaction
from holdfast.catalogue.transaction import Buffer, Storage, Writes
from holdfast.concurrency.owned import owned_task
from holdfast.concurrency.runtime import Lane
from holdfast.contract.errors import EnvironmentUnavailable, HoldfastError, UsageError

T = TypeVar("T")
Function = Callable[[Transaction], Any]

_AGAIN_MAX: Final = 16
"""How often a function is run again because another program changed what it had read."""

BATCH_MAX = 256
"""Transactions in one commit; bounds how long the first of them waits for the last."""


class Outcome(msgspec.Struct, frozen=True):
    """What a transaction function came to."""

    value: Any = None
    error: BaseException | None = None


class _Waiting(msgspec.Struct, frozen=True):
    function: Function
    answer: asyncio.Future[Outcome]


class CatalogueFailed(EnvironmentUnavailable):
    """What stores the catalogue failed in a way it does not explain; its cause says how.

    Whether the transaction is kept is not known: read again.
    """


def _told(error: BaseException) -> HoldfastError:
    """A failure of the storage for the person who reads it; one that explains itself as it is."""
    if isinstance(error, HoldfastError):
        return error
    told = CatalogueFailed(
        f"the catalogue's storage failed ({type(error).__name__}: {error}); "
        "what was to be written may or may not be there: open it again and recover"
    )
    told.__cause__ = error
    return told


class BatchCommitter:
    """Runs transaction functions on a storage, a batch of them in one commit; blocking."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def run(self, functions: list[Function]) -> list[Outcome]:
        """The outcome of each function, after its commit.

        When the commit of several fails, all of them are run again, each in a commit of its own: no
        function suffers from another's. One that is alone is run again where another program was
        faster: it had read what is no longer so. When not even leaving the storage succeeds,
        nobody's outcome can be trusted, and each is told so.
        """
        if len(functions) == 1:
            return [self._run_alone(functions[0])]
        return self._attempt(functions) or [self._run_alone(function) for function in functions]

    def _run_alone(self, function: Function) -> Outcome:
        """The outcome of a function in a commit of its own."""
        for _ in range(_AGAIN_MAX):
            for outcome in self._attempt([function]):
                return outcome
        return Outcome(error=StaleVersion("other programs change the catalogue all the time"))

    def _attempt(self, functions: list[Function]) -> list[Outcome]:
        """The outcomes of one commit; none where they are to be run again, in commits of their own
        or after what they read was forgotten.
        """
        writes: Writes = {}
        outcomes: list[Outcome] = []
        try:
            outcomes = [self._run_one(function, writes) for function in functions]
            if writes:
                observed(lambda: self._storage.commit(writes))
        except StaleVersion:
            outcomes = []  # what the functions themselves raise is in their outcomes
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is to have it
            outcomes = [Outcome(error=error)] if len(functions) == 1 else []
        try:
            self._storage.end()
        except Exception as error:  # noqa: BLE001 - as above
            return self._without_end(functions, outcomes, error)
        return outcomes

    def _without_end(
        self, functions: list[Function], outcomes: list[Outcome], error: Exception
    ) -> list[Outcome]:
        """Who has an error has the reason for this one too; all others get this one."""
        ended = Outcome(error=_told(error))
        if not outcomes:
            return [ended] * len(functions)
        return [ended if outcome.error is None else outcome for outcome in outcomes]

    def _run_one(self, function: Function, writes: Writes) -> Outcome:
        buffer = Buffer(self._storage, writes)
        try:
            value = function(buffer)
        except BaseException as error:  # noqa: BLE001 - it belongs to the one who asked
            return Outcome(error=error)
        buffer.keep()
        return Outcome(value=value)


class GroupCommitCatalogue(Catalogue):
    """A catalogue on any storage, which only ``lane`` touches; ``opened`` opens it.

    One task commits for everybody. It belongs to whoever has the catalogue open.
    """

    def __init__(self, storage: Storage, lane: Lane) -> None:
        self._committer = BatchCommitter(storage)
        self._lane = lane
        self._waiting: list[_Waiting] = []
        self._asked: asyncio.Future[None] | None = None
        """Done when a commit is asked for; there is one while the task has nothing to do."""
        self._is_open = False

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Take transactions while the context lasts; then commit what waits, and take no more.

        Whoever is cancelled meanwhile waits for the commits of others. What ends the committing
        itself, which is a defect, ends the context with it.
        """
        if self._is_open:
            raise UsageError("the catalogue is open already")
        self._is_open = True
        async with owned_task(self._commit_waiting(), end=self._close, name="catalogue commit"):
            yield self

    def _close(self) -> None:
        self._is_open = False
        self._ask()

    def _ask(self) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():  # it is when the end of the loop cancelled it
            asked.set_result(None)

    async def transact(self, function: Callable[[Transaction], T]) -> T:
        """As the interface says; who is cancelled while waiting may or may not be committed."""
        if not self._is_open:
            raise UsageError("the catalogue is closed")
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(function, answer))
        if self._asked is not None:
            self._ask()
        outcome = await answer
        if outcome.error is not None:
            raise outcome.error
        value: T = outcome.value
        return value

    async def _commit_waiting(self) -> None:
        try:
            while self._waiting or await self._is_asked():
                await self._commit_batch()
                # Those just answered may now queue what they do next, for the same commit.
                await asyncio.sleep(0)
        except Exception as defect:
            # It ends the owner; who waits here is told, and does not look as if cancelled.
            for waiting in self._waiting:
                if not waiting.answer.done():
                    waiting.answer.set_result(Outcome(error=_told(defect)))
            raise
        finally:
            self._is_open = False
            # Only the end of the loop cancels this; then nobody is there to be told.
            for waiting in self._waiting:
                waiting.answer.cancel()
            self._waiting.clear()

    async def _is_asked(self) -> bool:
        """Whether somebody waits for a commit, once somebody does or the catalogue is closed."""
        while not self._waiting and self._is_open:
            self._asked = asyncio.get_running_loop().create_future()
            await self._asked
        return bool(self._waiting)

    async def _commit_batch(self) -> None:
        """Commit for those who wait longest, and answer them; until then they count as waiting."""
        taken = self._waiting[:BATCH_MAX]
        batch = [waiting for waiting in taken if not waiting.answer.done()]
        for waiting, outcome in zip(batch, await self._outcomes(batch), strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(outcome)
        del self._waiting[: len(taken)]

    async def _outcomes(self, batch: list[_Waiting]) -> list[Outcome]:
        """What became of a batch; whatever ends the commit ends these, and no later ones."""
        functions = [waiting.function for waiting in batch]
        try:
            return await self._lane.run(self._committer.run, functions)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            told: BaseException = _told(error)
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait for the commit
            told = _told(error) if isinstance(error, Exception) else error
        return [Outcome(error=told)] * len(batch)


def _is_cancelled() -> bool:
    """Whether this task was told to end; what it waited for may have been cancelled by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
