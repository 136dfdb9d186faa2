"""Read-only block access to an object over HTTP, by ranges."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import (
    Corrupt,
    Denied,
    DriverError,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unknown,
)
from holdfast.contract.handles import HttpHandle
from holdfast.data.block_io import BlockIO, Extent, check_range
from holdfast.data.tls import handshake_refusal, trusting

_DEADLINE_S: Final = 8.0
_PARTIAL: Final = 206
_WHOLE: Final = 200


class HttpIO(BlockIO):
    """Block access to the object behind one address."""

    def __init__(self, handle: HttpHandle, client: httpx.AsyncClient) -> None:
        self.size_bytes = handle.size_bytes
        self._handle = handle
        self._client = client
        self._name = httpx.URL(handle.url).path.rpartition("/")[2]
        """For messages: the address itself may hold a signature."""

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly ``length_bytes``; any ``DriverError``."""
        check_range(offset_bytes, length_bytes, self.size_bytes, self._name)
        if not length_bytes:
            return b""
        range_header = f"bytes={offset_bytes}-{offset_bytes + length_bytes - 1}"
        headers = [*self._handle.headers, ("Range", range_header)]
        try:
            answer = await self._client.get(self._handle.url, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as problem:
            if refused := handshake_refusal(problem, "the object's server", "of its address"):
                raise refused from None
            raise Unavailable("the object's server cannot be reached", object=self._name) from None
        except httpx.HTTPError as problem:
            # Without its text, which may quote the address.
            what = type(problem).__name__
            raise Unknown(f"no whole answer from the server: {what}", object=self._name) from None
        return self._content(answer, offset_bytes, length_bytes)

    def _content(self, answer: httpx.Response, offset_bytes: int, length_bytes: int) -> bytes:
        if answer.status_code == _WHOLE:
            # A server may ignore a range and send everything.
            data = answer.content[offset_bytes : offset_bytes + length_bytes]
        elif answer.status_code == _PARTIAL:
            data = answer.content
        else:
            raise _refused(answer.status_code, self._name)
        if len(data) != length_bytes:
            raise Corrupt(
                f"the server sent {len(data)} bytes, not {length_bytes}", object=self._name
            )
        return data

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        """Always ``Denied``, within the object."""
        check_range(offset_bytes, len(data), self.size_bytes, self._name)
        raise Denied("an object is read only", object=self._name)

    async def flush(self) -> None:
        """Nothing is ever written."""

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        """Always ``Denied``, within the object."""
        check_range(offset_bytes, length_bytes, self.size_bytes, self._name)
        raise Denied("an object is read only", object=self._name)

    async def extents(self) -> tuple[Extent, ...]:
        """All of it: HTTP knows no holes."""
        return (Extent(0, self.size_bytes),) if self.size_bytes else ()


@asynccontextmanager
async def open_http_io(handle: HttpHandle) -> AsyncIterator[BlockIO]:
    """Open an object over HTTP. Nothing is sent before the first read."""
    verify: ssl.SSLContext | bool = False
    if httpx.URL(handle.url).scheme == "https":  # certificates take a while to load
        verify = await runtime().run_blocking(trusting, handle.ca_file)
    async with httpx.AsyncClient(timeout=_DEADLINE_S, trust_env=False, verify=verify) as client:
        yield HttpIO(handle, client)


def _refused(status: int, name: str) -> DriverError:
    """The error for an answer that is no content."""
    match status:
        case 401:
            return Unauthenticated("the server does not accept the credentials", object=name)
        case 403:
            return Denied("the server refuses; the address may have expired", object=name)
        case 404 | 410:
            return NotFound("the server has no such object", object=name)
        case 416:
            return Corrupt("the object is shorter than its handle says", object=name)
        case _:
            return Unavailable(f"the server answers with status {status}", object=name)
