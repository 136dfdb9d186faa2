"""Looks at stores from inside the storage host, by a process there that the driver never meets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Inspector, Inventory
from holdfast_drivers.inspection.inside_process import InsideProcess
from holdfast_drivers.inspection.inventories import inspected, inventory_of
from holdfast_drivers.inspection.readers.seen import Seen
from holdfast_drivers.inspection.sent_program import sent_program
from holdfast_drivers.nfs.server import Storage
from holdfast_drivers.servers.running_servers import Server

_LOOKS: Final = 50


def program() -> str:
    """What is run in the storage host, where there is no package of ours."""
    return sent_program(Path(__file__).with_name("inspection.py"))


class Inside:
    """The process inside the server's container, asked in words of its own."""

    def __init__(self, server: Server) -> None:
        self._process = InsideProcess(server, ("python3", "-P", "-u", "-c", program()))

    async def ask(self, **question: Any) -> Mapping[str, Any]:
        """The answer to a question."""
        return dict(await self._process.ask(question))

    async def storage(self) -> Storage:
        """Which file system is exported, and by which version of the server."""
        return msgspec.convert(await self.ask(do="identity"), Storage)

    async def close(self) -> None:
        """End the process."""
        await self._process.close()


class NfsInspector(Inspector):
    """The inspector of one namespace.

    Args:
        inside: the process in the storage host.
        sandbox: the folder there, whose content outside the store must never change.
        folder: the store's folder, relative to the sandbox.
        role: whether it is a primary or an image store.
    """

    def __init__(self, inside: Inside, sandbox: str, folder: str, role: Role) -> None:
        self._inside = inside
        self._question = {"do": "look", "sandbox": sandbox, "folder": folder, "role": role.value}

    async def inventory(self) -> Inventory:
        """Everything in the store's folder, and a digest of all that is around it."""
        told = await self._inside.ask(**self._question)
        for _ in range(_LOOKS):
            if "again" not in told:
                break
            told = await self._inside.ask(**self._question)
        else:
            raise EnvironmentUnavailable(f"the store never stood still: {told['again']}")
        things = (inspected(Seen(**one)) for one in told["things"])
        return inventory_of(things, told["outside"])
