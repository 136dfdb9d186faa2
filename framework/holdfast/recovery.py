"""Recovery: what was interrupted, whether this program can finish it, and what became of it."""

from collections.abc import Collection, Iterable

import msgspec

from holdfast import journal
from holdfast.catalogue.port import Catalogue
from holdfast.engine import Outcome
from holdfast.model.rows import Operation
from holdfast.model.states import OperationState
from holdfast.plans import UnknownStep, plan_from_json
from holdfast.steps.registry import Registry


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """One operation that recovery worked on: the state it was found in, and its outcome now."""

    found: OperationState
    outcome: Outcome


async def interrupted(catalogue: Catalogue, active: Collection[str]) -> list[Operation]:
    """Every operation without an outcome that nobody here is working on, oldest first."""
    found = await catalogue.transact(journal.unfinished)
    return [operation for operation in found if operation.id not in active]


def check_plans(operations: Iterable[Operation], registry: Registry) -> None:
    """Refuse the whole recovery when one plan cannot be read: nothing is touched half-known.

    Raises:
        UnknownStep: names the operation, the step and what to do.
    """
    for operation in operations:
        try:
            plan_from_json(operation.plan, registry)
        except UnknownStep as problem:
            raise UnknownStep(
                f"operation {operation.id} ({operation.kind}) cannot be recovered: {problem}. "
                "Nothing was touched; install the release that accepted it and recover again"
            ) from None
        except msgspec.MsgspecError as problem:
            raise UnknownStep(
                f"operation {operation.id} ({operation.kind}) has a plan that cannot be read: "
                f"{problem}. Nothing was touched"
            ) from None
