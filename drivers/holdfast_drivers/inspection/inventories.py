"""What the suite is told, made of what was seen."""

from collections.abc import Iterable

from holdfast.contract.answers import OwnedKind
from holdfast.contract.testbed import Inspected, Inventory
from holdfast_drivers.inspection.readers.seen import Seen


def inventory_of(things: Iterable[Inspected], outside_digest: str) -> Inventory:
    """All things in the order in which inventories are compared."""
    found = sorted(things, key=lambda thing: (thing.kind, thing.key, thing.id))
    return Inventory(things=tuple(found), outside_digest=outside_digest)


def inspected(seen: Seen) -> Inspected:
    """One thing, as the contract has it."""
    return Inspected(
        kind=OwnedKind(seen.kind),
        key=seen.key,
        id=seen.id,
        size_bytes=seen.size_bytes,
        digest=seen.digest,
        detail=seen.detail,
        unfinished=seen.unfinished,
    )
