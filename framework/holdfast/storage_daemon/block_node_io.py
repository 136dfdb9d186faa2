"""Block access to a volume that is attached to a host through its storage daemon."""

import asyncio
import errno
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from holdfast.contract.errors import Denied, Exhausted, Invalid, Unavailable, Unknown
from holdfast.data.block_io import BlockIO, Extent, check_range
from holdfast.storage_daemon.attachment import Attachment
from holdfast.storage_daemon.nbd_client import NbdClient, NbdFailed

T = TypeVar("T")
_SECTOR_BYTES: Final = 512
_ENDED_S: Final = 0.1
"""How long a storage is waited for that should refuse: libiscsi, once refused, never answers."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Attacher(ABC):
    """What a ``BlockNodeIO`` needs of the plane."""

    deadline_s: float
    """How long one command may take."""

    @abstractmethod
    async def again(self, broken: Attachment) -> Attachment:
        """Drop a broken attachment and attach the same handle anew, to learn what is wrong."""

    @abstractmethod
    async def drop(self, broken: Attachment) -> None:
        """Drop an attachment that does not answer; a daemon that cannot let go is killed."""


class BlockNodeIO(BlockIO):
    """Block access through one attachment, and through its successor after a failure.

    Every call has a deadline of its own, so that a storage that is silent ends in ``Unknown``.
    """

    def __init__(self, attacher: Attacher, attachment: Attachment) -> None:
        self.size_bytes = attachment.handle.size_bytes
        self._attacher = attacher
        self._attachment = attachment
        self._written_through: Attachment | None = None
        """Through what bytes were written that are not known to be durable."""

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly ``length_bytes``; any ``DriverError``."""
        self._check_range(offset_bytes, length_bytes)
        return await self._perform(
            "reading", lambda client: client.read(offset_bytes, length_bytes)
        )

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        """Write all of ``data``; any ``DriverError``."""
        self._check_range(offset_bytes, len(data))
        self._check_writable()
        if data:
            await self._change("writing", lambda client: client.write(offset_bytes, data))

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        """Make the range read as zeroes; any ``DriverError``."""
        self._check_range(offset_bytes, length_bytes)
        self._check_writable()
        if length_bytes:
            await self._change("discarding", lambda client: client.zero(offset_bytes, length_bytes))

    async def flush(self) -> None:
        """Return when what was written is durable.

        Raises:
            Unknown: what was written through is gone, and it may be gone with it.
        """
        written_through, self._written_through = self._written_through, None
        await self._perform("flushing", NbdClient.flush)
        if written_through not in {None, self._attachment}:
            raise Unknown(
                "the volume was attached anew since bytes were written, which may be lost",
                object=self._attachment.volume,
            )

    async def extents(self) -> tuple[Extent, ...]:
        """Where data is; any ``DriverError``."""
        return await self._perform(
            "looking for data", lambda client: client.extents(self.size_bytes)
        )

    def _check_range(self, offset_bytes: int, length_bytes: int) -> None:
        check_range(offset_bytes, length_bytes, self.size_bytes, self._attachment.volume)

    def _check_writable(self) -> None:
        if self._attachment.handle.read_only:
            raise Denied("the volume was opened for reading only", object=self._attachment.volume)

    async def _change(self, doing: str, command: Callable[[NbdClient], Awaitable[None]]) -> None:
        await self._perform(doing, command)
        if self._written_through is None:
            self._written_through = self._attachment

    async def _perform(self, doing: str, command: Callable[[NbdClient], Awaitable[T]]) -> T:
        """Send a command; when it fails, attach anew to learn why, and send it once more."""
        if self._attachment.grant_ended and not await self._still_served():
            self._attachment = await self._attacher.again(self._attachment)
        try:
            return await self._send(doing, command)
        except NbdFailed as problem:
            refused = problem
        attachment = self._attachment
        if refused.number in _FULL:
            raise Exhausted(
                "the storage has no space for the bytes", object=attachment.volume
            ) from refused
        if not refused.sent:
            # Nothing is wrong with the attachment, and nothing that was written is in doubt.
            raise Invalid(f"{doing} was not even sent: {refused}", object=attachment.volume)
        try:
            self._attachment = await self._attacher.again(attachment)
        except Unavailable as away:
            raise Unknown(f"{doing} failed: {away.cause}", object=attachment.volume) from away
        try:
            return await self._send(doing, command)
        except NbdFailed as problem:
            raise Unknown(
                f"{doing} failed, although the volume can be attached: {problem}",
                object=attachment.volume,
            ) from problem

    async def _send(self, doing: str, command: Callable[[NbdClient], Awaitable[T]]) -> T:
        attachment = self._attachment
        if attachment.revoked:
            raise Denied(
                f"host {attachment.host} may not use the volume any more", object=attachment.volume
            )
        limit_s = self._attacher.deadline_s
        try:
            async with asyncio.timeout(limit_s):
                return await command(attachment.client)
        except TimeoutError:
            await self._attacher.drop(attachment)
            raise Unknown(
                f"{doing}: the storage gave no answer within {limit_s:g} s",
                object=attachment.volume,
            ) from None

    async def _still_served(self) -> bool:
        """Whether the storage serves a host whose grant has ended, asked with bytes that it holds.

        A format knows by itself what reads as zeroes; only stored bytes are the storage's answer.
        """
        attachment = self._attachment
        try:
            async with asyncio.timeout(_ENDED_S):
                offset_bytes = 0
                if attachment.plan.knows_zeroes:
                    data = await attachment.client.extents(self.size_bytes)
                    if not data:
                        return False
                    offset_bytes = data[0].offset_bytes
                await attachment.client.read(offset_bytes, min(_SECTOR_BYTES, self.size_bytes))
        except TimeoutError:
            await self._attacher.drop(attachment)
            return False
        except NbdFailed:
            return False
        return True
