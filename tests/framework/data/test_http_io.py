"""Objects behind HTTP addresses, read by ranges from a real server on the loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("httpx", reason="httpx is not installed; install holdfast[swift]")

from holdfast.contract.errors import (
    Corrupt,
    Denied,
    DriverError,
    NotFound,
    OutOfRange,
    Unauthenticated,
    Unavailable,
    Unknown,
)
from holdfast.contract.handles import HttpHandle
from holdfast.data import BlockIO, open_block_io

CONTENT = bytes(range(256)) * 40
SECRET = "canary-in-the-address"
Answer = Callable[[dict[str, str]], bytes]


def ranged(headers: dict[str, str]) -> bytes:
    """A server that knows ranges, for those who present the right header."""
    if headers.get("x-key") != "right":
        return b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    first, last = map(int, headers["range"].removeprefix("bytes=").split("-"))
    data = CONTENT[first : last + 1]
    return f"HTTP/1.1 206 Partial Content\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def whole(_: dict[str, str]) -> bytes:
    """A server that ignores ranges."""
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT


def cut_short(_: dict[str, str]) -> bytes:
    """A server that hangs up in the middle of its answer."""
    return b"HTTP/1.1 206 Partial Content\r\nContent-Length: 100\r\n\r\nonly this"


def refusing(status: int) -> Answer:
    """A server that refuses everything."""
    return lambda _: f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()


@asynccontextmanager
async def address_of(answer: Answer) -> AsyncIterator[str]:
    """The address of a server that answers one request per connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        pairs = (line.split(": ", 1) for line in lines if line)
        writer.write(answer({name.lower(): value for name, value in pairs}))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/store/object?signature={SECRET}"


def on_object(
    answer: Answer, body: Callable[[BlockIO], Awaitable[None]], *, key: str = "right"
) -> None:
    """Run a test on an object behind a server."""

    async def run() -> None:
        async with address_of(answer) as url:
            headers = (("X-Key", key),)
            handle = HttpHandle(url=url, size_bytes=len(CONTENT), headers=headers)
            async with open_block_io(handle) as content:
                await body(content)

    asyncio.run(run())


@pytest.mark.parametrize("answer", [ranged, whole])
def test_ranges_are_read_as_they_are(answer: Answer) -> None:
    """A range holds the object's bytes, whether or not the server knows ranges."""

    async def body(content: BlockIO) -> None:
        assert await content.read_at(5, 1000) == CONTENT[5:1005]
        assert await content.read_at(len(CONTENT), 0) == b""
        assert [e.length_bytes for e in await content.extents()] == [len(CONTENT)]
        await content.flush()

    on_object(answer, body)


def test_an_object_cannot_be_changed_or_read_past_its_end() -> None:
    """Writes and discards are refused, and so is a range that is not within the object."""

    async def body(content: BlockIO) -> None:
        with pytest.raises(Denied):
            await content.write_at(0, b"x")
        with pytest.raises(Denied):
            await content.discard(0, 1)
        with pytest.raises(OutOfRange):
            await content.read_at(len(CONTENT) - 1, 2)

    on_object(ranged, body)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refusing(401), Unauthenticated),
        (refusing(403), Denied),
        (refusing(404), NotFound),
        (refusing(416), Corrupt),
        (refusing(503), Unavailable),
        (cut_short, Unknown),
    ],
)
def test_refusals_are_typed_and_keep_the_address_to_themselves(
    answer: Answer, expected: type[DriverError]
) -> None:
    """Each refusal is its own error, and none repeats the address, which may be signed."""

    async def body(content: BlockIO) -> None:
        with pytest.raises(expected) as raised:
            await content.read_at(0, 100)
        assert SECRET not in str(raised.value)

    on_object(answer, body)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    """An address where nobody listens is ``Unavailable``: nothing was sent."""

    async def run() -> None:
        async with address_of(ranged) as url:
            handle = HttpHandle(url=url, size_bytes=len(CONTENT))
        async with open_block_io(handle) as content:
            with pytest.raises(Unavailable):
                await content.read_at(0, 1)

    asyncio.run(run())
