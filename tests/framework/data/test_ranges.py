"""One rule of ranges for every kind of block access, whatever blocks its backend has."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from daemons import make_image, nbd_server, require_plane
from holdfast.contract.errors import Denied, OutOfRange
from holdfast.contract.handles import BlockNodeHandle, FileHandle, HttpHandle
from holdfast.data import BlockIO, open_block_io
from holdfast.steps.first_bytes import Window
from holdfast.storage_daemon import DataPlane, use_data_plane
from holdfast_drivers.memory.backend import MemoryBlockIO
from holdfast_drivers.memory.content import Content

SIZE = 64 << 10
HUGE = 1 << 70
WRITABLE = (
    "file",
    "memory",
    "window",
    "raw node",
    "qcow2 node",
    "node of 4 KiB blocks",
    "node on the network",
)
KINDS = (*WRITABLE, "http")
NODES = frozenset(kind for kind in KINDS if "node" in kind)
EDGES = (0, 1, 511, 512, 513, 4095, 4096, 4097, SIZE // 2, SIZE - 513, SIZE - 512, SIZE - 1, SIZE)

positions = st.one_of(st.sampled_from(EDGES), st.integers(0, SIZE))
ranges = st.tuples(positions, positions).map(lambda pair: (min(pair), max(pair) - min(pair)))


class Write(msgspec.Struct, frozen=True):
    """Bytes of one value."""

    offset: int
    length: int
    fill: int


class Discard(msgspec.Struct, frozen=True):
    """Zeroes."""

    offset: int
    length: int


class Read(msgspec.Struct, frozen=True):
    """Compared with what must be there."""

    offset: int
    length: int


class Flush(msgspec.Struct, frozen=True):
    """It must know of no loss."""


Step = Write | Discard | Read | Flush
steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(ranges, st.integers(1, 255)).map(lambda drawn: Write(*drawn[0], drawn[1])),
    ranges.map(lambda at: Discard(at[0], at[1])),
    ranges.map(lambda at: Read(at[0], at[1])),
    st.just(Flush()),
)


def node(file: Mapping[str, object], host: str = "host-a") -> BlockNodeHandle:
    return BlockNodeHandle(
        blockdev=msgspec.json.encode(file).decode(),
        size_bytes=SIZE,
        host=host,
        volume="volume",
    )


@contextmanager
def served(content: bytes) -> Iterator[str]:
    """The address of an HTTP server that has one object and knows ranges."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            data = content[int(first) : int(last) + 1]
            self.send_response(206)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its base says so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/object"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[tuple[BlockIO, bytearray]]:
    """Block access of one kind, and what it must hold."""
    async with AsyncExitStack() as stack:
        if kind in NODES:
            plane = await stack.enter_async_context(DataPlane())
            stack.enter_context(use_data_plane(plane))
        held = bytearray(SIZE)
        match kind:
            case "file" | "window":
                size = SIZE + (4096 if kind == "window" else 0)
                path = make_image(folder / "file", size)
                handle: Any = FileHandle(path=str(path), size_bytes=size)
            case "memory":
                content = Content(SIZE)
                yield MemoryBlockIO("t", lambda *_, **__: content, size_bytes=SIZE), held
                return
            case "raw node":
                path = make_image(folder / "raw", SIZE)
                handle = node({"driver": "raw", "file": {"driver": "file", "filename": str(path)}})
            case "node of 4 KiB blocks":
                path = make_image(folder / "blocks", SIZE)
                image = {"driver": "file", "filename": str(path)}
                blocks = {"driver": "blkdebug", "align": 4096, "image": image}
                handle = node(blocks)
            case "qcow2 node":
                path = make_image(folder / "image", SIZE, "qcow2")
                handle = node(
                    {"driver": "qcow2", "file": {"driver": "file", "filename": str(path)}}
                )
            case "node on the network":
                server = stack.enter_context(nbd_server(folder, SIZE))
                path = server.socket
                handle = node(
                    {
                        "driver": "raw",
                        "file": {"driver": "nbd", "server": {"type": "unix", "path": str(path)}},
                    }
                )
            case _:
                held = bytearray(os.urandom(SIZE))
                url = stack.enter_context(served(bytes(held)))
                handle = HttpHandle(url=url, size_bytes=SIZE)
        content_io = await stack.enter_async_context(open_block_io(handle))
        yield (Window(content_io, SIZE) if kind == "window" else content_io), held


