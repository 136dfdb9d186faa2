"""What the handle of an object gives when it is read as its user would read it."""

import hashlib
from urllib.parse import urlsplit, urlunsplit

import msgspec

from holdfast.data import open_block_io
from holdfast.errors import DriverError
from holdfast.handles import Handle, HttpHandle
from holdfast_conformance.payload import middle
from holdfast_conformance.trace import HandleAnswer, HandleRead


async def read_object(handle: Handle) -> HandleAnswer:
    """Read the whole object and a range of it; the handle itself without what may be secret."""
    return HandleAnswer(_shown(handle), await _read(handle))


async def _read(handle: Handle) -> HandleRead:
    try:
        async with open_block_io(handle) as content:
            size_bytes = content.size_bytes
            whole = await content.read_at(0, size_bytes)
            offset_bytes, length_bytes = middle(size_bytes)
            part = await content.read_at(offset_bytes, length_bytes)
    except DriverError as problem:
        told = f"{problem.kind.value}: {problem.cause}"
        return HandleRead(size_bytes=handle.size_bytes, problem=told)
    return HandleRead(
        size_bytes=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
        middle_sha256=hashlib.sha256(part).hexdigest(),
    )


def _shown(handle: Handle) -> Handle:
    """The handle as a trace may hold it: signatures and headers prove the right to read."""
    if not isinstance(handle, HttpHandle):
        return handle
    return msgspec.structs.replace(
        handle,
        url=_unsigned(handle.url),
        headers=tuple((name, "") for name, _ in handle.headers),
    )


def _unsigned(url: str) -> str:
    """An address without its query."""
    try:
        return urlunsplit(urlsplit(url)._replace(query="", fragment="", netloc=_host(url)))
    except ValueError:
        return ""


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
