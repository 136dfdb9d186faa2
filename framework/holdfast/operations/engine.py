"""The engine: performs a plan step by step, resumes it or takes back what it did; commits each.

Outcomes are four. Between steps an operation may be paused, or cancelled as long as all that it did
can be taken back. A final error compensates the completed steps in reverse; an uncertain one is
probed first and then committed, repeated or compensated; where the backend cannot tell, the rows
become Uncertain and the operation waits for recovery.
"""

from typing import Any

import msgspec

from holdfast.catalogue.port import Catalogue, NotInCatalogue, Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import ExitCode, HoldfastError
from holdfast.model.owner_and_wish import Owner, Wish
from holdfast.model.rows import Operation, Step
from holdfast.model.state_tables import Event, OperationState, StepState
from holdfast.operations import journal
from holdfast.operations.journal import Running, StepEnd
from holdfast.operations.operation_outcome import VERDICT_OF, Outcome, Verdict
from holdfast.operations.pause_and_cancel import is_irrevocable, stoppable
from holdfast.operations.plans import plan_from_json
from holdfast.operations.step_journal import StepJournal
from holdfast.operations.step_kind import StepAtHand
from holdfast.operations.step_registry import Registry
from holdfast.operations.step_retries import Attempts, Doubtful, Failed, Stopped, Succeeded
from holdfast.operations.workflow import Workflow


class Cancelled(HoldfastError):
    """The operation was asked to be cancelled, and what it had done was taken back."""


