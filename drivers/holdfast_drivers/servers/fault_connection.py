"""One connection through a fault proxy, and how what passes on it is treated."""

import asyncio
import enum
import socket
import struct

import msgspec

from holdfast_drivers.servers.fault_requests import RequestFault, RequestFaults

_RESET = struct.pack("ii", 1, 0)


class Direction(enum.StrEnum):
    """Which way bytes go."""

    REQUESTS = "requests"
    ANSWERS = "answers"


class Flow(enum.Enum):
    """What becomes of bytes on their way."""

    PASS = enum.auto()
    HOLD = enum.auto()
    DROP = enum.auto()


class Conduct(msgspec.Struct, frozen=True, kw_only=True):
    """How the proxy treats everything that passes, now."""

    requests: Flow = Flow.PASS
    answers: Flow = Flow.PASS
    latency_s: float = 0.0
    bytes_per_s: float = 0.0

    def flow(self, way: Direction) -> Flow:
        """What becomes of bytes in one direction."""
        return self.requests if way is Direction.REQUESTS else self.answers


class Quota(msgspec.Struct, kw_only=True):
    """How many more bytes may pass before the connection that carries them is reset."""

    way: Direction
    left_bytes: int


class Connection:
    """One client, its connection to the server, and whether its streams are still whole."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.spoilt = False
        self.unanswered = True
        self.doomed = False
        """Whether it breaks in place of its next answer."""
        self.fault: RequestFault | None = None
        """What becomes of the answer to the request that is on its way."""
        self.answered = False
        """Whether the proxy has answered: nothing more of the client is passed on."""

    def towards(self, way: Direction) -> asyncio.StreamWriter:
        """Where bytes of one direction go."""
        writer = self.server if way is Direction.REQUESTS else self.client
        if writer is None:
            raise ConnectionResetError
        writer.transport.set_write_buffer_limits(0)
        return writer

    def reset(self) -> None:
        """End both connections at once, with a reset instead of a close."""
        for writer in self._writers():
            if not writer.transport.is_closing():
                tcp: socket.socket = writer.get_extra_info("socket")
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def close(self) -> None:
        """Close both connections once everything was delivered."""
        for writer in self._writers():
            writer.close()
            await writer.wait_closed()

    def _writers(self) -> tuple[asyncio.StreamWriter, ...]:
        return tuple(writer for writer in (self.client, self.server) if writer is not None)

    async def met(self, chunk: bytes, way: Direction, faults: RequestFaults) -> bytes:
        """What of a chunk goes on, once the fault that its request meets has done its part."""
        if way is Direction.ANSWERS:
            return self._answer(chunk)
        if self.answered:
            return b""
        self.fault = await faults.meet(chunk) or self.fault
        if self.fault is None or self.fault.answer is None:
            return chunk
        self.answered = True
        self.client.write(self.fault.answer)
        await self.client.drain()
        return b""

    def _answer(self, chunk: bytes) -> bytes:
        fault, self.fault = self.fault, None
        if self.doomed or (fault is not None and fault.change is None):
            raise ConnectionResetError
        return chunk if fault is None or fault.change is None else fault.change(chunk)
