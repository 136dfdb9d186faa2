"""Objects: reading, listing, deleting; each is one thing in the bucket."""

import contextlib
import hashlib
import math
from collections.abc import Sequence
from typing import Final

from holdfast.concurrency.fan_out import several
from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import Busy, Corrupt, NotFound, OutOfRange
from holdfast.contract.handles import HttpHandle
from holdfast_drivers.listing import folded, name_in_token, page_token
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.config import URL_MAX_S
from holdfast_drivers.s3.joining import drop_copy
from holdfast_drivers.s3.names import after_all_of, decoded, encoded
from holdfast_drivers.s3.rows import (
    OBJECTS,
    Damaged,
    ObjectRow,
    SettledRow,
    object_name,
    object_of,
    row_of,
    settled_name,
)
from holdfast_drivers.s3.store import store_row
from holdfast_drivers.s3.values import Content, Head

_AT_ONCE: Final = 16
_ATTEMPTS: Final = 8
_HASH_INLINE_BYTES: Final = 256 << 10


async def found_object(bucket: Bucket, call: Call, key: str) -> ObjectRow | None:
    """The object under a key."""
    head = await bucket.head(call, object_name(key))
    return None if head is None else object_of(key, head)


async def object_row(bucket: Bucket, call: Call, key: str) -> ObjectRow:
    """The object under a key.

    Raises:
        NotFound: there is none, or no store.
    """
    row = await found_object(bucket, call, key)
    if row is None:
        raise await absent(bucket, call, key)
    return row


async def absent(bucket: Bucket, call: Call, key: str) -> NotFound:
    """Why an object is not there: it is absent, or the whole store is."""
    await store_row(bucket, call)
    return NotFound("there is no object under this key", object=key)


async def purge_settled(bucket: Bucket, call: Call, upload: str, target: str) -> list[str]:
    """The name of what is recorded of an upload, if it is recorded to have become ``target``."""
    name = settled_name(upload)
    content = await bucket.get(call, name)
    if content is None or row_of(content.data, SettledRow, name).target != target:
        return []
    return [name]


