"""What several drivers refuse, and tell in the same words."""

from typing import Protocol

from holdfast.contract.answers import StoreState
from holdfast.contract.errors import Precondition


class Named(Protocol):
    """What a row says of a store that may be in maintenance."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> StoreState: ...


def refuse_late(fence: int, kept: int, key: str, *, what: str) -> None:
    """Refuse a call that is older than one that was made; 0 is no fence.

    Raises:
        Precondition: it came after a later call; nothing was done.
    """
    if fence and fence < kept:
        raise Precondition(
            f"a later call was made on this {what} ({kept}, this one is {fence}); it came too "
            "late, and nothing was done",
            object=key,
            state="fenced",
        )


def refuse_in_maintenance(store: Named) -> None:
    """Refuse a new allocation.

    Raises:
        Precondition: the store is in maintenance.
    """
    if store.state is StoreState.MAINTENANCE:
        raise Precondition(
            f"store {store.name} is in maintenance; cancel it first", state=store.state.value
        )
