"""A stand-in for a guest: attaches a volume to a host, reads or writes it, and detaches it."""

import contextlib
from collections.abc import AsyncIterator

from holdfast.concurrency.runtime import runtime
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import CallContext, Open
from holdfast.data import BlockIO, open_block_io
from holdfast.data.digest import BLOCK_BYTES, content_digest
from holdfast.model.rows import Store, Volume
from holdfast.operations.orchestrator import Orchestrator
from holdfast.steps.first_bytes import Resized
from holdfast.workflows import attach_volume, detach_volume
from holdfast.workflows.row_holds import primary_capabilities, reading_mode, writing_mode

_DEADLINE_S = 600.0
_PATTERN_BLOCKS = 16


class Guest:
    """Uses volumes on one host, through the orchestrator's own workflows."""

    def __init__(self, orchestrator: Orchestrator, host: str) -> None:
        self._orchestrator = orchestrator
        self._host = host

    async def digest(self, volume: str, *, as_bytes: int | None = None) -> str:
        """The content digest of a volume, or of what it would be at another size.

        A larger size counts as zeroes, a smaller one cuts.
        """
        async with self._opened(volume, writing=False) as content:
            if as_bytes is None:
                return await content_digest(content)
            return await content_digest(Resized(content, as_bytes))

    async def write(self, volume: str, *, label: str) -> int:
        """Write a pattern to the start, the middle and the end, durably; returns the bytes."""
        written = 0
        async with self._opened(volume, writing=True) as content:
            blocks = min(_PATTERN_BLOCKS, max(1, content.size_bytes // BLOCK_BYTES // 4))
            middle = content.size_bytes // 2 // BLOCK_BYTES * BLOCK_BYTES
            for offset in (0, middle, content.size_bytes - blocks * BLOCK_BYTES):
                data = b"".join(_block(label, offset, index) for index in range(blocks))
                start = max(offset, 0)
                data = data[: content.size_bytes - start]
                await content.write_at(start, data)
                written += len(data)
            await content.flush()
        return written

    @contextlib.asynccontextmanager
    async def _opened(self, volume: str, *, writing: bool) -> AsyncIterator[BlockIO]:
        row, store = await self._orchestrator.catalogue.transact(
            lambda tx: (volume_row := tx.get(Volume, volume), tx.get(Store, volume_row.store))
        )
        declared = primary_capabilities(store)
        mode: AccessMode = writing_mode(declared) if writing else reading_mode(declared)
        attach = attach_volume(volume, host=self._host, mode=mode)
        (await self._orchestrator.run(attach)).expect()
        driver = await self._orchestrator.stores.primary(store.id)
        ctx = CallContext(operation="guest", deadline=runtime().now() + _DEADLINE_S)
        handle = await driver.open(ctx, Open(volume=row.key, host=self._host))
        detach = detach_volume(volume, host=self._host)
        try:
            async with open_block_io(handle) as opened:
                yield opened
        except Exception:
            await self._orchestrator.run(detach)
            raise
        (await self._orchestrator.run(detach)).expect()


def _block(label: str, offset: int, index: int) -> bytes:
    """A block that says who wrote it, and where."""
    line = f"holdfast demo {label} at {offset + index * BLOCK_BYTES:016d}\n".encode()
    return (line * (BLOCK_BYTES // len(line) + 1))[:BLOCK_BYTES]
