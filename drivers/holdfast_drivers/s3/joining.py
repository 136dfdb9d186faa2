"""Parts become one object: read back and compared, then joined inside the server."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from holdfast.errors import Busy, Corrupt, Unknown
from holdfast.requests import CompleteUpload
from holdfast.runtime import runtime
from holdfast_drivers.s3.client import Bucket, Call, Description, Entry
from holdfast_drivers.s3.config import JOIN_MIN_BYTES

INLINE_BYTES: Final = 8 << 20
"""Objects up to this size are written from memory in one request, since they were read anyway."""
_HASH_INLINE_BYTES: Final = 256 << 10


class Piece(msgspec.Struct, frozen=True):
    """A part of the object to be: a stored part, or bytes of several that are too small alone."""

    source: Entry | None
    data: bytes = b""


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
    if whole.hexdigest() != request.sha256.lower():
        raise Corrupt(f"what is stored has SHA-256 {whole.hexdigest()}, not {request.sha256}")
    return pieces


async def _read(
    bucket: Bucket, call: Call, parts: Sequence[Entry]
) -> AsyncIterator[tuple[Entry, bytes]]:
    for part in parts:
        found = await bucket.get(call, part.name, etag=part.etag)
        if found is None or len(found.data) != part.size_bytes:
            raise Busy(f"part {part.name} was replaced while it was read; try again")
        yield part, found.data


async def publish(
    bucket: Bucket, call: Call, name: str, pieces: Sequence[Piece], description: Description
) -> None:
    """Make the object visible under its name, at once and whole, in place of an earlier one."""
    if len(pieces) == 1 and pieces[0].source is None:
        await bucket.put(call, name, pieces[0].data, description)
        return
    await sweep_joins(bucket, call, name)
    join = await bucket.begin_join(call, name, description)
    etags: list[str] = []
    for number, piece in enumerate(pieces, 1):
        etags.append(await _joined(bucket, call, name, join, number, piece))
    await bucket.end_join(call, name, join, etags)


async def _joined(
    bucket: Bucket, call: Call, name: str, join: str, number: int, piece: Piece
) -> str:
    if piece.source is None:
        return await bucket.join_bytes(call, name, join, number, piece.data)
    etag = await bucket.join_copy(call, name, join, number, piece.source)
    if etag != piece.source.etag:
        # An encrypting server may well give its copies other ETags; then nothing is known of them.
        raise call.failed(
            Unknown(f"the server's copy of {piece.source.name} has another ETag, {etag}")
        )
    return etag


async def sweep_joins(bucket: Bucket, call: Call, name: str) -> None:
    """Drop the multipart uploads that killed calls left at a name."""
    for found, join in await bucket.joins(call, name):
        if found == name:
            await bucket.drop_join(call, name, join)
