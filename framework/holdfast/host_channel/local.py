"""The channel to this machine itself: Holdfast runs on the storage host."""

import asyncio
import contextlib
from collections.abc import Sequence

from holdfast.contract.errors import Invalid, Unavailable
from holdfast.host_channel.farewell import bid_farewell
from holdfast.host_channel.port import Channel, ChannelProcess, Receiver
from holdfast.host_channel.stderr_tail import Tail, ending


class _Process(asyncio.SubprocessProtocol, ChannelProcess):
    """A child process whose pipes call back."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._tail = Tail()
        self._transport: asyncio.SubprocessTransport | None = None
        self._gone = asyncio.get_running_loop().create_future()

    @property
    def stderr(self) -> bytes:
        return self._tail.data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._receiver.data_received(data)
        else:
            self._tail.add(data)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self.status = self._transport.get_returncode()
        self._transport.close()
        if not self._gone.done():
            self._gone.set_result(None)
            self._receiver.ended(ending(self.status, self._tail))

    def _stdin(self) -> asyncio.WriteTransport | None:
        transport = self._transport.get_pipe_transport(0) if self._transport else None
        return transport if isinstance(transport, asyncio.WriteTransport) else None

    def write(self, data: bytes) -> None:
        stdin = self._stdin()
        if stdin is None or stdin.is_closing() or self._gone.done():
            raise Unavailable("the program on this machine has ended")
        stdin.write(data)

    def end_input(self) -> None:
        stdin = self._stdin()
        if stdin is not None:
            stdin.close()

    async def close(self) -> None:
        await bid_farewell(self, self._gone)
        await asyncio.shield(self._gone)

    def abort(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(ProcessLookupError):
                self._transport.kill()
            self.end_input()


class _Socket(asyncio.Protocol, ChannelProcess):
    """A connection to a Unix socket."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.get_running_loop().create_future()

    @property
    def stderr(self) -> bytes:
        return b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._receiver.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._gone.done():
            self._gone.set_result(None)
            self._receiver.ended("it hung up")

    def write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise Unavailable("what listened on this machine has hung up")
        self._transport.write(data)

    def end_input(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    async def close(self) -> None:
        await bid_farewell(self, self._gone)
        await asyncio.shield(self._gone)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class LocalChannel(Channel):
    """Child processes of this one."""

    def __init__(self) -> None:
        self._started: list[ChannelProcess] = []

    @property
    def where(self) -> str:
        return "this machine"

    async def start(
        self, argv: Sequence[str], receiver: Receiver, *, deadline: float
    ) -> ChannelProcess:
        loop = asyncio.get_running_loop()
        try:
            _, process = await loop.subprocess_exec(lambda: _Process(receiver), *argv)
        except OSError as error:
            raise Invalid(f"{argv[0]} cannot be started here: {error.strerror}") from error
        self._started.append(process)
        return process

    async def connect_unix(
        self, path: str, receiver: Receiver, *, deadline: float
    ) -> ChannelProcess:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                _, talk = await loop.create_unix_connection(lambda: _Socket(receiver), path)
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"nobody listens on {path} here: {error}") from error
        self._started.append(talk)
        return talk

    async def close(self) -> None:
        started, self._started = self._started, []
        for process in started:
            await process.close()

    def abort(self) -> None:
        for process in self._started:
            process.abort()
