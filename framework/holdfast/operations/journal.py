"""What the engine commits: intents, outcomes and the state changes they cause, in one transaction.

Everything here is a pure function of a transaction and of the rows the engine holds; the engine
alone writes steps, so the versions it holds are the stored ones. An operation may have been asked
to pause or to be cancelled meanwhile, so that it is read again.
"""

from collections.abc import Callable, Sequence

import msgspec

from holdfast.catalogue.port import RowDamaged, Transaction
from holdfast.model.owner_and_wish import Owner, Wish
from holdfast.model.rows import Checkpoint, Operation, Step
from holdfast.model.state_sets import ENDED, UNFINISHED
from holdfast.model.state_tables import Event, OperationState, StepState
from holdfast.operations.child_operations import check_parent
from holdfast.operations.lease import current
from holdfast.operations.operation_outcome import EVENT_OF, Verdict
from holdfast.operations.plans import Plan, plan_to_json
from holdfast.operations.row_ends import doubt_row, end_row
from holdfast.operations.step_kind import RowChange
from holdfast.operations.workflow import Workflow

_encode = msgspec.json.Encoder().encode


class Running(msgspec.Struct, frozen=True):
    """An operation as its journal has it; ``steps`` are the rows so far."""

    operation: Operation
    plan: Plan
    steps: tuple[Step, ...]


def begin(
    operation: str, workflow: Workflow, owner: Owner, accepted_s: float
) -> Callable[[Transaction], Running]:
    """Accept: the workflow's decisions, the operation, and the intent of its first step."""

    def commit(tx: Transaction) -> Running:
        if workflow.parent:
            check_parent(tx, workflow.parent, owner)
        draft = workflow.draft(tx, operation)
        row = tx.insert(
            Operation(
                id=operation,
                kind=workflow.kind,
                subject=workflow.subject,
                plan=msgspec.Raw(plan_to_json(draft.plan)),
                involved=draft.involved,
                owner=owner,
                parent=workflow.parent,
                accepted_s=accepted_s,
            )
        )
        return Running(row, draft.plan, (_intend(tx, row, 0),))

    return commit


def _intend(tx: Transaction, operation: Operation, index: int) -> Step:
    return tx.insert(Step(id=f"{operation.id}.{index:03d}", operation=operation.id, index=index))


def advance(
    running: Running,
    result: msgspec.Struct,
    effects: Sequence[RowChange],
    ended_s: float,
    *,
    checkpoints: bool,
) -> Callable[[Transaction], Running]:
    """The last step is done: its result, what it decides, and the next intent or the end.

    ``checkpoints``: it may have left some, which nobody needs any more.
    """
    *before, step = running.steps
    encoded = msgspec.Raw(_encode(result))

    def commit(tx: Transaction) -> Running:
        done = tx.fire(step, Event.OPERATION_SUCCEEDED, result=encoded, error="")
        for effect in effects:
            _apply(tx, effect)
        if checkpoints:
            _forget_checkpoints(tx, done)
        steps = (*before, done)
        operation = current(tx, running.operation.id, running.operation.owner)
        if len(steps) < len(running.plan):
            operation = _resumed(tx, operation, Event.RESUMED)
            return Running(operation, running.plan, (*steps, _intend(tx, operation, len(steps))))
        operation = _conclude(tx, operation, Verdict.SUCCEEDED, ended_s=ended_s)
        return Running(operation, running.plan, steps)

    return commit


def _apply(tx: Transaction, change: RowChange) -> None:
    row = tx.get(change.row, change.id)
    tx.update(msgspec.structs.replace(row, **change.fields))


def _resumed(tx: Transaction, operation: Operation, event: Event) -> Operation:
    if operation.state is OperationState.UNCERTAIN:
        return tx.fire(operation, event)
    return operation


class StepEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a step that did not succeed (or a compensation) ended.

    ``undo_next`` is the number of the step to compensate next; ``None`` ends the operation.
    """

    event: Event
    error: str = ""
    undo_next: int | None = None
    left: tuple[str, ...] = ()
    """What is left behind for good, which makes the failure dirty."""
    checkpoints: bool = False
    """The step may have left checkpoints."""


def turn_back(
    running: Running, index: int, end: StepEnd, ended_s: float
) -> Callable[[Transaction], Running]:
    """A step failed or was compensated: its end, and the next compensation or the end of all."""

    def commit(tx: Transaction) -> Running:
        steps = list(running.steps)
        operation = current(tx, running.operation.id, running.operation.owner)
        compensating = operation.state is OperationState.COMPENSATING
        error = _reason(running, index, end.error)
        left = (*operation.left, *end.left)
        if end.undo_next != index:
            steps[index] = tx.fire(steps[index], end.event, error=end.error)
            if end.checkpoints:
                _forget_checkpoints(tx, steps[index])
        if end.undo_next is None:
            verdict = Verdict.FAILED_DIRTY if left else Verdict.FAILED_CLEAN
            operation = _conclude(tx, operation, verdict, error=error, left=left, ended_s=ended_s)
            return Running(operation, running.plan, tuple(steps))
        undone = steps[end.undo_next]
        steps[end.undo_next] = tx.fire(
            undone, Event.COMPENSATION_REQUESTED, error=end.error or undone.error
        )
        if not compensating:
            operation = tx.fire(operation, Event.COMPENSATION_REQUESTED, error=error, left=left)
        elif end.left:
            operation = tx.update(msgspec.structs.replace(operation, left=left))
        return Running(operation, running.plan, tuple(steps))

    return commit


def _reason(running: Running, index: int, error: str) -> str:
    """Why an operation fails: while it is taken back, that is why it is, not how that goes."""
    taken_back = running.steps[index].state is StepState.COMPENSATING
    return (running.operation.error or error) if taken_back else error


def suspend(running: Running, index: int, error: str) -> Callable[[Transaction], Running]:
    """No answer to be trusted: step, operation and rows wait for recovery."""

    def commit(tx: Transaction) -> Running:
        steps = list(running.steps)
        steps[index] = tx.fire(steps[index], Event.OUTCOME_UNKNOWN, error=error)
        reason = _reason(running, index, error)
        operation = current(tx, running.operation.id, running.operation.owner)
        operation = tx.fire(operation, Event.OUTCOME_UNKNOWN, error=reason)
        for involved in operation.involved:
            doubt_row(tx, involved)
        return Running(operation, running.plan, tuple(steps))

    return commit


def pause(running: Running, index: int, *, attempted: bool) -> Callable[[Transaction], Running]:
    """The operation stops before a step, or at a checkpoint of one that was attempted.

    Whoever resumes it knows by the step's state which of the two it is: what was never attempted is
    not asked about. One that was asked to be cancelled meanwhile does not pause.
    """

    def commit(tx: Transaction) -> Running:
        operation = current(tx, running.operation.id, running.operation.owner)
        steps = list(running.steps)
        if operation.wish is not Wish.CANCEL:
            if attempted and steps[index].state is StepState.INTENDED:
                steps[index] = tx.fire(steps[index], Event.OUTCOME_UNKNOWN)
            operation = _resumed(tx, operation, Event.RESUMED)
            operation = tx.fire(operation, Event.PAUSED, wish=Wish.NONE)
        return Running(operation, running.plan, tuple(steps))

    return commit


def take_over(tx: Transaction, seen: Operation, owner: Owner) -> Operation:
    """The operation as it is stored, driven by ``owner`` from now on; a paused one runs again.

    One that changed hands, or was paused, since it was ``seen``, is left as it is: of two that take
    it over at once, the second does nothing.
    """
    row = tx.get(Operation, seen.id)
    if row.state in ENDED:
        return row
    if row.owner not in (seen.owner, owner):
        return current(tx, row.id, owner)  # raises
    if row.state is OperationState.PAUSED:
        if row.version != seen.version:
            return row
        wish = Wish.CANCEL if row.wish is Wish.CANCEL else Wish.NONE
        return tx.fire(row, Event.RESUMED, owner=owner, wish=wish)
    return row if row.owner == owner else tx.update(msgspec.structs.replace(row, owner=owner))


def _forget_checkpoints(tx: Transaction, step: Step) -> None:
    """The step has ended: nobody needs them any more, whether they can be read or not."""
    for row in tx.intact(Checkpoint, step=step.id):
        tx.remove(row)
    for problem in tx.damaged(Checkpoint, step=step.id):
        tx.discard(Checkpoint, problem.row_id)


def _conclude(
    tx: Transaction,
    operation: Operation,
    verdict: Verdict,
    *,
    error: str = "",
    left: tuple[str, ...] = (),
    ended_s: float,
) -> Operation:
    """End an operation: every row it holds leaves its transitional state, and capacity settles."""
    for involved in operation.involved:
        end_row(tx, involved, verdict)
    return tx.fire(operation, EVENT_OF[verdict], error=error, left=left, ended_s=ended_s)


def load(tx: Transaction, operation: Operation) -> tuple[Step, ...]:
    """The steps of an operation, in order."""
    return tuple(tx.select(Step, operation=operation.id))


def lost_step(steps: Sequence[Step]) -> int:
    """The number, from 1, of a step that an operation without an outcome must have and has not.

    The intent of each step is committed with the end of the one before it, so that the last one of
    those that go forward has not ended: one that seems done hides that the next may have acted.
    """
    for index, step in enumerate(steps):
        if step.index != index:
            return index + 1
    if any(step.state is StepState.COMPENSATING for step in steps):
        return 0
    goes_on = bool(steps) and steps[-1].state in (StepState.INTENDED, StepState.UNCERTAIN)
    return 0 if goes_on else len(steps) + 1


def unfinished(tx: Transaction) -> list[Operation]:
    """Every operation that has no outcome yet, oldest first; without one whose row is damaged."""
    found: list[Operation] = []
    for state in UNFINISHED:
        found += tx.intact(Operation, state=state.value)
    return sorted(found, key=lambda operation: (operation.accepted_s, operation.id))


def unreadable(tx: Transaction) -> list[tuple[OperationState, RowDamaged]]:
    """Operations that had no outcome yet when they were written, and cannot be read now."""
    return [
        (state, problem)
        for state in UNFINISHED
        for problem in tx.damaged(Operation, state=state.value)
    ]


def is_undone(step: Step) -> bool:
    """Whether a step needs no compensation any more, or never did."""
    return step.state in (StepState.FAILED, StepState.COMPENSATED, StepState.DIRTY)
