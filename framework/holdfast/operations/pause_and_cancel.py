"""Pause and cancel: who is asked to, where a step may be stopped, and when it is too late."""

from typing import Final

import msgspec

from holdfast.catalogue.port import Transaction
from holdfast.model.owner_and_wish import Wish
from holdfast.model.rows import Operation
from holdfast.model.state_sets import ENDED
from holdfast.model.state_tables import OperationState, StepState
from holdfast.operations.journal import Running
from holdfast.operations.step_registry import Registry

_PAUSE: Final = frozenset({Wish.PAUSE})
_EITHER: Final = frozenset({Wish.PAUSE, Wish.CANCEL})


def ask(tx: Transaction, operation: str, wish: Wish) -> list[Operation]:
    """Ask an operation, and all that is a part of it, to pause or to be cancelled.

    One that is to be cancelled stays so: nobody knows how much of it was taken back. What has ended
    is left alone, and what is paused is not asked to pause. Returns those that have the wish now,
    parents first.
    """
    row = tx.get(Operation, operation)
    wishing: list[Operation] = []
    if row.state not in ENDED:
        idle = wish is Wish.PAUSE and row.state is OperationState.PAUSED
        if row.wish is not Wish.CANCEL and not idle:
            row = tx.update(msgspec.structs.replace(row, wish=wish))
        wishing += [row] if row.wish is wish else []
    for child in tx.select(Operation, parent=operation):
        wishing += ask(tx, child.id, wish)
    return wishing


def stoppable(running: Running, index: int, registry: Registry) -> frozenset[Wish] | None:
    """What a step may be stopped for at its checkpoints: nothing is cancelled half that is not
    taken back. ``None`` for a kind that leaves none.
    """
    planned = running.plan[index]
    kind = registry.of(planned)
    if not kind.checkpoints:
        return None
    is_undone = kind.undoes(planned.inputs) and not is_irrevocable(running, registry)
    return _EITHER if is_undone else _PAUSE


def is_irrevocable(running: Running, registry: Registry) -> bool:
    """Whether a step is done that nothing takes back: only going on leads to an end then."""
    for step in running.steps:
        planned = running.plan[step.index]
        kind = registry.of(planned)
        if step.state is StepState.DONE and kind.lingers(planned.inputs):
            return True
    return False