def with_kind(
    kind: str, folder: Path, body: Callable[[BlockIO, bytearray], Awaitable[None]]
) -> None:
    if kind in NODES:
        require_plane()

    async def main() -> None:
        async with opened(kind, folder) as (content, held):
            await body(content, held)

    asyncio.run(main())


async def taken(content: BlockIO, held: bytearray, step: Step) -> None:
    match step:
        case Write(offset, length, fill):
            await content.write_at(offset, bytes([fill]) * length)
            held[offset : offset + length] = bytes([fill]) * length
        case Discard(offset, length):
            await content.discard(offset, length)
            held[offset : offset + length] = bytes(length)
        case Read(offset, length):
            assert await content.read_at(offset, length) == held[offset : offset + length]
        case Flush():
            await content.flush()


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITABLE)
def test_any_range_is_read_and_written_to_the_byte(tmp_path: Path, kind: str) -> None:
    """Unaligned ranges, single bytes and none at all change exactly what they say, and a flush
    afterwards knows of no loss.
    """

    async def body(content: BlockIO, held: bytearray) -> None:
        loop = asyncio.get_running_loop()

        @settings(
            max_examples=40,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(st.lists(steps, min_size=1, max_size=8))
        def play(chosen: list[Step]) -> None:
            async def whole() -> None:
                for step in (*chosen, Flush(), Read(0, SIZE)):
                    await taken(content, held, step)

            asyncio.run_coroutine_threadsafe(whole(), loop).result()

        await asyncio.to_thread(play)

    with_kind(kind, tmp_path, body)


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITABLE)
def test_every_edge_of_a_block_is_exact(tmp_path: Path, kind: str) -> None:
    """A write that begins or ends beside a border of blocks leaves the bytes beside it."""

    async def body(content: BlockIO, held: bytearray) -> None:
        await taken(content, held, Write(0, SIZE, 7))
        for number, first in enumerate(EDGES):
            for last in EDGES[number:]:
                step = Write(first, last - first, 1 + number)
                await taken(content, held, step)
                await taken(content, held, Discard(first, min(3, last - first)))
        await taken(content, held, Flush())
        await taken(content, held, Read(0, SIZE))

    with_kind(kind, tmp_path, body)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, SIZE + 1), (SIZE, 1), (SIZE + 1, 0), (-1, 1), (-1, 0), (1, -1), (HUGE, 0), (0, HUGE)],
)
def test_a_range_that_is_not_inside_is_refused_and_nothing_is_done(
    tmp_path: Path, kind: str, offset: int, length: int
) -> None:
    """Past the end and below zero is OutOfRange for all, and a flush afterwards succeeds."""

    async def body(content: BlockIO, held: bytearray) -> None:
        data = b"x" * max(0, min(length, SIZE + 1))
        with pytest.raises(OutOfRange):
            await content.read_at(offset, length)
        with pytest.raises(OutOfRange):
            await content.discard(offset, length)
        if len(data) == length:
            with pytest.raises(OutOfRange):
                await content.write_at(offset, data)
        await content.flush()
        assert await content.read_at(0, SIZE) == held

    with_kind(kind, tmp_path, body)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_range_of_no_bytes_does_nothing(tmp_path: Path, kind: str) -> None:
    """Reading nothing gives nothing, at the end too; writing nothing needs a writable handle."""

    async def body(content: BlockIO, held: bytearray) -> None:
        for offset in (0, 1, SIZE):
            assert await content.read_at(offset, 0) == b""
            for change in (content.write_at(offset, b""), content.discard(offset, 0)):
                if kind in WRITABLE:
                    await change
                else:
                    with pytest.raises(Denied):
                        await change
        await content.flush()
        assert await content.read_at(0, SIZE) == held

    with_kind(kind, tmp_path, body)
