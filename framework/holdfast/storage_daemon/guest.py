"""The guest stand-in: uses volumes as a virtual machine on a host does, and knows what it wrote.

Every block it writes says which guest wrote it, where and in which pass, so that a block that turns
up at another place, or in another volume, is told from the right one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.contract.errors import Corrupt
from holdfast.contract.handles import BlockNodeHandle, FileHandle
from holdfast.data.block_io import BlockIO
from holdfast.data.current_plane import HostPlane
from holdfast.data.digest import BLOCK_BYTES


class Disk:
    """A volume as a guest sees it.

    Args:
        content: the attached volume.
        name: of the disk, in every stamp.
    """

    def __init__(self, content: BlockIO, name: str) -> None:
        self.content = content
        self._name = name

    async def write(self, label: str, first: int, count: int) -> None:
        """Write stamped blocks of 4 KiB durably; any ``DriverError``."""
        data = b"".join(self._stamp(label, block) for block in range(first, first + count))
        await self.content.write_at(first * BLOCK_BYTES, data)
        await self.content.flush()

    async def verify(self, label: str, first: int, count: int) -> None:
        """Read blocks back.

        Raises:
            Corrupt: a block is not what was written under this label; it says what is there.
        """
        data = await self.content.read_at(first * BLOCK_BYTES, count * BLOCK_BYTES)
        for block in range(first, first + count):
            start = (block - first) * BLOCK_BYTES
            content = data[start : start + BLOCK_BYTES]
            if content != self._stamp(label, block):
                raise Corrupt(f"block {block} of {self._name} holds {_told(content)}")

    async def zeroes(self, first: int, count: int) -> bool:
        """Whether the blocks read as zeroes."""
        return not any(await self.content.read_at(first * BLOCK_BYTES, count * BLOCK_BYTES))

    def _stamp(self, label: str, block: int) -> bytes:
        line = f"holdfast guest: {self._name} {label} block {block}\n".encode()
        return (line * (BLOCK_BYTES // len(line) + 1))[:BLOCK_BYTES]


class Guest:
    """A guest on one host.

    Args:
        plane: the hosts' data plane.
        host: where the guest runs.
    """

    def __init__(self, plane: HostPlane, host: str) -> None:
        self._plane = plane
        self._host = host

    @asynccontextmanager
    async def disk(
        self, handle: BlockNodeHandle | FileHandle, volume: str = ""
    ) -> AsyncIterator[Disk]:
        """Attach a volume to the guest, through the host's storage daemon also where it is a file.

        Raises:
            Denied: the storage does not let the host use the volume.
            Unavailable: the storage cannot be reached.
        """
        named = volume or getattr(handle, "volume", "")
        async with self._plane.open(handle, host=self._host, volume=named) as content:
            yield Disk(content, named)


def _told(block: bytes) -> str:
    """What a block holds, for people."""
    if not any(block):
        return "zeroes"
    line = block.partition(b"\n")[0]
    if line.startswith(b"holdfast guest: "):
        return f"what was written as {line.decode(errors='replace')!r}"
    return "bytes that no guest wrote"
