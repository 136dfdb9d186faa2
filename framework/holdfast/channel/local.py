"""The channel to this machine itself: Holdfast runs on the storage host."""

import asyncio
import contextlib
from collections.abc import Sequence

from holdfast.channel.port import Channel, ChannelProcess, Receiver
from holdfast.channel.stderr_tail import Tail, ending
from holdfast.errors import Invalid, Unavailable

_FAREWELL_S = 5.0


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
        found = self._transport.get_pipe_transport(0) if self._transport else None
        return found if isinstance(found, asyncio.WriteTransport) else None

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
        self.end_input()
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await asyncio.shield(self._gone)
        except TimeoutError:
            self.abort()
            await asyncio.shield(self._gone)

    def abort(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(ProcessLookupError):
                self._transport.kill()
            self.end_input()


class LocalChannel(Channel):
    """Child processes of this one."""

    def __init__(self) -> None:
        self._started: list[_Process] = []

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

    async def close(self) -> None:
        started, self._started = self._started, []
        for process in started:
            await process.close()

    def abort(self) -> None:
        for process in self._started:
            process.abort()
