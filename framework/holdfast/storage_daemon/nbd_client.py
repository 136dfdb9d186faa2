"""An NBD client on the running loop: libnbd's asynchronous calls, typed, without threads."""

import asyncio
import errno
import importlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.data.block_io import Extent

_REQUEST_BYTES: Final = 8 << 20
"""Longer reads and writes are cut; QEMU's server takes at most 32 MiB at once."""
_REFUSED_HERE: Final = frozenset({errno.EINVAL, errno.ERANGE, errno.EPERM})
"""What libnbd says of a command that it does not even send."""
_STATUS_BYTES: Final = 1 << 30
_WRITE: Final = 2
_READ: Final = 1
_ZERO: Final = 2


class NbdFailed(Exception):
    """The server refused a command, or the connection is gone; ``number`` is an errno.

    What was not ``sent`` was refused by the client itself, for what it asks.
    """

    def __init__(self, number: int, what: str, *, sent: bool = True) -> None:
        super().__init__(f"{what}: {os.strerror(number) if number else 'connection lost'}")
        self.number = number
        self.sent = sent


def load_libnbd() -> Any:
    """The libnbd module; untyped, so that only this module sees it.

    Raises:
        EnvironmentUnavailable: it is not installed for this interpreter.
    """
    try:
        return importlib.import_module("nbd")
    except ImportError as problem:
        raise EnvironmentUnavailable(
            "libnbd is not there for this Python; install the package python3-libnbd, or libnbd"
        ) from problem


