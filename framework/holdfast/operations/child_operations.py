"""Operations that are a part of another: when one may begin below its parent."""

from holdfast.catalogue.port import Transaction
from holdfast.contract.errors import UsageError
from holdfast.model.owner_and_wish import Owner, Wish
from holdfast.model.state_tables import OperationState
from holdfast.operations.lease import current

_GOING_ON = (OperationState.RUNNING, OperationState.UNCERTAIN)


def check_parent(tx: Transaction, parent: str, owner: Owner) -> None:
    """A child is begun only while its parent goes on: nobody would wait for it, or take it back.

    Raises:
        UsageError: the parent has ended, or was asked to pause or to be cancelled.
    """
    row = current(tx, parent, owner)
    if row.state not in _GOING_ON or row.wish is not Wish.NONE:
        asked = f" and was asked to {row.wish}" if row.wish is not Wish.NONE else ""
        raise UsageError(f"operation {parent} is {row.state}{asked}, and begins nothing more")
