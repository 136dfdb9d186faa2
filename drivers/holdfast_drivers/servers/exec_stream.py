"""One process inside a container, spoken to over the engine's own socket: no thread, no task."""

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers.container_client import engine_address

_FRAME_BYTES = 8
_STDERR = 2
_KEPT_STDERR_BYTES = 64 * 1024


class ExecStream:
    """Standard input and output of a process inside a container.

    Opened by ``Server.connect``; one caller at a time. Reading past the end of the process's output
    raises ``EOFError`` with what it wrote to standard error.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._output = bytearray()
        self._errors = bytearray()

    @property
    def errors(self) -> bytes:
        """The end of what the process wrote to standard error so far, as far as it was read."""
        return bytes(self._errors)

    async def write(self, data: bytes) -> None:
        """Give bytes to the process."""
        self._writer.write(data)
        await self._writer.drain()

    def end_input(self) -> None:
        """Tell the process that nothing follows."""
        self._writer.write_eof()

    async def read_exactly(self, count: int) -> bytes:
        """The next ``count`` bytes of its output."""
        while len(self._output) < count:
            if not await self._receive():
                raise EOFError(self._ended())
        return self._take(count)

    async def read_line(self) -> bytes:
        """The next line of its output, with its end."""
        searched = 0
        while (end := self._output.find(b"\n", searched)) < 0:
            searched = len(self._output)
            if not await self._receive():
                raise EOFError(self._ended())
        return self._take(end + 1)

    async def read_all(self) -> bytes:
        """Its output until it ends."""
        while await self._receive():
            pass
        return self._take(len(self._output))

    async def close(self) -> None:
        """Close both directions; the process sees the end of its input."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # The engine closed first, which is as good.

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _take(self, count: int) -> bytes:
        data = bytes(self._output[:count])
        del self._output[:count]
        return data

    def _ended(self) -> str:
        text = self._errors.decode(errors="replace").strip()
        return f"the process in the container ended: {text[-2000:] or 'it said nothing'}"

    async def _receive(self) -> bool:
        """Take one frame: a byte for the stream, three unused, four of length, and the bytes."""
        try:
            head = await self._reader.readexactly(_FRAME_BYTES)
            body = await self._reader.readexactly(int.from_bytes(head[4:], "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        if head[0] == _STDERR:
            self._errors += body
            del self._errors[:-_KEPT_STDERR_BYTES]
        else:
            self._output += body
        return True


async def open_exec_stream(exec_id: str, api_version: str) -> ExecStream:
    """Start a prepared ``exec`` and take over its connection."""
    reader, writer = await _engine_connection()
    body = json.dumps({"Detach": False, "Tty": False}).encode()
    head = (
        f"POST /v{api_version}/exec/{exec_id}/start HTTP/1.1\r\nHost: engine\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    try:
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        status = answer.split(b" ", 2)[1]
        said = b"" if status in {b"101", b"200"} else await reader.read(2000)
    except BaseException:
        writer.close()
        raise
    if said:
        writer.close()
        raise EnvironmentUnavailable(
            f"the container engine refused to run a command: {said.decode(errors='replace')}"
        )
    return ExecStream(reader, writer)


async def _engine_connection() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = engine_address()
    scheme, _, rest = address.partition("://")
    try:
        if scheme == "unix":
            return await asyncio.open_unix_connection(rest)
        if scheme in {"tcp", "http"}:
            host, _, port = rest.rpartition(":")
            return await asyncio.open_connection(host, int(port))
    except OSError as error:
        raise EnvironmentUnavailable(f"no container engine at {address}: {error}") from error
    raise EnvironmentUnavailable(
        f"DOCKER_HOST is {address}; commands inside containers need unix:// or tcp://"
    )


def exec_options(argv: tuple[str, ...], *, stdin: bool) -> dict[str, Any]:
    """What docker-py needs to prepare a command."""
    return {"cmd": list(argv), "stdin": stdin, "stdout": True, "stderr": True, "tty": False}
