"""The data plane: volumes attached to hosts, each host with a storage daemon of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from holdfast.contract.errors import Denied
from holdfast.contract.handles import BlockNodeHandle, FileHandle
from holdfast.contract.testbed import HostPlace
from holdfast.data.block_io import BlockIO
from holdfast.data.current_plane import HostPlane
from holdfast.files import mutations
from holdfast.storage_daemon.attachment import Attachment
from holdfast.storage_daemon.block_node_io import Attacher, BlockNodeIO
from holdfast.storage_daemon.host_daemons import Host
from holdfast.storage_daemon.socket_folders import private_folder

if TYPE_CHECKING:
    from holdfast.storage_daemon.daemon import StorageDaemon

DEADLINE_S: Final = 8.0
ATTACHMENTS_MAX: Final = 64
_ATTACH_S: Final = 5.0
"""How long attaching may take: QEMU does nothing else on that host meanwhile."""
_LAST_WORD_S: Final = 1.0
"""How long a daemon may take to let go of a storage that does not answer."""


def this_machine(_host: str) -> HostPlace:
    """Every host is this machine itself."""
    return HostPlace()


class DataPlane(HostPlane, Attacher):
    """Attaches volumes to hosts and keeps them attached between openings.

    An attachment lives until its handle changes, its grant ends, an I/O error, or the plane's end;
    those that nobody has open give way when there are too many. A read never comes from this
    side's memory: it is the storage that decides, each time, whether a host may read.

    A plane that is never used starts nothing and makes nothing.

    Args:
        place_of: where a host is; by default every host is this machine.
        deadline_s: how long one command may take.
        attachments_max: how many volumes stay attached at once, those in use not counted.
    """

    def __init__(
        self,
        place_of: Callable[[str], HostPlace] = this_machine,
        *,
        deadline_s: float = DEADLINE_S,
        attachments_max: int = ATTACHMENTS_MAX,
    ) -> None:
        self.deadline_s = deadline_s
        self._place_of = place_of
        self._attachments_max = attachments_max
        self._hosts: dict[str, Host] = {}
        self._secrets: dict[tuple[str, str], str] = {}
        self._attached: dict[tuple[str, str], Attachment] = {}
        self._names = 0
        self._folder: Path | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for attachment in self._attached.values():
            attachment.client.close()
        self._attached.clear()
        self._secrets.clear()
        await asyncio.gather(*(host.quit() for host in self._hosts.values()))
        if self._folder is not None:
            mutations.remove_tree(self._folder)

    async def start(self, hosts: Iterable[str]) -> None:
        """Start the daemons of these hosts now, not when they are first needed.

        Raises:
            EnvironmentUnavailable: QEMU's storage daemon is missing, or does not start.
        """
        for name in hosts:
            await self.daemon(name)

    async def daemon(self, host: str) -> "StorageDaemon":
        """A host's daemon, started where it does not run.

        Raises:
            EnvironmentUnavailable: QEMU's storage daemon is missing, or does not start.
        """
        place = self._host(host)
        async with place.lock:
            return await place.daemon()

    @asynccontextmanager
    async def open(
        self, handle: BlockNodeHandle | FileHandle, *, host: str = "", volume: str = ""
    ) -> AsyncIterator[BlockIO]:
        """Block access to a volume as its host has it; attached first where it is not.

        Raises:
            Denied: the storage does not let the host use the volume.
            Unavailable: the storage cannot be reached.
        """
        if isinstance(handle, BlockNodeHandle):
            host, volume = handle.host or host, handle.volume or volume
        attachment = await self._attachment(handle, host, volume)
        attachment.users += 1
        try:
            yield BlockNodeIO(self, attachment)
        finally:
            attachment.users -= 1

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """The tasks of the plane itself: its connections to the daemons."""
        return frozenset[asyncio.Task[None]]().union(*(host.tasks for host in self._hosts.values()))

    @property
    def processes(self) -> frozenset[int]:
        """The daemons that run."""
        return frozenset[int]().union(*(host.processes for host in self._hosts.values()))

    def keep_secret(self, host: str, volume: str, secret: str) -> None:
        """Keep what a host was granted a volume with, in memory only."""
        self._secrets[host, volume] = secret

    def forget(self, host: str, volume: str) -> None:
        """Forget a secret."""
        self._secrets.pop((host, volume), None)

    async def granted(self, host: str, volume: str, secret: str = "") -> None:
        """A host was granted a volume: what it knew of it from an earlier grant is dropped."""
        if secret:
            self.keep_secret(host, volume, secret)
        ended = self._attached.get((host, volume))
        if ended is not None and ended.grant_ended:
            await self._drop(ended)

    async def revoke(self, host: str, volume: str) -> None:
        """Stop what a host does with a volume, whatever the storage would still let it do."""
        self.forget(host, volume)
        attachment = self._attached.get((host, volume))
        if attachment is not None:
            # Before anything is awaited: who reads meanwhile must not attach it again.
            attachment.revoked = True
            await self._drop(attachment)

    def grant_ended(self, host: str, volume: str) -> None:
        """The storage was told to refuse a host; what it has attached stays, to show that it does.

        The next error, or the next grant, drops the attachment.
        """
        attachment = self._attached.get((host, volume))
        if attachment is not None:
            attachment.grant_ended = True

    async def detach_all(self) -> None:
        """Detach everything; what is used next is attached anew."""
        for attachment in list(self._attached.values()):
            await self._drop(attachment)

    async def let_go(self) -> None:
        """Detach everything and forget all secrets; the daemons stay."""
        self._secrets.clear()
        await self.detach_all()

    async def again(self, broken: Attachment) -> Attachment:
        """Drop a broken attachment and attach the same handle anew."""
        if broken.revoked:
            raise Denied(
                f"host {broken.host} may not use the volume any more", object=broken.volume
            )
        await self._drop(broken)
        return await self._attachment(broken.handle, broken.host, broken.volume)

    async def drop(self, broken: Attachment) -> None:
        """Drop an attachment whose storage does not answer.

        Its daemon waits for that answer for ever, so it goes too; what else was attached there is
        attached anew when it is used next.
        """
        async with self._host(broken.host).lock:
            await broken.daemon.kill()
            await self._detach(broken)

    def _host(self, name: str) -> Host:
        if name not in self._hosts:
            if self._folder is None:
                self._folder = private_folder()
            folder = self._folder / f"host{len(self._hosts)}"
            self._hosts[name] = Host(name, folder, self._place_of)
        return self._hosts[name]

    async def _attachment(
        self, handle: BlockNodeHandle | FileHandle, host: str, volume: str
    ) -> Attachment:
        place = host, volume or _described(handle)
        place_host = self._host(host)
        async with place_host.lock:
            held = self._attached.get(place)
            if held is not None and held.usable and held.handle == handle:
                # Last in the order of use, by which room is made.
                self._attached[place] = self._attached.pop(place)
                return held
            if held is not None:
                await self._detach(held)
            await self._make_room(host)
            self._names += 1
            attachment = Attachment(
                await place_host.daemon(), handle, f"v{self._names}", (host, place[1])
            )
            await attachment.attach(self._secrets.get(place, ""), min(_ATTACH_S, self.deadline_s))
            self._attached[place] = attachment
            return attachment

    async def _make_room(self, host: str) -> None:
        """Detach what was used longest ago on a host, where too much is attached."""
        idle = [held for held in self._attached.values() if not held.users and held.host == host]
        while len(idle) >= self._attachments_max:
            await self._detach(idle.pop(0))

    async def _drop(self, attachment: Attachment) -> None:
        async with self._host(attachment.host).lock:
            await self._detach(attachment)

    async def _detach(self, attachment: Attachment) -> None:
        place = attachment.host, attachment.volume
        if self._attached.get(place) is attachment:  # else another was attached in its place
            del self._attached[place]
        await attachment.detach(_LAST_WORD_S)


def _described(handle: BlockNodeHandle | FileHandle) -> str:
    """What tells volumes apart whose handles name none."""
    return handle.path if isinstance(handle, FileHandle) else handle.blockdev
