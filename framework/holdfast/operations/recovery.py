"""What recovery finds: what was interrupted, whose plan can be read; the engine then resumes it."""

from collections.abc import Collection, Iterator

import msgspec

from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import HoldfastError
from holdfast.model.owner_and_wish import Owner, Wish
from holdfast.model.rows import Operation
from holdfast.model.state_tables import OperationState
from holdfast.operations import journal
from holdfast.operations.lease import lease_is_over
from holdfast.operations.operation_outcome import Outcome, Verdict
from holdfast.operations.plans import Plan, UnknownStep, plan_from_json
from holdfast.operations.step_registry import Registry


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """One operation that recovery worked on: the state it was found in, and its outcome now.

    ``failure`` is what kept it from being driven on; it is as it was then, its rows too, and its
    outcome not known.
    """

    found: OperationState
    outcome: Outcome
    failure: HoldfastError | None = None


async def interrupted(
    catalogue: Catalogue, owner: Owner, active: Collection[str]
) -> list[Operation]:
    """Every operation without an outcome that its owner lost, oldest first.

    It was this owner's, and nobody here works on it, or that of an owner whose lease is over. What
    another owner drives is not touched, nor what waits, paused, until it is
    resumed; what is paused and was to be cancelled has been forgotten.
    """
    now_s = runtime().wall_clock()

    def look(tx: Transaction) -> list[Operation]:
        return [
            operation
            for operation in journal.unfinished(tx)
            if (operation.state is not OperationState.PAUSED or operation.wish is Wish.CANCEL)
            and operation.id not in active
            and (operation.owner == owner or lease_is_over(tx, operation.owner, now_s))
        ]

    return await catalogue.transact(look)


async def unreadable(catalogue: Catalogue) -> list[Recovered]:
    """Every operation without an outcome that is damaged in the catalogue."""
    return [
        Recovered(
            found=state,
            outcome=Outcome(
                operation=problem.row_id,
                kind="operation",
                subject="unreadable",
                verdict=Verdict.UNKNOWN,
                error=str(problem),
            ),
            failure=problem,
        )
        for state, problem in await catalogue.transact(journal.unreadable)
    ]


def read_plan(operation: Operation, registry: Registry) -> Plan:
    """The plan of an operation.

    Raises:
        UnknownStep: it cannot be read here; names the step, and says what to do.
    """
    try:
        return plan_from_json(operation.plan, registry)
    except UnknownStep as problem:
        raise UnknownStep(
            f"{problem}. Nothing of it was touched; install the release that accepted it and "
            "recover again"
        ) from None
    except (msgspec.MsgspecError, UnicodeError) as problem:
        raise UnknownStep(
            f"its plan cannot be read: {problem}. Nothing of it was touched"
        ) from None


def places_of(plan: Plan) -> frozenset[str]:
    """The stores that a plan works with; what waits for one of them delays no work on others."""
    return frozenset(store for step in plan for store in _stores_in(step.inputs))


def _stores_in(inputs: object) -> Iterator[str]:
    """What any struct in the inputs of a step calls its store."""
    if not isinstance(inputs, msgspec.Struct):
        return
    for name in inputs.__struct_fields__:
        value = getattr(inputs, name)
        if name == "store" and isinstance(value, str):
            yield value
        else:
            yield from _stores_in(value)


def not_recovered(operation: Operation, failure: Exception) -> Recovered:
    """An operation that could not be driven on, and is left as it is."""
    typed = failure if isinstance(failure, HoldfastError) else HoldfastError(repr(failure))
    return Recovered(
        found=operation.state,
        outcome=Outcome(
            operation=operation.id,
            kind=operation.kind,
            subject=operation.subject,
            verdict=Verdict.UNKNOWN,
            error=f"operation {operation.id} ({operation.kind}) cannot be recovered now: {typed}",
            error_kind=getattr(typed, "kind", None),
            left=operation.left,
        ),
        failure=typed,
    )
