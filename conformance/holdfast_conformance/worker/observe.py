"""Observation: the inspector's inventory, and every granted block as its host sees it."""

import msgspec

from holdfast.requests import CallContext
from holdfast.testbed import Inspected, Inspector, Inventory
from holdfast_conformance.trace import BlocksRead, Observed, Raised
from holdfast_conformance.worker.containment import (
    Containment,
    Failed,
    unwritable,
    writable,
)
from holdfast_conformance.worker.session import testbed_failed
from holdfast_conformance.worker.steps import ITEMS_MAX, Steps


class Observer:
    """Looks at the backend after each step of one plan."""

    def __init__(self, inspector: Inspector, steps: Steps, containment: Containment) -> None:
        self._inspector = inspector
        self._steps = steps
        self._containment = containment
        self._last: tuple[Inspected, ...] | None = None
        self.grants: dict[tuple[str, str], None] = {}
        """The grants that the driver acknowledged: volume and host."""

    async def inventory(self) -> Inventory:
        """What the inspector finds now.

        Raises:
            Stopped: the inspector itself does not work.
        """
        try:
            found = await self._inspector.inventory()
            if len(found.things) > ITEMS_MAX:
                # What is there beyond reason is told by its beginning.
                found = msgspec.structs.replace(found, things=found.things[:ITEMS_MAX])
            if unwritable(found.things):
                things = tuple(map(_writable_thing, found.things))
                found = msgspec.structs.replace(found, things=things)
        except Exception as problem:
            raise testbed_failed("inspector", problem) from problem
        else:
            return found

    async def observe(self, index: int, ctx: CallContext, *, blocks: bool) -> Observed:
        """The backend after a step; without ``blocks`` no volume is read."""
        found = await self.inventory()
        things = None if found.things == self._last else found.things
        self._last = found.things
        read: list[tuple[str, str, BlocksRead]] = []
        unreadable: list[tuple[str, str, str]] = []
        for volume, host in self.grants if blocks else ():
            try:
                seen = await self._containment.call(self._read(ctx, volume, host))
                read.append((volume, host, seen))
            except Failed as failed:
                outcome = failed.outcome
                cause = outcome.kind.value if isinstance(outcome, Raised) else outcome.what
                unreadable.append((volume, host, cause))
        return Observed(
            index=index,
            things=things,
            outside_digest=found.outside_digest,
            blocks=tuple(read),
            unreadable=tuple(unreadable),
        )

    async def _read(self, ctx: CallContext, volume: str, host: str) -> BlocksRead:
        return await self._steps.read_all(await self._steps.open(ctx, volume, host))


def _writable_thing(thing: Inspected) -> Inspected:
    """What a driver left under a name that is no UTF-8 must be told all the same."""
    return msgspec.structs.replace(
        thing, key=writable(thing.key), id=writable(thing.id), detail=writable(thing.detail)
    )