class Objects:
    """The objects of one store."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    async def get(self, call: Call, request: requests.GetObject) -> answers.ObjectData:
        """Read an object or a range of it."""
        if request.offset_bytes == 0 and request.length_bytes is None:
            content = await self.bucket.get(call, object_name(request.key))
            if content is None:
                raise await absent(self.bucket, call, request.key)
            row = object_of(request.key, content.head)
            await check_whole(row, content.data)
            return answers.ObjectData(object=row.info(), offset_bytes=0, data=content.data)
        return await self._range(call, request)

    async def _range(self, call: Call, request: requests.GetObject) -> answers.ObjectData:
        name = object_name(request.key)
        head = await self.bucket.head(call, name)
        if head is None:
            raise await absent(self.bucket, call, request.key)
        row = object_of(request.key, head)
        size = row.size_bytes
        offset = request.offset_bytes
        start = max(0, size + offset) if offset < 0 else offset
        if start and start >= size:
            raise OutOfRange(f"offset {start} is past the end of {size} bytes", object=row.key)
        rest = size - start
        length = rest if request.length_bytes is None else min(rest, request.length_bytes)
        data = b""
        if length:
            span = start, start + length - 1
            content = await self.bucket.get(call, name, span=span, etag=head.etag)
            data = _exactly(row, start, length, content)
        return answers.ObjectData(object=row.info(), offset_bytes=start, data=data)

    async def head(self, call: Call, request: requests.HeadObject) -> answers.ObjectInfo:
        """What is known of an object."""
        return (await object_row(self.bucket, call, request.key)).info()

    async def open(self, call: Call, request: requests.OpenObject) -> HttpHandle:
        """An address by which the object can be read for a week."""
        row = await object_row(self.bucket, call, request.key)
        url = await self.bucket.address(object_name(request.key), URL_MAX_S)
        return HttpHandle(url=url, size_bytes=row.size_bytes, ca_file=self.bucket.ca_file)

    async def address(self, call: Call, request: requests.TemporaryUrl) -> answers.UrlInfo:
        """An address by which the object can be read for a while, in whole seconds, of which the
        server keeps count.
        """
        await object_row(self.bucket, call, request.key)
        seconds = math.ceil(request.expires_s)
        return answers.UrlInfo(url=await self.bucket.address(object_name(request.key), seconds))

    async def list(self, call: Call, request: requests.ListObjects) -> answers.ObjectPage:
        """Objects, and prefixes where keys are folded, in byte order."""
        store = await store_row(self.bucket, call)
        scope = f"{store.id}\0{request.prefix}\0{request.delimiter}"
        last = name_in_token(scope, request.token) if request.token else ""
        names, more = await _names(self.bucket, call, request, last)
        keys = [name for name, folded in names if not folded]
        rows = await all_found(self.bucket, call, keys)
        return answers.ObjectPage(
            items=tuple(row.info() for row in rows if isinstance(row, ObjectRow)),
            prefixes=tuple(name for name, folded in names if folded),
            token=page_token(scope, names[-1][0]) if more else "",
        )

    async def delete(self, call: Call, request: requests.DeleteObject) -> answers.Gone:
        """Delete an object, after the record of its upload, so that a killed call can go on.

        One that comes in between has a record of its own, of which nothing would tell afterwards:
        only what was looked at is deleted, and then the other one.
        """
        name = object_name(request.key)
        head = await self.bucket.head(call, name)
        await drop_copy(self.bucket, call, request.key)
        if head is None:
            await store_row(self.bucket, call)
            await self.bucket.tidy(call, name)
            return answers.Gone(key=request.key)
        for _ in range(_ATTEMPTS):
            if head is None:
                return answers.Gone(key=request.key)
            await self._forget_upload(call, request.key, head)
            # Only where it is still what was looked at: a later one has a record of its own.
            if await self.bucket.remove(call, name, head.etag):
                return answers.Gone(key=request.key)
            head = await self.bucket.head(call, name)
        raise call.failed(Busy("others replace the object all the time; try again"))

    async def _forget_upload(self, call: Call, key: str, head: Head) -> None:
        """Delete the record of the upload that an object came from."""
        row: ObjectRow | None = None
        with contextlib.suppress(Corrupt):  # what is damaged can still be deleted
            row = object_of(key, head)
        if row is not None and row.upload:
            gone = await purge_settled(self.bucket, call, row.upload, row.key)
            await self.bucket.delete(call, gone)


async def _names(
    bucket: Bucket, call: Call, request: requests.ListObjects, last: str
) -> tuple[list[tuple[str, bool]], bool]:
    """One page of keys and of prefixes that keys fold into, and whether there are more."""
    names: list[tuple[str, bool]] = []
    after = _after(last, request) if last else ""
    prefix = f"{OBJECTS}{encoded(request.prefix)}"
    more = True
    while more:
        entries, more = await bucket.page(
            call, prefix, after=after, limit=max(2, request.limit - len(names) + 1)
        )
        for entry in entries:
            key = decoded(entry.name.removeprefix(OBJECTS))
            if key is None or not key.startswith(request.prefix) or entry.name <= after:
                continue
            if len(names) == request.limit:
                return names, True
            name, is_prefix = folded(key, request)
            names.append((name, is_prefix))
            after = _after(name, request) if is_prefix else entry.name
        if entries and entries[-1].name > after:
            after = entries[-1].name
    return names, False


async def all_found(
    bucket: Bucket, call: Call, keys: Sequence[str]
) -> list[ObjectRow | Damaged | None]:
    """The objects under keys, asked for a few at a time; ``None`` where one went meanwhile.

    In the place of one that is damaged is the reason.
    """

    async def look(key: str) -> ObjectRow | Damaged | None:
        try:
            return await found_object(bucket, call, key)
        except Corrupt as error:
            return Damaged(error.cause)

    return await several(keys, look, at_once=_AT_ONCE)


def _after(name: str, request: requests.ListObjects) -> str:
    """Where a listing goes on after a key, or after all keys that are folded into a prefix."""
    if folded(name, request)[1]:
        return f"{OBJECTS}{after_all_of(name)}"
    return object_name(name)


def _exactly(row: ObjectRow, start: int, length: int, content: Content | None) -> bytes:
    if content is None:
        raise NotFound("the object was deleted while it was read", object=row.key)
    if content.offset_bytes != start or len(content.data) != length:
        raise Corrupt(
            f"the server gave {len(content.data)} bytes from {content.offset_bytes} where {length} "
            f"from {start} were asked for",
            object=row.key,
        )
    return content.data


async def check_whole(row: ObjectRow, data: bytes) -> None:
    """``Corrupt`` where the bytes of a whole object are not those that were stored."""
    if len(data) < _HASH_INLINE_BYTES:
        digest = hashlib.sha256(data).hexdigest()
    else:
        digest = await runtime().run_blocking(lambda: hashlib.sha256(data).hexdigest())
    if digest != row.sha256:
        raise Corrupt(f"what is stored has SHA-256 {digest}, not {row.sha256}", object=row.key)
