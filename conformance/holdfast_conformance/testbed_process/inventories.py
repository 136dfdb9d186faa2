"""Inventories as they can be told: of a bounded length, and in texts that can be written down."""

from typing import Final

import msgspec

from holdfast.contract.testbed import Inspected, Inventory
from holdfast_conformance.foreign_texts import unwritable, writable

ITEMS_MAX: Final = 10_000
"""How many things are looked at: what is there beyond reason is told by its beginning."""


def tellable(found: Inventory) -> Inventory:
    """The inventory, shortened where it has no end."""
    if len(found.things) > ITEMS_MAX:
        found = msgspec.structs.replace(found, things=found.things[:ITEMS_MAX])
    if unwritable(found.things):
        found = msgspec.structs.replace(found, things=tuple(map(_writable, found.things)))
    return found


def _writable(thing: Inspected) -> Inspected:
    """What a driver left under a name that is no UTF-8 must be told all the same."""
    return msgspec.structs.replace(
        thing, key=writable(thing.key), id=writable(thing.id), detail=writable(thing.detail)
    )