class NbdClient:
    """One connection to one export. Commands may overlap; each ends by itself or with ``close``.

    Args:
        export: the export's name.
    """

    def __init__(self, export: str) -> None:
        self._nbd: Any = load_libnbd()
        self._handle: Any = self._nbd.NBD()
        self._handle.set_export_name(export)
        # QEMU reads what is beside an unaligned range and writes it again, in step with all other
        # requests; libnbd by itself would refuse to ask for that.
        self._handle.set_strict_mode(self._handle.get_strict_mode() & ~self._nbd.STRICT_ALIGN)
        self._handle.add_meta_context(self._nbd.CONTEXT_BASE_ALLOCATION)
        self._loop = asyncio.get_running_loop()
        self._fd = -1
        self._writing = False
        self._waiting: set[asyncio.Future[None]] = set()
        self._ready: asyncio.Future[None] | None = None
        self.size_bytes = 0
        self.closed = False

    async def connect(self, path: str) -> None:
        """Connect to the server behind a unix socket, and learn the export's size.

        Raises:
            NbdFailed: there is no such server or export.
        """
        ready: asyncio.Future[None] = self._loop.create_future()
        self._ready = ready
        try:
            self._handle.aio_connect_unix(path)
            self._fd = self._handle.aio_get_fd()
        except self._nbd.Error as problem:
            raise NbdFailed(problem.errnum or errno.EIO, "connect") from problem
        self._loop.add_reader(self._fd, self._turn)
        self._follow()
        await ready
        self.size_bytes = self._handle.get_size()

    async def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly this many bytes."""
        pieces = [
            (self._nbd.Buffer(length), offset)
            for offset, length in _pieces(offset_bytes, length_bytes, _REQUEST_BYTES)
        ]
        await self._all("read", [partial(self._open.aio_pread, *piece) for piece in pieces])
        return b"".join(bytes(buffer.to_bytearray()) for buffer, _ in pieces)

    async def write(self, offset_bytes: int, data: bytes) -> None:
        """Write all of ``data``."""
        view = memoryview(data)
        pieces = [
            (self._nbd.Buffer.from_buffer(view[at - offset_bytes :][:length]), at)
            for at, length in _pieces(offset_bytes, len(data), _REQUEST_BYTES)
        ]
        await self._all("write", [partial(self._open.aio_pwrite, *piece) for piece in pieces])

    async def flush(self) -> None:
        """Return when everything written before is durable."""
        if self._open.can_flush():
            await self._all("flush", [self._flush_command])

    def _flush_command(self, *, completion: Any) -> None:
        self._handle.aio_flush(completion=completion)

    async def zero(self, offset_bytes: int, length_bytes: int) -> None:
        """Make the range read as zeroes; its space is given back where the server can."""
        await self._all(
            "write zeroes",
            [
                partial(self._open.aio_zero, length, at)
                for at, length in _pieces(offset_bytes, length_bytes, _STATUS_BYTES)
            ],
        )

    async def extents(self, size_bytes: int) -> tuple[Extent, ...]:
        """Where data is within the first ``size_bytes``, in ascending order."""
        extents: list[Extent] = []
        at = 0
        while at < size_bytes:
            entries = await self._status(at, min(_STATUS_BYTES, size_bytes - at))
            for length, flags in zip(entries[::2], entries[1::2], strict=True):
                inside = min(length, size_bytes - at)
                if not flags & _ZERO and inside > 0:
                    if extents and extents[-1].offset_bytes + extents[-1].length_bytes == at:
                        last = extents.pop()
                        extents.append(Extent(last.offset_bytes, last.length_bytes + inside))
                    else:
                        extents.append(Extent(at, inside))
                at += length
        return tuple(extents)

    async def _status(self, at: int, length: int) -> list[int]:
        entries: list[int] = []

        def extent(_context: str, _offset: int, numbers: list[int], _error: object) -> int:
            entries.extend(numbers)
            return 0

        if self._open.can_meta_context(self._nbd.CONTEXT_BASE_ALLOCATION):
            command = partial(self._open.aio_block_status, length, at, extent)
            await self._all("block status", [command])
        return entries or [length, 0]

    async def _all(self, what: str, commands: list[Callable[..., object]]) -> None:
        """Send the commands and wait for all of them."""
        alone = len(commands) == 1
        waited = [self._send(what, command, alone=alone) for command in commands]
        try:
            for one in waited:
                await one
        finally:
            for one in waited:
                self._waiting.discard(one)
                if one.done() and not one.cancelled():
                    one.exception()  # Looked at: the first failure has been raised already.

    @property
    def _open(self) -> Any:
        """The handle of a connection that is not closed."""
        if self.closed:
            raise NbdFailed(errno.ESHUTDOWN, "connection")
        return self._handle

    def _send(
        self, what: str, command: Callable[..., object], *, alone: bool
    ) -> asyncio.Future[None]:
        """Send one command; of several, others may have been sent already."""
        answered: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(answered)

        def done(error: Any) -> int:
            if not answered.done():
                if error.value:
                    answered.set_exception(NbdFailed(error.value, what))
                else:
                    answered.set_result(None)
            return 1

        try:
            command(completion=done)
        except self._nbd.Error as problem:
            if not answered.done():
                number = problem.errnum or errno.EIO
                sent = not alone or number not in _REFUSED_HERE
                answered.set_exception(NbdFailed(number, what, sent=sent))
        else:
            self._follow()
        return answered

    def _turn(self) -> None:
        """The socket is ready: let libnbd go on."""
        try:
            direction = self._handle.aio_get_direction()
            if direction & _READ:
                self._handle.aio_notify_read()
            elif direction & _WRITE:
                self._handle.aio_notify_write()
        except self._nbd.Error as problem:
            self._lost(problem.errnum or errno.ECONNRESET)
            return
        self._follow()

    def _follow(self) -> None:
        """Watch the socket for what libnbd waits for now."""
        if self.closed:
            return
        if self._handle.aio_is_dead() or self._handle.aio_is_closed():
            self._lost(errno.ECONNRESET)
            return
        writing = bool(self._handle.aio_get_direction() & _WRITE)
        if writing != self._writing:
            self._writing = writing
            if writing:
                self._loop.add_writer(self._fd, self._turn_writing)
            else:
                self._loop.remove_writer(self._fd)
        if self._ready is not None and not self._ready.done() and self._handle.aio_is_ready():
            self._ready.set_result(None)

    def _turn_writing(self) -> None:
        try:
            if self._handle.aio_get_direction() & _WRITE:
                self._handle.aio_notify_write()
        except self._nbd.Error as problem:
            self._lost(problem.errnum or errno.ECONNRESET)
            return
        self._follow()

    def _lost(self, number: int) -> None:
        """The connection is gone: nothing that is waited for will come."""
        self.close(number)

    def close(self, number: int = errno.ESHUTDOWN) -> None:
        """Drop the connection; what is under way fails with ``number``."""
        if self.closed:
            return
        self.closed = True
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            if self._writing:
                self._loop.remove_writer(self._fd)
        waiting, self._waiting = self._waiting, set()
        if self._ready is not None:
            waiting.add(self._ready)
        for one in waiting:
            if not one.done():
                one.set_exception(NbdFailed(number, "connection"))
                one.exception()
        del self._handle  # libnbd closes the socket, and calls what was waiting.
        self._handle = None


def _pieces(offset_bytes: int, length_bytes: int, at_most: int) -> list[tuple[int, int]]:
    """A range cut into offsets and lengths."""
    end = offset_bytes + length_bytes
    return [(at, min(at_most, end - at)) for at in range(offset_bytes, end, at_most)]
