"""What the handle of an object gives when it is read as its user would read it."""

import hashlib
from urllib.parse import urlsplit, urlunsplit

import msgspec

from holdfast.contract.errors import DriverError
from holdfast.contract.handles import Handle, HttpHandle
from holdfast.data import BlockIO, Extent, open_block_io
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
            extents = await content.extents()
            if _leaves_out(extents, size_bytes) and await _of_extents(content, extents) != whole:
                told = "its extents leave out bytes that are no zeroes"
                return HandleRead(size_bytes=handle.size_bytes, problem=told)
    except DriverError as problem:
        told = f"{problem.kind.value}: {problem.cause}"
        return HandleRead(size_bytes=handle.size_bytes, problem=told)
    return HandleRead(
        size_bytes=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
        middle_sha256=hashlib.sha256(part).hexdigest(),
    )


def _leaves_out(extents: tuple[Extent, ...], size_bytes: int) -> bool:
    """Whether there is a byte that no extent has."""
    return sum(extent.length_bytes for extent in extents) < size_bytes


async def _of_extents(content: BlockIO, extents: tuple[Extent, ...]) -> bytes:
    """The whole as whoever copies only data sees it: zeroes where no extent has any."""
    data = bytearray(content.size_bytes)
    for extent in extents:
        end = extent.offset_bytes + extent.length_bytes
        data[extent.offset_bytes : end] = await content.read_at(
            extent.offset_bytes, extent.length_bytes
        )
    return bytes(data)


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