class Engine:
    """Drives operations to an outcome; holds no truth that is not in the catalogue.

    Args:
        catalogue: where the operations are.
        registry: the kinds of step.
        attempts: tries single steps.
        owner: who drives the operations; another that takes one over ends the work on it here.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        registry: Registry,
        attempts: Attempts,
        owner: Owner,
    ) -> None:
        self.catalogue = catalogue
        self.registry = registry
        self.attempts = attempts
        self.owner = owner

    async def accept(self, workflow: Workflow, operation: str) -> Running:
        """Commit the workflow's decisions and the intent of the first step.

        Raises:
            HoldfastError: the workflow was refused; nothing was written.
        """
        accepted_s = runtime().wall_clock()
        return await self.catalogue.transact(
            journal.begin(operation, workflow, self.owner, accepted_s)
        )

    async def drive(self, running: Running, results: tuple[Any, ...] = ()) -> Outcome:
        """Perform what is left of an accepted operation whose next step was never attempted."""
        return await self._forward(running, list(results), ask_first=False)

    async def resume(self, operation: Operation) -> Outcome:
        """Bring an interrupted or paused operation to an outcome: probe before repeating anything.

        ``operation`` may be stale; one that has ended meanwhile is left as it is.

        Raises:
            UnknownStep: its plan needs what is not installed; nothing was touched.
            NotInCatalogue: a step of it is lost; nothing was touched.
        """
        plan = plan_from_json(operation.plan, self.registry)

        def read(tx: Transaction) -> tuple[Running, OperationState]:
            stored = tx.get(Operation, operation.id)
            steps = journal.load(tx, stored)
            if stored.state not in VERDICT_OF and (lost := journal.lost_step(steps)):
                raise NotInCatalogue(
                    f"the catalogue has no step {lost} of it; restore the catalogue from a copy"
                )
            taken = journal.take_over(tx, operation, self.owner)
            return Running(taken, plan, steps), stored.state

        running, was = await self.catalogue.transact(read)
        steps = running.steps
        results = [self._result(running, step) for step in steps if step.state is StepState.DONE]
        if running.operation.state in (*VERDICT_OF, OperationState.PAUSED):
            return _outcome(running, results)
        if any(step.state is StepState.COMPENSATING for step in steps):
            return await self._backward(running, results)
        # One that was paused before a step knows that nothing was attempted; a crash does not.
        ask_first = was is not OperationState.PAUSED or steps[-1].state is StepState.UNCERTAIN
        return await self._forward(running, results, ask_first=ask_first)

    def _result(self, running: Running, step: Step) -> Any:
        kind = self.registry.of(running.plan[step.index])
        return msgspec.json.decode(step.result, type=kind.result)

    def at_hand(
        self,
        running: Running,
        index: int,
        results: list[Any],
        stoppable: frozenset[Wish] | None = None,
    ) -> StepAtHand:
        """A step of an operation, with all that its kind may need."""
        planned = running.plan[index]
        return StepAtHand(
            operation=running.operation.id,
            index=index,
            inputs=planned.inputs,
            kind=self.registry.of(planned),
            results=results,
            journal=StepJournal(
                self.catalogue, running.operation.owner, running.steps[index], stoppable
            ),
        )

    async def _forward(self, running: Running, results: list[Any], *, ask_first: bool) -> Outcome:
        while True:
            index = len(running.steps) - 1
            # A step that may have been attempted is brought to its end first: only a probe knows
            # whose it is, and what another holds under its name is not ours to take away.
            if running.operation.wish is not Wish.NONE and not ask_first:
                running, outcome = await self._obey(running, index, results)
                if outcome is not None:
                    return outcome
            step = self.at_hand(running, index, results, stoppable(running, index, self.registry))
            ended = await self.attempts.perform(step, ask_first=ask_first)
            if isinstance(ended, Stopped) and ended.wish is Wish.PAUSE:
                running = await self._pause(running, index, attempted=True)
                if running.operation.state is OperationState.PAUSED:
                    return _outcome(running, results)
                ask_first = True  # it was asked to be cancelled meanwhile
                continue
            if not isinstance(ended, Succeeded):
                return await self._not_done(running, index, ended, results)
            results.append(ended.result)
            running = await self._advance(running, step, ended.result)
            if running.operation.state is OperationState.SUCCEEDED:
                return _outcome(running, results)
            ask_first = False

    async def _advance(self, running: Running, step: StepAtHand, result: Any) -> Running:
        effects = step.kind.effects(step.inputs, result)
        now = runtime().wall_clock()
        return await self.catalogue.transact(
            journal.advance(running, result, effects, now, checkpoints=step.kind.checkpoints)
        )

    async def _not_done(
        self, running: Running, index: int, ended: Failed | Doubtful | Stopped, results: list[Any]
    ) -> Outcome:
        match ended:
            case Doubtful(error=error):
                return await self._suspended(running, index, error, results)
            case Stopped():
                failed = Failed(Cancelled("it was cancelled"), touched=True)
                return await self._turned_back(running, index, failed, results)
            case Failed():
                return await self._turned_back(running, index, ended, results)

    async def _obey(
        self, running: Running, index: int, results: list[Any]
    ) -> tuple[Running, Outcome | None]:
        """What the operation was asked to do, before a step that nobody attempted yet.

        No outcome: it goes on, because nothing takes back what it did.
        """
        if running.operation.wish is Wish.PAUSE:
            running = await self._pause(running, index, attempted=False)
            if running.operation.state is OperationState.PAUSED:
                return running, _outcome(running, results)
        if is_irrevocable(running, self.registry):
            return running, None
        failed = Failed(Cancelled("it was cancelled"))
        return running, await self._turned_back(running, index, failed, results)

    async def _pause(self, running: Running, index: int, *, attempted: bool) -> Running:
        return await self.catalogue.transact(journal.pause(running, index, attempted=attempted))

    async def _turned_back(
        self, running: Running, index: int, failed: Failed, results: list[Any]
    ) -> Outcome:
        planned = running.plan[index]
        kind = self.registry.of(planned)
        own = failed.touched and kind.undoes(planned.inputs)
        left = failed.left if failed.touched and not own else ()
        end = StepEnd(
            event=Event.OPERATION_FAILED_DIRTY if left else Event.OPERATION_FAILED_CLEAN,
            error=f"{kind.describe(planned.inputs)}: {failed.error}",
            undo_next=index if own else self._undo_before(running, index),
            left=left,
            checkpoints=kind.checkpoints,
        )
        running = await self._turn_back(running, index, end)
        return await self._backward(running, results, failed.error)

    async def _turn_back(self, running: Running, index: int, end: StepEnd) -> Running:
        now = runtime().wall_clock()
        return await self.catalogue.transact(journal.turn_back(running, index, end, now))

    def _undo_before(self, running: Running, index: int) -> int | None:
        """The number of the last completed step before this one that has something to undo."""
        for step in reversed(running.steps[:index]):
            planned = running.plan[step.index]
            if step.state is StepState.DONE and self.registry.of(planned).undoes(planned.inputs):
                return step.index
        return None

    async def _backward(
        self, running: Running, results: list[Any], error: HoldfastError | None = None
    ) -> Outcome:
        while running.operation.state not in VERDICT_OF:
            index = next(s.index for s in running.steps if s.state is StepState.COMPENSATING)
            step = self.at_hand(running, index, results)
            ended = await self.attempts.compensate(step)
            before = self._undo_before(running, index)
            match ended:
                case Succeeded():
                    end = StepEnd(
                        event=Event.OPERATION_SUCCEEDED,
                        undo_next=before,
                        checkpoints=step.kind.checkpoints,
                    )
                case Failed():
                    end = StepEnd(
                        event=Event.OPERATION_FAILED_DIRTY,
                        error=str(ended.error),
                        undo_next=before,
                        left=(f"{step.kind.describe(step.inputs)} (not undone: {ended.error})",),
                        checkpoints=step.kind.checkpoints,
                    )
                case Doubtful():
                    return await self._suspended(running, index, ended.error, results)
            running = await self._turn_back(running, index, end)
        return _outcome(running, results, error)

    async def _suspended(
        self, running: Running, index: int, error: HoldfastError, results: list[Any]
    ) -> Outcome:
        running = await self.catalogue.transact(journal.suspend(running, index, str(error)))
        return _outcome(running, results, error)


def _exit_code(operation: Operation, error: HoldfastError | None) -> ExitCode:
    """Something outside that is missing is told from a failure, as everywhere."""
    if operation.state is OperationState.SUCCEEDED:
        return ExitCode.DONE
    return ExitCode.FAILED if error is None else error.exit_code


def _verdict(operation: Operation) -> Verdict:
    if operation.state is OperationState.PAUSED:
        return Verdict.PAUSED
    return VERDICT_OF.get(operation.state, Verdict.UNKNOWN)


def _outcome(running: Running, results: list[Any], error: HoldfastError | None = None) -> Outcome:
    operation = running.operation
    verdict = _verdict(operation)
    return Outcome(
        operation=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        verdict=verdict,
        error=operation.error or ("it is paused" if verdict is Verdict.PAUSED else ""),
        error_kind=getattr(error, "kind", None),
        exit_code=_exit_code(operation, error),
        left=operation.left,
        results=tuple(results),
    )
