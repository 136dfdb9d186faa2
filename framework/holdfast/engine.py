"""The engine: performs a plan step by step, or takes back what it did, with a commit for each.

Outcomes are four. A final error compensates the completed steps in reverse; an uncertain one is
probed first and then committed, repeated or compensated; where the backend cannot tell, the rows
become Uncertain and the operation waits for recovery.
"""

from typing import Any

import msgspec

from holdfast import journal
from holdfast.attempts import Attempts, Doubtful, Failed, Succeeded
from holdfast.catalogue.port import Catalogue, NotInCatalogue, Transaction
from holdfast.errors import ErrorKind, ExitCode, HoldfastError
from holdfast.journal import Running, StepEnd, Verdict, Workflow
from holdfast.model.rows import Operation, Step
from holdfast.model.states import Event, OperationState, StepState
from holdfast.plans import plan_from_json
from holdfast.runtime import runtime
from holdfast.steps.registry import Registry


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an operation ended, or that it is not known yet.

    ``results`` are the answers of the steps; ``left`` names what a dirty failure left behind.
    """

    operation: str
    kind: str
    subject: str
    verdict: Verdict
    error: str = ""
    error_kind: ErrorKind | None = None
    exit_code: ExitCode = ExitCode.DONE
    left: tuple[str, ...] = ()
    results: tuple[Any, ...] = ()

    def expect(self) -> "Outcome":
        """The outcome itself when it is success; else ``OperationFailed``."""
        if self.verdict is not Verdict.SUCCEEDED:
            raise OperationFailed(self)
        return self


class OperationFailed(HoldfastError):
    """An operation did not succeed; ``outcome`` says what is left."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error)
        self.outcome = outcome
        self.exit_code = outcome.exit_code

    def __str__(self) -> str:
        found = self.outcome
        advice = {
            Verdict.FAILED_CLEAN: "nothing was left behind",
            Verdict.FAILED_DIRTY: f"left behind: {', '.join(found.left)}",
            Verdict.UNKNOWN: "the backend cannot say what became of it; run recover when it can",
        }.get(found.verdict, "")
        return f"{found.kind} {found.subject} failed: {found.error}; {advice} ({found.operation})"


class Engine:
    """Drives operations to an outcome; holds no truth that is not in the catalogue."""

    def __init__(self, catalogue: Catalogue, registry: Registry, attempts: Attempts) -> None:
        self.catalogue = catalogue
        self.registry = registry
        self.attempts = attempts

    async def accept(self, workflow: Workflow, operation: str) -> Running:
        """Commit the workflow's decisions and the intent of the first step.

        Raises:
            HoldfastError: the workflow was refused; nothing was written.
        """
        accepted_s = runtime().wall_clock()
        return await self.catalogue.transact(journal.begin(operation, workflow, accepted_s))

    async def drive(self, running: Running, results: tuple[Any, ...] = ()) -> Outcome:
        """Perform what is left of an accepted operation whose next step was never attempted."""
        return await self._forward(running, list(results), ask_first=False)

    async def resume(self, operation: Operation) -> Outcome:
        """Bring an interrupted operation to an outcome: probe before repeating anything.

        ``operation`` may be stale; one that has ended meanwhile is left as it is.

        Raises:
            UnknownStep: its plan needs what is not installed; nothing was touched.
            NotInCatalogue: a step of it is lost; nothing was touched.
        """
        plan = plan_from_json(operation.plan, self.registry)

        def read(tx: Transaction) -> Running:
            return Running(tx.get(Operation, operation.id), plan, journal.load(tx, operation))

        running = await self.catalogue.transact(read)
        steps = running.steps
        results = [self._result(running, step) for step in steps if step.state is StepState.DONE]
        if running.operation.state in journal.VERDICT_OF:
            return _outcome(running, results)
        if lost := journal.lost_step(steps):
            raise NotInCatalogue(
                f"the catalogue has no step {lost} of it; restore the catalogue from a copy"
            )
        if any(step.state is StepState.COMPENSATING for step in steps):
            return await self._backward(running, results)
        return await self._forward(running, results, ask_first=True)

    def _result(self, running: Running, step: Step) -> Any:
        kind = self.registry.of(running.plan[step.index])
        return msgspec.json.decode(step.result, type=kind.result)

    async def _forward(self, running: Running, results: list[Any], *, ask_first: bool) -> Outcome:
        while True:
            index = len(running.steps) - 1
            planned = running.plan[index]
            kind = self.registry.of(planned)
            ended = await self.attempts.perform(
                running.operation.id, index, planned, kind, results, ask_first=ask_first
            )
            match ended:
                case Succeeded(result=result):
                    results.append(result)
                    effects = kind.effects(planned.inputs, result)
                    now = runtime().wall_clock()
                    running = await self.catalogue.transact(
                        journal.advance(running, result, effects, now)
                    )
                    if running.operation.state is OperationState.SUCCEEDED:
                        return _outcome(running, results)
                    ask_first = False
                case Doubtful(error=error):
                    return await self._suspended(running, index, error, results)
                case Failed():
                    return await self._turned_back(running, index, ended, results)

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
        while running.operation.state not in journal.VERDICT_OF:
            index = next(s.index for s in running.steps if s.state is StepState.COMPENSATING)
            planned = running.plan[index]
            kind = self.registry.of(planned)
            ended = await self.attempts.compensate(
                running.operation.id, index, planned, kind, results
            )
            before = self._undo_before(running, index)
            match ended:
                case Succeeded():
                    end = StepEnd(event=Event.OPERATION_SUCCEEDED, undo_next=before)
                case Failed():
                    end = StepEnd(
                        event=Event.OPERATION_FAILED_DIRTY,
                        error=str(ended.error),
                        undo_next=before,
                        left=(f"{kind.describe(planned.inputs)} (not undone: {ended.error})",),
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


def _outcome(running: Running, results: list[Any], error: HoldfastError | None = None) -> Outcome:
    operation = running.operation
    return Outcome(
        operation=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        verdict=journal.VERDICT_OF.get(operation.state, Verdict.UNKNOWN),
        error=operation.error,
        error_kind=getattr(error, "kind", None),
        exit_code=_exit_code(operation, error),
        left=operation.left,
        results=tuple(results),
    )
