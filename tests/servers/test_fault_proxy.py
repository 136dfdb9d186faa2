"""The fault proxy between a client and a TCP server that answers with what it was sent."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from holdfast.contract.errors import Unsupported
from holdfast.contract.testbed import Fault
from holdfast_drivers.servers.fault_connection import Direction
from holdfast_drivers.servers.fault_proxy import PROXY_FAULTS, FaultProxy

LONG_S = 300.0
SHORT_S = 0.05


class Echo:
    """A server that sends back what it gets, and counts it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.arrived = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Echo one connection until its end."""
        self.writers.append(writer)
        try:
            while chunk := await reader.read(65536):
                self.received += chunk
                self.arrived.set()
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            self.arrived.set()
        finally:
            writer.close()


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[FaultProxy, Echo]]:
    """A proxy in front of an echo server."""
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    async with FaultProxy(upstream=(address[0], address[1])) as proxy:
        yield proxy, echo
    server.close()
    for writer in echo.writers:
        writer.close()


def play(story: Callable[[FaultProxy, Echo], Awaitable[None]]) -> None:
    """Run a story against a proxy, and see that it left no task behind."""

    async def whole() -> None:
        async with asyncio.timeout(LONG_S):
            async with echoing() as (proxy, echo):
                await story(proxy, echo)
            assert proxy.connections == 0
            await asyncio.gather(
                *(task for task in asyncio.all_tasks() if task is not asyncio.current_task())
            )

    asyncio.run(whole())


async def ask(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], question: bytes) -> bytes:
    """Send and wait for as much in return."""
    reader, writer = streams
    writer.write(question)
    await writer.drain()
    return await reader.readexactly(len(question))


async def silent(reader: asyncio.StreamReader) -> bool:
    """Whether nothing arrives for a moment."""
    try:
        async with asyncio.timeout(SHORT_S):
            return not await reader.read(1)
    except TimeoutError:
        return True


async def fits(writer: asyncio.StreamWriter, size_bytes: int) -> bool:
    """Whether so many bytes are taken within a second."""
    try:
        async with asyncio.timeout(1.0):
            for _ in range(size_bytes // (1024 * 1024)):
                writer.write(bytes(1024 * 1024))
                await writer.drain()
    except TimeoutError:
        return False
    return True


async def broken(reader: asyncio.StreamReader) -> bool:
    """Whether the stream ends with a reset, after whatever was in it."""
    try:
        while await reader.read(65536):
            pass
    except ConnectionResetError:
        return True
    return False


def test_bytes_pass_unchanged_and_an_end_is_passed_on() -> None:
    """Without a fault a client and its server see each other's bytes and ends."""

    async def story(proxy: FaultProxy, echo: Echo) -> None:
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(b"first" * 100_000)
        writer.write_eof()
        assert await reader.read() == b"first" * 100_000
        assert bytes(echo.received) == b"first" * 100_000
        writer.close()

    play(story)


def test_many_connections_are_served_at_once() -> None:
    """A hundred clients get their own answers."""

    async def story(proxy: FaultProxy, echo: Echo) -> None:
        clients = [await asyncio.open_connection(*proxy.address) for _ in range(100)]
        questions = [f"{number:05}".encode() for number in range(100)]
        answers = await asyncio.gather(*map(ask, clients, questions))
        assert answers == questions
        assert proxy.connections == 100
        assert len(echo.received) == 500
        for _, writer in clients:
            writer.close()

    play(story)


def test_a_client_that_does_not_read_stops_its_server() -> None:
    """Bytes nobody takes are not gathered in the proxy: the sender has to wait."""

    async def story(proxy: FaultProxy, echo: Echo) -> None:
        _, writer = await asyncio.open_connection(*proxy.address)
        writer.transport.set_write_buffer_limits(0)
        total = 256 * 1024 * 1024
        assert not await fits(writer, total)
        assert len(echo.received) < total // 2
        writer.transport.abort()

    play(story)


def test_next_request_resolves_when_the_server_has_been_sent_bytes() -> None:
    """It waits for bytes that are sent after it was called, as many chunks as it was told."""

    async def story(proxy: FaultProxy, _: Echo) -> None:
        streams = await asyncio.open_connection(*proxy.address)
        assert await ask(streams, b"before") == b"before"
        first, second = proxy.next_request(), proxy.next_request(count=2)
        assert not first.done()
        assert await ask(streams, b"one") == b"one"
        await first
        assert not second.done()
        assert await ask(streams, b"two") == b"two"
        await second
        streams[1].close()

    play(story)


def test_a_black_hole_lets_nothing_through_and_breaks_what_it_held() -> None:
    """Connections open in a black hole, nothing arrives, and afterwards they are reset."""

    async def story(proxy: FaultProxy, echo: Echo) -> None:
        old, idle = [await asyncio.open_connection(*proxy.address) for _ in range(2)]
        assert await ask(old, b"a") == b"a"
        assert await ask(idle, b"b") == b"b"
        async with proxy.black_hole():
            new = await asyncio.open_connection(*proxy.address)
            for _, writer in (old, new):
                writer.write(b"lost")
            assert await silent(old[0])
            assert await silent(new[0])
            assert bytes(echo.received) == b"ab"
        assert await broken(old[0])
        assert await broken(new[0])
        assert await ask(idle, b"still here") == b"still here"
        assert b"lost" not in echo.received
        idle[1].close()

    play(story)


