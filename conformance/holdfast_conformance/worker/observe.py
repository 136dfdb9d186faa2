"""Observation: the inspector's inventory, and every granted block as its host sees it."""

from holdfast.contract.requests import CallContext
from holdfast.contract.testbed import Inspected, Inspector, Inventory
from holdfast_conformance.testbed_process.inventories import tellable
from holdfast_conformance.testbed_process.provider_and_testbed import testbed_failed
from holdfast_conformance.trace import BlocksRead, Observed, Raised
from holdfast_conformance.worker.containment import Containment, Failed
from holdfast_conformance.worker.steps import Steps


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
            return tellable(await self._inspector.inventory())
        except Exception as problem:
            raise testbed_failed("inspector", problem) from problem

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
