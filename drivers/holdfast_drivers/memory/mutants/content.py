"""Defects that damage or misplace a volume's bytes without any error."""

from holdfast.contract import requests
from holdfast.contract.handles import ExtentHandle
from holdfast.data import BLOCK_BYTES, BlockIO
from holdfast_drivers.memory.backend import Backend, Granted, MemoryBlockIO, Store, Volume
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class GrowLosesTheLastBlock(MemoryPrimaryDriver):
    """Growing a volume loses the last block that was written."""

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        blocks = volume.content.blocks
        if size_bytes > volume.content.size_bytes and blocks:
            del blocks[max(blocks)]
        super().set_size(volume, size_bytes)


class GrowRepeatsTheLastBlock(MemoryPrimaryDriver):
    """What a volume grows by shows bytes of another place (as lxd pull request 14761)."""

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        content = volume.content
        first_new = content.size_bytes // BLOCK_BYTES
        grows = size_bytes > content.size_bytes
        super().set_size(volume, size_bytes)
        if grows and content.blocks:
            content.blocks[first_new] = content.blocks[max(content.blocks)]


class NewVolumesShareTheirBytes(MemoryPrimaryDriver):
    """Two volumes of one size are the same bytes (as in CVE-2023-2088)."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if request.source is None:
            for other in store.volumes.values():
                if other.content.size_bytes == content.size_bytes:
                    return Content(content.size_bytes, other.content.blocks)
        return content


class NewVolumeShowsOldBytes(MemoryPrimaryDriver):
    """A new volume starts with what a deleted one left (as topolvm/topolvm#1150)."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._left: dict[int, bytes] = {}

    def remove_volume(self, store: Store, key: str) -> None:
        self._left = dict(store.volumes[key].content.blocks) or self._left
        super().remove_volume(store, key)

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if request.source is None:
            last = content.size_bytes // BLOCK_BYTES
            content.blocks = {n: data for n, data in self._left.items() if n < last}
        return content


class _MisdirectedIO(MemoryBlockIO):
    """Writes of more than one block reach the backend in the wrong order."""

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        pieces = [data[at : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES)]
        await super().write_at(offset_bytes, b"".join(reversed(pieces)))


class WritesAreMisdirected(Backend):
    """The blocks of one write land in each other's places."""

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        opened = super().block_io(handle)
        if handle.token.startswith("object:"):
            return opened
        return _MisdirectedIO(handle.token, self.content_behind, size_bytes=opened.size_bytes)


class HandleReadsAnotherVolume(Backend):
    """A host with several volumes reads the first one through every handle (as rook#3298)."""

    def grant_of(self, identifier: str) -> tuple[Store, Granted] | None:
        entry = super().grant_of(identifier)
        if entry is None:
            return None
        store, grant = entry
        mine = sorted(row.volume for row in store.grants.values() if row.host == grant.host)
        return store, store.grants[mine[0], grant.host]


class RegrantLosesTheData(MemoryPrimaryDriver):
    """Revoking the last grant of a volume discards what was written through it."""

    def take_back(self, store: Store, volume: str, host: str) -> None:
        super().take_back(store, volume, host)
        if volume in store.volumes and not self.grants_of(store, volume):
            store.volumes[volume].content.blocks.clear()


MUTANTS = (
    planted("DAT-01", GrowLosesTheLastBlock),
    planted("DAT-01", GrowRepeatsTheLastBlock),
    planted("DAT-01", NewVolumesShareTheirBytes),
    planted("DAT-01", NewVolumeShowsOldBytes),
    planted("DAT-01", WritesAreMisdirected),
    planted("DAT-01", HandleReadsAnotherVolume),
    planted("DAT-01", RegrantLosesTheData),
)
