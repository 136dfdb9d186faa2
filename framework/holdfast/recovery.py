"""Recovery: what was interrupted, whether this program can finish it, and what became of it."""

from collections.abc import Collection, Iterator

import msgspec

from holdfast import journal
from holdfast.catalogue.port import Catalogue
from holdfast.engine import Outcome
from holdfast.errors import HoldfastError
from holdfast.journal import Verdict
from holdfast.model.rows import Operation
from holdfast.model.states import OperationState
from holdfast.plans import Plan, UnknownStep, plan_from_json
from holdfast.steps.registry import Registry


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """One operation that recovery worked on: the state it was found in, and its outcome now.

    ``failure`` is what kept it from being driven on; it is as it was then, its rows too, and its
    outcome not known.
    """

    found: OperationState
    outcome: Outcome
    failure: HoldfastError | None = None


async def interrupted(catalogue: Catalogue, active: Collection[str]) -> list[Operation]:
    """Every operation without an outcome that nobody here is working on, oldest first."""
    found = await catalogue.transact(journal.unfinished)
    return [operation for operation in found if operation.id not in active]


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
