"""Asks a process inside the container what is there: no driver code, and not the driver's way."""

import msgspec

from holdfast.contract.testbed import Inspector, Inventory
from holdfast_drivers.inspection.inside_process import InsideProcess
from holdfast_drivers.servers.running_servers import Server

_COMMAND = (
    "env",
    "PYTHONPATH=/opt/holdfast",
    "PYTHONDONTWRITEBYTECODE=1",
    "python3",
    "-P",
    "-m",
    "holdfast_drivers.iscsi.inspection",
)


def inside_process(server: Server) -> InsideProcess:
    """The inspector's half inside the container."""
    return InsideProcess(server, _COMMAND)


class IscsiInspector(Inspector):
    """The inspector of one namespace."""

    def __init__(self, inside: InsideProcess, namespace: str) -> None:
        self._inside = inside
        self._namespace = namespace

    async def inventory(self) -> Inventory:
        """Everything in the store's folder and with tgt, and a digest of all that is around it."""
        return msgspec.convert(await self._inside.ask(("inventory", self._namespace)), Inventory)
