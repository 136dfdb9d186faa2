"""What the engine commits: intents, outcomes and the state changes they cause, in one transaction.

Everything here is a pure function of a transaction and of the rows the engine holds; the engine
alone writes operations and steps, so the versions it holds are the stored ones.
"""

import enum
from collections.abc import Callable, Sequence

import msgspec

from holdfast import ledger
from holdfast.catalogue.port import RowDamaged, Transaction
from holdfast.credentials.keeper import Withheld
from holdfast.model.rows import (
    ROWS,
    Involved,
    LedgerEntry,
    Operation,
    Row,
    Snapshot,
    StatefulRow,
    Step,
    Store,
    StoredObject,
    Volume,
    VolumeGrant,
)
from holdfast.model.state_sets import GONE, UNCERTAIN, UNFINISHED
from holdfast.model.states import (
    Event,
    GrantState,
    ObjectState,
    OperationState,
    StepState,
    VolumeState,
)
from holdfast.plans import Plan, plan_to_json
from holdfast.retirement import retire_lost
from holdfast.steps.kind import RowChange

NEW = "new"
"""``Involved.begun`` of a plain row that the operation made: a clean failure drops it."""
GOING = "going"
"""``Involved.begun`` of a plain row that success drops."""
TEMPORARY = "temporary"
"""``Involved.begun`` of a plain row that both success and a clean failure drop."""

SHARED = "shared"
"""``Involved.begun`` of a row that the operation only reads: its end changes nothing of it, and
until then nobody deletes it (``holding.check_unread``)."""

TABLES: dict[str, type[Row]] = {row.table: row for row in ROWS}

_encode = msgspec.json.Encoder().encode
_HOLDERS = (Volume, Snapshot, StoredObject)


class Verdict(enum.StrEnum):
    """The four outcomes of an operation."""

    SUCCEEDED = "succeeded"
    FAILED_CLEAN = "failed-clean"
    FAILED_DIRTY = "failed-dirty"
    UNKNOWN = "unknown"


EVENT_OF: dict[Verdict, Event] = {
    Verdict.SUCCEEDED: Event.OPERATION_SUCCEEDED,
    Verdict.FAILED_CLEAN: Event.OPERATION_FAILED_CLEAN,
    Verdict.FAILED_DIRTY: Event.OPERATION_FAILED_DIRTY,
    Verdict.UNKNOWN: Event.OUTCOME_UNKNOWN,
}
VERDICT_OF: dict[OperationState, Verdict] = {
    OperationState.SUCCEEDED: Verdict.SUCCEEDED,
    OperationState.FAILED_CLEAN: Verdict.FAILED_CLEAN,
    OperationState.FAILED_DIRTY: Verdict.FAILED_DIRTY,
}


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What a workflow decided inside the accepting transaction: the plan and the rows it holds."""

    plan: Plan
    involved: tuple[Involved, ...]


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work, before it is accepted.

    ``draft`` runs inside the accepting transaction, with the operation's id: it checks, reserves,
    moves rows by their events and returns the plan. It is pure, and may be run again or rolled back
    (``--dry-run``). ``holds`` are the ids of existing rows it needs for itself, ``shares`` of those
    that it only reads: work on the same row waits its turn, but that those who share a row do so at
    once. ``secrets`` are kept apart from rows and plan, before anything is written.
    """

    kind: str
    subject: str
    holds: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    secrets: Withheld = msgspec.field(default_factory=Withheld)
    draft: Callable[[Transaction, str], Draft]


class Running(msgspec.Struct, frozen=True):
    """An operation as its journal has it; ``steps`` are the rows so far."""

    operation: Operation
    plan: Plan
    steps: tuple[Step, ...]


def begin(
    operation: str, workflow: Workflow, accepted_s: float
) -> Callable[[Transaction], Running]:
    """Accept: the workflow's decisions, the operation, and the intent of its first step."""

    def commit(tx: Transaction) -> Running:
        draft = workflow.draft(tx, operation)
        row = tx.insert(
            Operation(
                id=operation,
                kind=workflow.kind,
                subject=workflow.subject,
                plan=msgspec.Raw(plan_to_json(draft.plan)),
                involved=draft.involved,
                accepted_s=accepted_s,
            )
        )
        return Running(row, draft.plan, (_intend(tx, row, 0),))

    return commit


def _intend(tx: Transaction, operation: Operation, index: int) -> Step:
    return tx.insert(Step(id=f"{operation.id}.{index:03d}", operation=operation.id, index=index))


