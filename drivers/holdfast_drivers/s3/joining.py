"""Completion: parts are read back, compared, and made one by the server's multipart upload."""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import Busy, Corrupt, DriverError, Unknown
from holdfast.contract.requests import CompleteUpload
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.config import JOIN_MIN_BYTES
from holdfast_drivers.s3.rows import copy_name, object_name
from holdfast_drivers.s3.values import Description, Entry

INLINE_BYTES: Final = 8 << 20
"""Objects up to this size are written from memory in one request, since they were read anyway."""
_HASH_INLINE_BYTES: Final = 256 << 10


class Piece(msgspec.Struct, frozen=True):
    """A part of the object to be: a stored thing, or a span of it (first and last byte, both
    included), or bytes of several things that are too small alone.
    """

    source: Entry | None
    data: bytes = b""
    span: tuple[int, int] | None = None


async def verified(
    bucket: Bucket, call: Call, parts: Sequence[Entry], request: CompleteUpload
) -> list[Piece]:
    """Read every part as it is stored, compare SHA-256 and size, and say what is to be joined.

    At most one part and one object's worth of small ones is held in memory.

    Raises:
        Corrupt: what is stored is not what was announced.
    """
    whole = hashlib.sha256()
    size_bytes = sum(part.size_bytes for part in parts)
    if size_bytes != request.size_bytes:
        raise Corrupt(f"the parts have {size_bytes} bytes, not {request.size_bytes}")
    pieces: list[Piece] = []
    held = bytearray()
    inline = size_bytes <= INLINE_BYTES
    async for part, data in _read(bucket, call, parts):
        if len(data) < _HASH_INLINE_BYTES:
            whole.update(data)
        else:
            await runtime().run_blocking(whole.update, data)
        if not inline and not held and len(data) >= JOIN_MIN_BYTES:
            pieces.append(Piece(part))
            continue
        held += data
        if not inline and len(held) >= JOIN_MIN_BYTES:
            pieces.append(Piece(None, bytes(held)))
            held.clear()
    if held or not pieces:
        pieces.append(Piece(None, bytes(held)))
    if whole.hexdigest() != request.sha256:
        raise Corrupt(f"what is stored has SHA-256 {whole.hexdigest()}, not {request.sha256}")
    return pieces


async def _read(
    bucket: Bucket, call: Call, parts: Sequence[Entry]
) -> AsyncIterator[tuple[Entry, bytes]]:
    for part in parts:
        content = await bucket.get(call, part.name, etag=part.etag)
        if content is None or len(content.data) != part.size_bytes:
            raise Busy(f"part {part.name} was replaced while it was read; try again")
        yield part, content.data


async def publish(
    bucket: Bucket,
    call: Call,
    name: str,
    pieces: Sequence[Piece],
    description: Description,
    *,
    over: str = "",
) -> bool:
    """Make the object visible under its name, at once and whole, in place of the one whose ETag is
    ``over``, or where that is empty in no other's; false, and nothing changed, where it is not so.

    A call that was given up and acts late thus replaces nothing that came after it.
    """
    new = not over
    if len(pieces) == 1 and pieces[0].source is None:
        data = pieces[0].data
        return await bucket.put(call, name, data, description, new=new, etag=over) is not None
    await sweep_joins(bucket, call, name)
    join = await bucket.begin_join(call, name, description)
    try:
        etags = await _joined(bucket, call, name, join, pieces)
    except DriverError:
        with contextlib.suppress(DriverError):  # the first error is the one to tell
            await bucket.drop_join(call, name, join)
        raise
    if await bucket.end_join(call, name, join, etags, new=new, etag=over):
        return True
    await bucket.drop_join(call, name, join)
    return False


async def _joined(
    bucket: Bucket, call: Call, name: str, join: str, pieces: Sequence[Piece]
) -> list[str]:
    etags: list[str] = []
    for number, piece in enumerate(pieces, 1):
        etag, source = "", piece.source
        if source is None:
            etag = await bucket.join_bytes(call, name, join, number, piece.data)
        else:
            etag = await bucket.join_copy(call, name, join, number, source, span=piece.span)
            if piece.span is None:
                _check_copy(call, source, etag)
        etags.append(etag)
    return etags


def _check_copy(call: Call, source: Entry, etag: str) -> None:
    """A plain ETag is the MD5 of the bytes; one with a hyphen says nothing."""
    if len(etag) == len(source.etag) and etag != source.etag:
        raise call.failed(Unknown(f"the server's copy of {source.name} has another ETag, {etag}"))


async def sweep_joins(bucket: Bucket, call: Call, name: str) -> None:
    """Drop the multipart uploads that killed calls left at a name."""
    for target, join in await bucket.joins(call, name):
        if target == name:
            await bucket.drop_join(call, name, join)


async def drop_copy(bucket: Bucket, call: Call, key: str) -> None:
    """Remove what a killed copy to this key left."""
    mark = copy_name(key)
    if await bucket.head(call, mark) is not None:
        await sweep_joins(bucket, call, object_name(key))
        await bucket.delete(call, [mark])
