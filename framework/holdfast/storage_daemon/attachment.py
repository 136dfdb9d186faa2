"""One volume attached to one host: its nodes in the host's daemon, an export, and a connection."""

import asyncio
import contextlib
import errno
from typing import TYPE_CHECKING, Any, Final

from holdfast.contract.errors import Corrupt, Denied, DriverError, Unavailable
from holdfast.contract.handles import BlockNodeHandle, FileHandle
from holdfast.storage_daemon.attach_refusals import refusal
from holdfast.storage_daemon.block_nodes import NodePlan, plan_nodes
from holdfast.storage_daemon.command_errors import DaemonLost, DaemonRefused
from holdfast.storage_daemon.nbd_client import NbdClient, NbdFailed

if TYPE_CHECKING:
    from holdfast.storage_daemon.daemon import StorageDaemon

_NO_DIRECT: Final = "O_DIRECT"


class Attachment:
    """An attached volume; made by ``attach``.

    Args:
        daemon: of the host.
        handle: what is attached.
        name: of the node on top and of the export.
        who: host and volume, for people.
    """

    def __init__(
        self,
        daemon: "StorageDaemon",
        handle: BlockNodeHandle | FileHandle,
        name: str,
        who: tuple[str, str],
    ) -> None:
        self.daemon = daemon
        self.handle = handle
        self.host, self.volume = who
        self.plan: NodePlan = plan_nodes(handle, name, f"{name}-secret")
        self.client: NbdClient = NbdClient(name)
        self.users = 0
        self.revoked = False
        """The grant was taken back: whoever has it open is refused."""
        self.grant_ended = False
        """The storage refuses the host from now on; only an attachment from before can show it."""
        self._name = name
        self._secret = False
        self._nodes: list[str] = []
        self._exported = False

    @property
    def usable(self) -> bool:
        """Whether commands can be sent."""
        return self.daemon.alive and not self.client.closed

    async def attach(self, secret: str, deadline_s: float) -> None:
        """Add the nodes, export the top one, connect.

        Raises:
            Denied: the storage does not let this host use the volume.
            Unavailable: it cannot be reached.
            Corrupt: the volume is smaller than its handle says.
        """
        try:
            await self._add_nodes(secret, deadline_s)
            await self._export(deadline_s)
            async with asyncio.timeout(deadline_s):
                await self.client.connect(self.daemon.export_path)
            self._check_size()
        except BaseException as problem:
            # Nothing of it may stay: the nodes that were added hold the volume open.
            await self.detach(deadline_s)
            if typed := self._typed(problem):
                raise typed from None
            raise

    async def _add_nodes(self, secret: str, deadline_s: float) -> None:
        if self.plan.needs_secret:
            await self._add_secret(secret, deadline_s)
        for node in self.plan.nodes:
            await self._add_node(node.arguments, deadline_s)
            self._nodes.append(node.name)

    async def _export(self, deadline_s: float) -> None:
        await self.daemon.execute(
            "block-export-add",
            {
                "type": "nbd",
                "id": self._name,
                "node-name": self.plan.top,
                "name": self._name,
                "writable": not self.handle.read_only,
            },
            deadline_s=deadline_s,
        )
        self._exported = True

    def _typed(self, problem: BaseException) -> DriverError | None:
        match problem:
            case DaemonRefused():
                return refusal(str(problem), host=self.host, volume=self.volume)
            case DaemonLost():
                return Unavailable(
                    f"the storage of the volume does not answer: {problem}", object=self.volume
                )
            case NbdFailed() | TimeoutError():
                return Unavailable(
                    f"the volume cannot be opened on host {self.host}: {problem}",
                    object=self.volume,
                )
            case _:
                return None

    async def _add_secret(self, secret: str, deadline_s: float) -> None:
        if not secret:
            raise Denied(
                f"host {self.host} has no secret for the volume; it was granted without one",
                object=self.volume,
            )
        await self.daemon.execute(
            "object-add",
            {"qom-type": "secret", "id": f"{self._name}-secret", "data": secret},
            deadline_s=deadline_s,
        )
        self._secret = True

    async def _add_node(self, arguments: dict[str, Any], deadline_s: float) -> None:
        try:
            await self.daemon.execute("blockdev-add", arguments, deadline_s=deadline_s)
        except DaemonRefused as problem:
            if _NO_DIRECT not in str(problem):
                raise
            # A file system without direct I/O, in memory for example, has no other copy to miss.
            cached = {**arguments, "cache": {"direct": False, "no-flush": False}}
            await self.daemon.execute("blockdev-add", cached, deadline_s=deadline_s)

    def _check_size(self) -> None:
        if self.client.size_bytes < self.handle.size_bytes:
            raise Corrupt(
                f"the volume has {self.client.size_bytes} bytes, not {self.handle.size_bytes}",
                object=self.volume,
            )

    async def detach(self, deadline_s: float) -> None:
        """Undo what ``attach`` did. A daemon that cannot let go within the deadline is killed."""
        self.client.close(errno.ESHUTDOWN)
        if not self.daemon.alive:
            return
        with contextlib.suppress(DaemonLost):
            if self._exported:
                self._exported = False
                delete = {"id": self._name, "mode": "hard"}
                await self.daemon.execute("block-export-del", delete, deadline_s=deadline_s)
                await self.daemon.export_gone(self._name, deadline_s=deadline_s)
            while self._nodes:
                node = {"node-name": self._nodes.pop()}
                await self.daemon.execute("blockdev-del", node, deadline_s=deadline_s)
            if self._secret:
                self._secret = False
                gone = {"id": f"{self._name}-secret"}
                await self.daemon.execute("object-del", gone, deadline_s=deadline_s)
