"""A TCP proxy that spoils what passes through it, so that a driver meets a bad network on purpose.

The driver's configured address is the proxy's; an inspector goes to the server directly. Nothing
here needs root, and no link, route or firewall of the machine is touched.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Self

import msgspec

from holdfast.contract.errors import Unsupported
from holdfast.contract.testbed import Fault
from holdfast_drivers.servers.fault_connection import Conduct, Connection, Direction, Flow, Quota
from holdfast_drivers.servers.fault_requests import RequestFaults

CHUNK_BYTES = 64 * 1024
SLOW_S = 1.0
"""How long an answer is kept back under ``Fault.SLOW``."""
PROXY_FAULTS = frozenset((Fault.DOWN, Fault.CUT_OFF, Fault.SLOW, Fault.VOID, Fault.LOST))
"""The faults that a proxy can put in force by itself."""
_TURNS = 3
"""How many turns of the loop it takes from an accepted socket to a connection's task."""
_log = logging.getLogger(__name__)


class _NextRequest(msgspec.Struct, kw_only=True):
    """Somebody who waits for bytes of a client to be forwarded."""

    seen: asyncio.Future[None]
    left: int


class FaultProxy:
    """Forwards TCP connections to one server, and spoils them on request.

    Connections whose bytes were held back or dropped by a fault are reset when it ends: their
    streams are no longer whole. Idle ones live on.

    Args:
        listen: where clients connect; port 0 takes any free one. The port stays the proxy's own
            until it is closed, also while it refuses connections.
        upstream: the server's address and port.
    """

    def __init__(
        self, *, listen: tuple[str, int] = ("127.0.0.1", 0), upstream: tuple[str, int]
    ) -> None:
        self.upstream = upstream
        self.requests = RequestFaults()
        """What is to become of single requests."""
        self._listen = listen
        self._holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._server: asyncio.Server | None = None
        self._conduct = Conduct()
        self._changed = asyncio.Event()
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._ways: set[asyncio.Task[None]] = set()
        self._quota: Quota | None = None
        self._waiting: list[_NextRequest] = []

    async def __aenter__(self) -> Self:
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(self._listen)
        try:
            await self._open()
        except BaseException:
            self._holder.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect."""
        host, port = self._holder.getsockname()
        return str(host), int(port)

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._connections)

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """What serves the proxy's clients now, as against tasks of the clients' own."""
        return frozenset((*self._connections, *self._ways))

    async def close(self) -> None:
        """End every connection and every task of the proxy, and give its port back."""
        await self._shut()
        self.requests.clear()
        served = self._connections.copy()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)
        for connection in served.values():
            connection.reset()  # a task that was cancelled before it began has closed nothing
        for waiting in self._waiting:
            waiting.seen.cancel()
        self._waiting.clear()
        self._holder.close()

    def next_request(self, count: int = 1) -> asyncio.Future[None]:
        """Resolve once the ``count``-th chunk that clients send from now on has been forwarded.

        It is armed by the call, not by awaiting it: start the verb after it, then await it, then
        put a fault in force; the fault is in the middle of the verb.
        """
        seen = asyncio.get_running_loop().create_future()
        self._waiting.append(_NextRequest(seen=seen, left=count))
        return seen

    def reset_now(self) -> None:
        """Reset every connection there is; new ones are accepted."""
        for connection in self._connections.values():
            connection.reset()

    def reset_after(self, size_bytes: int, way: Direction = Direction.REQUESTS) -> None:
        """Let exactly so many more bytes pass one way, then reset the connection of the last.

        It happens once: a connection opened afterwards is left alone.
        """
        self._quota = Quota(way=way, left_bytes=size_bytes)

    def black_hole(self) -> AbstractAsyncContextManager[None]:
        """Let nothing through in either direction: connections open, and nothing ever arrives."""
        return self._behave(Conduct(requests=Flow.HOLD, answers=Flow.HOLD))

    def void(self) -> AbstractAsyncContextManager[None]:
        """Let requests pass, and drop every answer."""
        return self._behave(Conduct(answers=Flow.DROP))

    @asynccontextmanager
    async def lost(self) -> AsyncIterator[None]:
        """Break each connection of now in place of its next answer; new ones are left alone."""
        met = tuple(self._connections.values())
        for connection in met:
            connection.doomed = True
        try:
            yield
        finally:
            for connection in met:
                connection.doomed = False

    def slow(
        self, *, latency_s: float = 0.0, bytes_per_s: float = 0.0
    ) -> AbstractAsyncContextManager[None]:
        """Keep each answer's first bytes back for a while, and limit the bandwidth of each way.

        A server that speaks first is kept back, too. 0 means no latency, or no limit.
        """
        return self._behave(Conduct(latency_s=latency_s, bytes_per_s=bytes_per_s))

    @asynccontextmanager
    async def refuse(self) -> AsyncIterator[None]:
        """Reset every connection, and refuse new ones as a port without a server does."""
        await self._shut()
        self.reset_now()
        try:
            yield
        finally:
            await self._open()

    def inject(self, fault: Fault) -> AbstractAsyncContextManager[None]:
        """Keep one of ``PROXY_FAULTS`` in force inside the context."""
        match fault:
            case Fault.DOWN:
                return self.refuse()
            case Fault.CUT_OFF:
                return self.black_hole()
            case Fault.SLOW:
                return self.slow(latency_s=SLOW_S)
            case Fault.VOID:
                return self.void()
            case Fault.LOST:
                return self.lost()
            case _:
                raise Unsupported(f"a proxy cannot put the fault {fault} in force")

    async def _open(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        try:
            listener.bind(self.address)
            self._server = await asyncio.start_server(self._accept, sock=listener, backlog=512)
        except BaseException:
            listener.close()
            raise

    async def _shut(self) -> None:
        if self._server is not None:
            await self._stop_accepting(self._server)
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _stop_accepting(self, server: asyncio.Server) -> None:
        """Accept no more, and let what was accepted become connections.

        A server that is closed between the two leaves the accepted socket open, without an owner.
        """
        for listener in server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    @asynccontextmanager
    async def _behave(self, conduct: Conduct) -> AsyncIterator[None]:
        before = self._conduct
        self._become(conduct)
        try:
            yield
        finally:
            self._become(before)
            for connection in self._connections.values():
                if connection.spoilt:
                    connection.reset()

    def _become(self, conduct: Conduct) -> None:
        self._conduct = conduct
        self._changed.set()
        self._changed = asyncio.Event()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(writer)
        task = asyncio.get_running_loop().create_task(self._carry(connection, reader))
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)

    async def _carry(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        """Serve one client until both ways have ended or one of them broke."""
        try:
            await self._held(connection, Direction.REQUESTS)
            answers, connection.server = await asyncio.open_connection(*self.upstream)
            await self._exchange(connection, reader, answers)
            await connection.close()
        except OSError as broken:
            _log.debug("a connection through the proxy ended: %s", broken)
        finally:
            connection.reset()
            with contextlib.suppress(OSError):
                await connection.close()

    async def _exchange(
        self,
        connection: Connection,
        requests: asyncio.StreamReader,
        answers: asyncio.StreamReader,
    ) -> None:
        """Carry both ways to their ends; the first that breaks ends the other."""
        async with asyncio.TaskGroup() as ways:
            for reader, way in ((requests, Direction.REQUESTS), (answers, Direction.ANSWERS)):
                task = ways.create_task(self._until_broken(connection, reader, way))
                self._ways.add(task)
                task.add_done_callback(self._ways.discard)

    async def _until_broken(
        self, connection: Connection, reader: asyncio.StreamReader, way: Direction
    ) -> None:
        """Carry one way; when a peer breaks it, reset both so that the other way ends, too."""
        try:
            await self._pump(connection, reader, way)
        except OSError:
            connection.reset()

    async def _pump(
        self, connection: Connection, reader: asyncio.StreamReader, way: Direction
    ) -> None:
        """Carry one way until its end, which is passed on."""
        while chunk := await reader.read(CHUNK_BYTES):
            rest = await connection.met(chunk, way, self.requests)
            if not rest:
                continue
            if way is Direction.ANSWERS:
                await self._kept_back(connection)
            await self._held(connection, way)
            if self._conduct.flow(way) is Flow.DROP:
                connection.spoilt = True
            else:
                await self._forward(connection, rest, way)
        await self._held(connection, way)
        if not connection.spoilt:
            connection.towards(way).write_eof()

    async def _held(self, connection: Connection, way: Direction) -> None:
        """Wait while nothing may pass; what was held is never delivered afterwards."""
        while self._conduct.flow(way) is Flow.HOLD:
            connection.spoilt = True
            await self._changed.wait()
        if connection.spoilt and self._conduct.flow(way) is Flow.PASS:
            raise ConnectionResetError

    async def _kept_back(self, connection: Connection) -> None:
        """Keep the first bytes of an answer back, for as long as the proxy is to be slow."""
        first, connection.unanswered = connection.unanswered, False
        if not (first and self._conduct.latency_s):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._conduct.latency_s):
                await self._changed.wait()

    async def _forward(self, connection: Connection, chunk: bytes, way: Direction) -> None:
        """Pass bytes on, as far as they may go, and say so to who waits for them."""
        quota = self._quota
        ends = quota is not None and quota.way is way and len(chunk) >= quota.left_bytes
        if quota is not None and quota.way is way:
            chunk = chunk[: quota.left_bytes]
            quota.left_bytes -= len(chunk)
        if ends:
            self._quota = None
        writer = connection.towards(way)
        writer.write(chunk)
        await writer.drain()
        if ends:
            raise ConnectionResetError
        if way is Direction.REQUESTS:
            connection.unanswered = True
            self._noticed()
        if self._conduct.bytes_per_s:
            await asyncio.sleep(len(chunk) / self._conduct.bytes_per_s)

    def _noticed(self) -> None:
        """Count a forwarded chunk for everybody who waits for one."""
        for waiting in tuple(self._waiting):
            waiting.left -= 1
            if waiting.left <= 0:
                self._waiting.remove(waiting)
                if not waiting.seen.done():
                    waiting.seen.set_result(None)
