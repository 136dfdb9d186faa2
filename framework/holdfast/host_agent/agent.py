"""The agent on the storage host: reads calls, carries them out in threads, writes answers.

It ends when its standard input does: what is under way then is finished first, and what was not
begun never is. Whoever comes next has a higher fence, and the entry refuses what comes late.
"""

import asyncio
import importlib
import os
import socket
import sys
import traceback
from typing import Any, Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import DriverError, Internal, Invalid, Unavailable
from holdfast.host_agent.service import Service
from holdfast.host_agent.wire import (
    HELLO,
    PING,
    VERSION,
    Call,
    Failure,
    Frames,
    Hello,
    Reply,
    failure_of,
    frame,
)
from holdfast.text.foreign import tell

_NOTHING: Final = msgspec.Raw(msgspec.msgpack.encode(None))


def load(entry: str, hello: Hello) -> Service:
    """The service that ``module:name`` makes of a configuration.

    Raises:
        Invalid: there is no such entry here, or it is of another version.
    """
    if hello.version != VERSION:
        raise Invalid(
            f"the storage host has version {VERSION} of the agent, its client {hello.version}; "
            "install the same release of Holdfast on both"
        )
    module, _, name = entry.partition(":")
    try:
        make = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise Invalid(f"the storage host cannot load {entry}: {error}") from error
    service: Service = make(hello.config)
    return service


def perform(service: Service, call: Call) -> msgspec.Raw:
    """Carry out one call; any ``DriverError``."""
    verb = service.get(call.verb)
    if verb is None:
        raise Invalid(f"the storage host's agent has no verb {call.verb}")
    request = msgspec.msgpack.decode(call.request, type=verb.request)
    return msgspec.Raw(msgspec.msgpack.encode(verb.perform(request)))


def failed(error: Exception) -> Failure:
    """What to answer for whatever was raised; a defect is told without its words."""
    if isinstance(error, DriverError):
        return failure_of(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119 - a name, no file
    return failure_of(
        Internal(f"the storage host's agent failed: {type(error).__name__} ({where})")
    )


class _Agent(asyncio.Protocol):
    """One client's calls."""

    def __init__(self, entry: str, out: Any = None) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self._entry = entry
        self._out: Any = out  # asyncio gives the same transport under several types
        self._frames = Frames()
        self._service: Service | None = None
        self._calls: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._out = self._out or transport

    def eof_received(self) -> bool:
        """No more calls; a socket stays open for the answers."""
        self.connection_lost(None)
        return True

    def data_received(self, data: bytes) -> None:
        for payload in self._frames.feed(data):
            if self._service is None:
                self._greet(msgspec.msgpack.decode(payload, type=Hello))
            else:
                call = msgspec.msgpack.decode(payload, type=Call)
                if call.verb == PING:
                    self._answer(Reply(call.id, _NOTHING))
                    continue
                task = asyncio.get_running_loop().create_task(self._serve(self._service, call))
                self._calls.add(task)
                task.add_done_callback(self._calls.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _greet(self, hello: Hello) -> None:
        try:
            self._service = load(self._entry, hello)
            self._answer(Reply(HELLO, _NOTHING))
        except Exception as error:  # noqa: BLE001 - an entry is foreign code
            self._answer(Reply(HELLO, _NOTHING, failed(error)))

    async def _serve(self, service: Service, call: Call) -> None:
        try:
            answer = await runtime().run_blocking(self._perform, service, call)
            self._answer(Reply(call.id, answer))
        except Exception as error:  # noqa: BLE001 - everything becomes an answer
            self._answer(Reply(call.id, _NOTHING, failed(error)))

    def _perform(self, service: Service, call: Call) -> msgspec.Raw:
        """Carry out a call whose turn for a thread has come, unless its client has left."""
        if self.ended.done():
            raise Unavailable("its client left before it was begun; nothing was done")
        return perform(service, call)

    def _answer(self, reply: Reply) -> None:
        if not self._out.is_closing():
            self._out.write(frame(reply))

    async def finish(self) -> None:
        """Wait for the calls that are under way."""
        await asyncio.gather(*self._calls)


async def _serve(entry: str, output: int) -> None:
    loop = asyncio.get_running_loop()
    out: Any
    out, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(output, "wb", 0))
    _, agent = await loop.connect_read_pipe(lambda: _Agent(entry, out), sys.stdin.buffer)
    await agent.ended
    await agent.finish()
    out.close()


async def serve_connection(entry: str, connection: socket.socket) -> None:
    """Serve one client on a connected socket until it hangs up."""
    loop = asyncio.get_running_loop()
    transport, agent = await loop.connect_accepted_socket(lambda: _Agent(entry), connection)
    await agent.ended
    await agent.finish()
    transport.close()


def main(argv: list[str]) -> int:
    """Serve ``ENTRY`` until the standard input ends, or ``--listen SOCKET ENTRY`` for ever."""
    if argv[:1] == ["--listen"] and len(argv) == 3:
        from holdfast.host_agent.listener import listen  # noqa: PLC0415 - only where it is wanted

        return listen(argv[1], argv[2])
    if len(argv) != 1:
        tell("usage: python3 -P -m holdfast.host_agent [--listen SOCKET] MODULE:NAME", error=True)
        return 2
    output = os.dup(1)
    os.dup2(2, 1)  # whatever prints must not get between the frames
    asyncio.run(_serve(argv[0], output))
    return 0
