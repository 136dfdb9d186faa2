"""A request is sent once, whatever becomes of its connection."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from holdfast.contract.errors import Unknown
from holdfast.contract.requests import CallContext
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.config import S3Config
from holdfast_drivers.s3.connecting import open_bucket

_ABSENT = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def test_a_request_on_a_broken_connection_is_unknown_and_not_sent_again() -> None:
    """When a used connection breaks after a write was sent, and new ones are refused, the outcome
    is Unknown: "was not sent" would be untrue.
    """
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        seen.append("head")
        writer.write(_ABSENT)
        await reader.readuntil(b"\r\n\r\n")
        seen.append("put")
        listening[0].close()
        writer.transport.abort()

    listening: list[asyncio.Server] = []

    async def run(work: Callable[[int], Awaitable[None]]) -> None:
        listening.append(await asyncio.start_server(serve, "127.0.0.1", 0))
        await work(listening[0].sockets[0].getsockname()[1])

    async def work(port: int) -> None:
        config = S3Config(
            endpoint=f"http://127.0.0.1:{port}",
            access_key="a",
            secret_key="b",
            bucket="bucket",
            namespace="ns",
        )
        deadline = asyncio.get_running_loop().time() + 20
        call = Call(CallContext(operation="test", deadline=deadline))
        async with open_bucket(config) as bucket:
            assert await bucket.head(call, "name") is None
            with pytest.raises(Unknown):
                await bucket.put(call, "name", b"data")
        assert seen == ["head", "put"]

    asyncio.run(run(work))