def test_the_void_takes_answers_only() -> None:
    """In the void a server does what it is asked, and the client never hears of it."""

    async def story(proxy: FaultProxy, echo: Echo) -> None:
        reader, writer = await asyncio.open_connection(*proxy.address)
        async with proxy.void():
            writer.write(b"do it")
            await echo.arrived.wait()
            assert await silent(reader)
            assert bytes(echo.received) == b"do it"
        assert await broken(reader)

    play(story)


def test_a_refused_connection_is_refused_at_once_and_the_port_comes_back() -> None:
    """While the proxy refuses, its port answers as one without a server; then it serves again."""

    async def story(proxy: FaultProxy, _: Echo) -> None:
        before = proxy.address
        old = await asyncio.open_connection(*proxy.address)
        assert await ask(old, b"a") == b"a"
        async with proxy.refuse():
            assert await broken(old[0])
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*proxy.address)
        assert proxy.address == before
        new = await asyncio.open_connection(*proxy.address)
        assert await ask(new, b"again") == b"again"
        new[1].close()

    play(story)


def test_a_reset_ends_every_connection_and_no_later_one() -> None:
    """A reset reaches the clients as such, and new connections are served."""

    async def story(proxy: FaultProxy, _: Echo) -> None:
        old = await asyncio.open_connection(*proxy.address)
        assert await ask(old, b"a") == b"a"
        proxy.reset_now()
        assert await broken(old[0])
        new = await asyncio.open_connection(*proxy.address)
        assert await ask(new, b"b") == b"b"
        new[1].close()

    play(story)


@pytest.mark.parametrize("way", list(Direction))
def test_a_reset_after_some_bytes_lets_exactly_those_pass(way: Direction) -> None:
    """Exactly as many bytes as said pass one way before the reset, and it happens once."""

    async def story(proxy: FaultProxy, echo: Echo) -> None:
        proxy.reset_after(1000, way)
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(bytes(5000))
        got = bytearray()
        try:
            while chunk := await reader.read(65536):
                got += chunk
        except ConnectionResetError:
            got += b"!"
        passed = len(echo.received) if way is Direction.REQUESTS else len(got) - 1
        assert passed == 1000
        assert got[-1:] == b"!"
        new = await asyncio.open_connection(*proxy.address)
        assert await ask(new, bytes(5000)) == bytes(5000)
        new[1].close()

    play(story)


def test_slowness_delays_an_answer_and_ends_with_the_fault() -> None:
    """An answer is kept back while the proxy is slow, and comes at once when it is no more."""

    async def story(proxy: FaultProxy, echo: Echo) -> None:
        streams = await asyncio.open_connection(*proxy.address)
        async with proxy.slow(latency_s=LONG_S * 10):
            asked = asyncio.ensure_future(ask(streams, b"patience"))
            await echo.arrived.wait()
            assert await asyncio.wait((asked,), timeout=SHORT_S) == (set(), {asked})
        assert await asked == b"patience"
        streams[1].close()

    play(story)


def test_bandwidth_spreads_bytes_over_time() -> None:
    """With a bandwidth, bytes take at least as long as it says."""

    async def story(proxy: FaultProxy, _: Echo) -> None:
        streams = await asyncio.open_connection(*proxy.address)
        clock = asyncio.get_running_loop()
        async with proxy.slow(bytes_per_s=1_000_000.0):
            began = clock.time()
            assert await ask(streams, bytes(200_000)) == bytes(200_000)
            assert clock.time() - began >= 0.1
        streams[1].close()

    play(story)


def test_a_server_that_refuses_resets_the_client() -> None:
    """Where the server's port is closed, the client's connection is reset."""

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            upstream = reserved.getsockname()
        async with FaultProxy(upstream=(upstream[0], upstream[1])) as proxy:
            reader, _ = await asyncio.open_connection(*proxy.address)
            assert await broken(reader)

    asyncio.run(story())


def test_closing_the_proxy_in_the_middle_of_a_fault_leaves_nothing_behind() -> None:
    """Connections held by a black hole, and waits for a request, end with the proxy."""

    async def story(proxy: FaultProxy, _: Echo) -> None:
        waiting = proxy.next_request()
        hole = proxy.black_hole()
        await hole.__aenter__()
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(b"lost")
        assert await silent(reader)
        await proxy.close()
        assert await broken(reader)
        assert waiting.cancelled()
        await hole.__aexit__(None, None, None)

    play(story)


def test_each_fault_of_the_network_has_its_mode() -> None:
    """``inject`` knows the faults a proxy can put in force, and refuses all others."""

    async def story(proxy: FaultProxy, _: Echo) -> None:
        for fault in sorted(PROXY_FAULTS):
            async with proxy.inject(fault):
                assert proxy.connections == 0
        for fault in sorted(set(Fault) - PROXY_FAULTS):
            with pytest.raises(Unsupported, match=fault):
                proxy.inject(fault)

    play(story)
