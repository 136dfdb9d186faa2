"""Group commit: all transactions that wait become one commit, and each gets its answer after it."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from holdfast.catalogue.buffer import Buffer, Storage, Writes
from holdfast.catalogue.observer import observed
from holdfast.catalogue.port import Catalogue, StaleVersion, Transaction
from holdfast.errors import EnvironmentUnavailable, HoldfastError, UsageError
from holdfast.runtime import Lane, watching

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


def _told(error: Exception) -> HoldfastError:
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
    """A catalogue on any storage, which only ``lane`` touches.

    One task commits for everybody. It lives while somebody waits for an answer, and no longer.
    """

    def __init__(self, storage: Storage, lane: Lane) -> None:
        self._committer = BatchCommitter(storage)
        self._lane = lane
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def transact(self, function: Callable[[Transaction], T]) -> T:
        """As the interface says; who is cancelled while waiting may or may not be committed."""
        if self._closed:
            raise UsageError("the catalogue is closed")
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(function, answer))
        if self._task is None:
            # It commits for all: whose call began it has nothing to do with how long it works.
            with watching(None):
                self._task = asyncio.create_task(self._commit_waiting(), name="catalogue commit")
        outcome = await answer
        if outcome.error is not None:
            raise outcome.error
        value: T = outcome.value
        return value

    async def aclose(self) -> None:
        """Commit what waits, and take no more."""
        self._closed = True
        if self._task is not None:
            # Whoever is cancelled here must not cancel the commit of others.
            await asyncio.shield(self._task)

    async def _commit_waiting(self) -> None:
        batch: list[_Waiting] = []
        try:
            while self._waiting:
                batch = [w for w in self._waiting[:BATCH_MAX] if not w.answer.done()]
                del self._waiting[:BATCH_MAX]
                for waiting, outcome in zip(batch, await self._outcomes(batch), strict=True):
                    if not waiting.answer.done():
                        waiting.answer.set_result(outcome)
                # Those just answered may now queue what they do next, for the same commit.
                await asyncio.sleep(0)
        finally:
            # Only the end of the loop cancels this; then nobody is there to be told.
            self._task = None
            for waiting in (*batch, *self._waiting):
                waiting.answer.cancel()

    async def _outcomes(self, batch: list[_Waiting]) -> list[Outcome]:
        """What became of a batch; whatever ends the commit ends these, and no later ones."""
        functions = [waiting.function for waiting in batch]
        try:
            return await self._lane.run(self._committer.run, functions)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait for the commit
            told = _told(error) if isinstance(error, Exception) else error
            return [Outcome(error=told)] * len(batch)