def advance(
    running: Running, result: msgspec.Struct, effects: Sequence[RowChange], ended_s: float
) -> Callable[[Transaction], Running]:
    """The last step is done: its result, what it decides, and the next intent or the end."""
    *before, step = running.steps
    encoded = msgspec.Raw(_encode(result))

    def commit(tx: Transaction) -> Running:
        done = tx.fire(step, Event.OPERATION_SUCCEEDED, result=encoded, error="")
        for effect in effects:
            _apply(tx, effect)
        steps = (*before, done)
        if len(steps) < len(running.plan):
            operation = _resumed(tx, running.operation, Event.RESUMED)
            return Running(operation, running.plan, (*steps, _intend(tx, operation, len(steps))))
        operation = _conclude(tx, running.operation, Verdict.SUCCEEDED, ended_s=ended_s)
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


def turn_back(
    running: Running, index: int, end: StepEnd, ended_s: float
) -> Callable[[Transaction], Running]:
    """A step failed or was compensated: its end, and the next compensation or the end of all."""

    def commit(tx: Transaction) -> Running:
        steps = list(running.steps)
        operation = running.operation
        compensating = operation.state is OperationState.COMPENSATING
        error = _reason(running, index, end.error)
        left = (*operation.left, *end.left)
        if end.undo_next != index:
            steps[index] = tx.fire(steps[index], end.event, error=end.error)
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
        operation = tx.fire(running.operation, Event.OUTCOME_UNKNOWN, error=reason)
        for involved in operation.involved:
            kind = TABLES[involved.table]
            if involved.begun != SHARED and issubclass(kind, StatefulRow):
                tx.fire(tx.get(kind, involved.id), Event.OUTCOME_UNKNOWN)
        return Running(operation, running.plan, tuple(steps))

    return commit


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
        kind = TABLES[involved.table]
        if involved.begun == SHARED:
            continue
        if issubclass(kind, StatefulRow):
            _end_stateful_row(tx, kind, involved, verdict)
        else:
            _end_plain_row(tx, kind, involved, verdict)
    return tx.fire(operation, EVENT_OF[verdict], error=error, left=left, ended_s=ended_s)


def _end_plain_row(tx: Transaction, kind: type[Row], involved: Involved, verdict: Verdict) -> None:
    dropped = {
        NEW: verdict is Verdict.FAILED_CLEAN,
        GOING: verdict is Verdict.SUCCEEDED,
        TEMPORARY: verdict is not Verdict.FAILED_DIRTY,
    }[involved.begun]
    if not dropped:
        return
    if kind is LedgerEntry:
        ledger.release_all(tx, holder=involved.id)
        return
    row = tx.find(kind, involved.id)
    if row is not None:
        tx.remove(row)


def _end_stateful_row(
    tx: Transaction, kind: type[StatefulRow], involved: Involved, verdict: Verdict
) -> None:
    row = tx.get(kind, involved.id)
    if verdict is Verdict.FAILED_DIRTY and not involved.principal:
        verdict = Verdict.FAILED_CLEAN
    after = tx.fire(row, _ending_event(row, involved, verdict))
    if isinstance(after, _HOLDERS):
        if after.state in (VolumeState.READY, ObjectState.READY):
            promised = ledger.promised_bytes(tx, after)
            ledger.settle(tx, store=after.store, holder=after.id, amount_bytes=promised)
        elif after.state in GONE:
            ledger.release(tx, store=after.store, holder=after.id)
    elif isinstance(after, Store) and after.state in GONE:
        ledger.close_account(tx, after.id)
        retire_lost(tx, after.id)
    elif isinstance(after, VolumeGrant) and after.state is GrantState.REVOKED:
        # A volume may be granted thousands of times; the operations are the history of that.
        tx.remove(after)


def _ending_event(row: StatefulRow, involved: Involved, verdict: Verdict) -> Event:
    """The event that ends a row's part; a row left Uncertain gets its counterpart of recovery."""
    if verdict is Verdict.FAILED_CLEAN and not involved.sound:
        verdict = Verdict.FAILED_DIRTY
    event = EVENT_OF[verdict]
    if row.state not in UNCERTAIN:
        return event
    target = row.machine.next(type(row.state)(involved.begun), event)
    for recovered in (
        Event.RECOVERED_READY,
        Event.RECOVERED_ABSENT,
        Event.RECOVERED_MAINTENANCE,
        Event.RECOVERED_DIRTY,
    ):
        if row.machine.table.get((row.state, recovered)) == target:
            return recovered
    return Event.RECOVERED_DIRTY


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
