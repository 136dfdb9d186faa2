"""Copies of objects: made by the server, seen at once and whole, and never over another object."""

from typing import Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import Partial, ProbeResult
from holdfast.contract.errors import Conflict, Unknown
from holdfast_drivers.copied_objects import is_alike, what_became
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.refusals import refuse_in_maintenance
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.joining import INLINE_BYTES, Piece, drop_copy, publish
from holdfast_drivers.s3.objects import absent, check_whole, found_object
from holdfast_drivers.s3.rows import ObjectRow, copy_name, object_name, object_of
from holdfast_drivers.s3.store import store_row
from holdfast_drivers.s3.values import Entry

SPAN_BYTES: Final = 512 << 20
"""How much of a large object one request copies. Not every server makes its own request for a copy
depend on what is under the target's name; ending a multipart upload does on all of them.
"""


async def copy_object(
    bucket: Bucket, call: Call, request: requests.CopyObject
) -> answers.ObjectInfo:
    """Copy an object to a key where there is none, or the same already."""
    head = await bucket.head(call, object_name(request.key))
    if head is None:
        raise await absent(bucket, call, request.key)
    source = object_of(request.key, head)
    there = await found_object(bucket, call, request.target)
    if there is None:
        refuse_in_maintenance(await store_row(bucket, call))
        copy = _copy_of(source, request.target, call.operation)
        entry = Entry(object_name(request.key), head.size_bytes, head.etag)
        is_own = await _make(bucket, call, source, copy, entry)
        if is_own and entry.size_bytes <= INLINE_BYTES:
            return copy.info()
        # SeaweedFS looks whether an object is there and then ends a multipart upload: of two that
        # end at that moment, both are told that they made it.
        there = await found_object(bucket, call, request.target)
        if is_own and there is not None and there.id == copy.id:
            return copy.info()
        if there is None:
            raise Unknown("the target was made and removed at once", object=request.target)
    if not is_alike(source, there):
        call.changed = False  # nothing is left of what was begun
        raise Conflict("the target is another object", object=request.target)
    await drop_copy(bucket, call, request.target)
    return there.info()


async def probe_copy(bucket: Bucket, call: Call, request: requests.CopyObject) -> ProbeResult:
    """What became of a copy whose answer was lost."""
    source = await found_object(bucket, call, request.key)
    there = await found_object(bucket, call, request.target)
    mark = copy_name(request.target)
    if await bucket.head(call, mark) is not None:
        return Partial(names=(mark,))
    return what_became(source, there, call.operation)


def _copy_of(source: ObjectRow, key: str, operation: str) -> ObjectRow:
    """The same in all but name: a copy is no upload."""
    new = runtime().new_id("obj")
    return msgspec.structs.replace(
        source, key=key, id=new, operation=operation, upload="", upload_id="", replaced=""
    )


async def _make(
    bucket: Bucket, call: Call, source: ObjectRow, copy: ObjectRow, entry: Entry
) -> bool:
    """Make the copy visible where nothing is; whether it is."""
    name, description = object_name(copy.key), copy.description()
    if entry.size_bytes <= INLINE_BYTES:
        content = await bucket.get(call, entry.name, etag=entry.etag)
        if content is None:
            raise await absent(bucket, call, source.key)
        await check_whole(source, content.data)
        return await publish(bucket, call, name, [Piece(None, content.data)], description)
    await bucket.put(call, copy_name(copy.key), b"")
    pieces = [Piece(entry, span=span) for span in _spans(entry.size_bytes)]
    is_own = await publish(bucket, call, name, pieces, description)
    await bucket.delete(call, [copy_name(copy.key)])
    return is_own


def _spans(size_bytes: int) -> list[tuple[int, int]]:
    """First and last bytes of the parts that a large object is copied in."""
    starts = range(0, size_bytes, SPAN_BYTES)
    return [(start, min(start + SPAN_BYTES, size_bytes) - 1) for start in starts]
