"""Whole objects over the verbs of an image store: ``put_object`` and ``read_object``."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.answers import ObjectInfo
from holdfast.contract.capabilities import ObjectKind, UploadCapabilities
from holdfast.contract.errors import Busy, Corrupt, DriverError, HoldfastError, OutOfRange
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import (
    AbortUpload,
    CallContext,
    CompleteUpload,
    GetObject,
    HeadObject,
    PartReference,
    StartUpload,
    UploadPart,
)
from holdfast.data.block_io import BlockIO

PART_BYTES = 8 << 20
"""The size of a part where the store leaves the choice."""

READ_BYTES = 4 << 20
"""The size of one read where the store can read ranges."""

MakeContext = Callable[[], CallContext]
"""Gives each driver call a context, and so a deadline, of its own."""


class ObjectName(msgspec.Struct, frozen=True, kw_only=True):
    """Where an object goes and what it is; ``upload`` is the caller's key of this attempt."""

    upload: str
    key: str
    kind: ObjectKind
    content_type: str = "application/octet-stream"


async def put_object(
    driver: ImageDriver,
    context: MakeContext,
    name: ObjectName,
    source: AsyncIterable[bytes],
    *,
    size_bytes: int | None = None,
) -> ObjectInfo:
    """Store everything ``source`` yields as one object, in parts as large as the store allows.

    ``size_bytes``, where known, is checked before anything is sent and against what was read.
    At most one part is held in memory.

    After a final error nothing is left: the upload is aborted. After an uncertain one (``Unknown``,
    ``Internal``) or a cancellation the upload is left for a probe, because the lost call may still
    act on it.

    Raises:
        OutOfRange: the source does not fit into an object, or into the parts that are allowed.
        Corrupt: the source ended early or late, or the store answered with another digest.
        DriverError: whatever the upload verbs raise.
    """
    limits = driver.capabilities.upload
    part_bytes = part_size(limits, size_bytes, name.key)
    start = StartUpload(
        upload=name.upload, key=name.key, kind=name.kind, content_type=name.content_type
    )
    await driver.start_upload(context(), start)
    try:
        return await _send(
            driver, context, name, source, part_bytes=part_bytes, size_bytes=size_bytes
        )
    except Exception as failure:
        if isinstance(failure, DriverError) and not failure.final:
            raise
        try:
            await driver.abort_upload(context(), AbortUpload(upload=name.upload))
        except HoldfastError as leftover:
            failure.add_note(f"upload {name.upload!r} is still open: {leftover}")
        raise


def part_size(limits: UploadCapabilities, size_bytes: int | None, key: str = "") -> int:
    """How large each part but the last is for an object of this size (``None``: not known).

    Raises:
        OutOfRange: no object of this size can be stored.
    """
    largest = min(limits.object_max_bytes, limits.part_max_bytes * limits.parts_max)
    if size_bytes is not None and size_bytes > largest:
        raise OutOfRange(
            f"{size_bytes} bytes are more than the {largest} that one object can have", object=key
        )
    needed = -(-(largest if size_bytes is None else size_bytes) // limits.parts_max)
    return min(limits.part_max_bytes, max(limits.part_min_bytes, needed, PART_BYTES))


async def _send(
    driver: ImageDriver,
    context: MakeContext,
    name: ObjectName,
    source: AsyncIterable[bytes],
    *,
    part_bytes: int,
    size_bytes: int | None,
) -> ObjectInfo:
    digest = hashlib.sha256()
    sent: list[PartReference] = []
    total = 0
    async for data in _parts(source, part_bytes):
        total += len(data)
        number = len(sent) + 1
        if number > driver.capabilities.upload.parts_max:
            raise OutOfRange(f"more than {total} bytes do not fit", object=name.key)
        await runtime().run_blocking(digest.update, data)
        part = UploadPart(upload=name.upload, number=number, data=data)
        sent.append((await driver.upload_part(context(), part)).part)
    if size_bytes is not None and total != size_bytes:
        raise Corrupt(
            f"the source gave {total} bytes where {size_bytes} were announced", object=name.key
        )
    stored = await driver.complete_upload(
        context(),
        CompleteUpload(
            upload=name.upload,
            parts=tuple(sent),
            size_bytes=total,
            sha256=digest.hexdigest(),
        ),
    )
    if (stored.size_bytes, stored.sha256) != (total, digest.hexdigest()):
        raise Corrupt("the store answered with another size or digest", object=name.key)
    return stored


async def _parts(source: AsyncIterable[bytes], part_bytes: int) -> AsyncIterator[bytes]:
    held = bytearray()
    async for chunk in source:
        held += chunk
        while len(held) >= part_bytes:
            yield bytes(memoryview(held)[:part_bytes])
            del held[:part_bytes]
    if held:
        yield bytes(held)


async def read_blocks(
    content: BlockIO, *, offset_bytes: int = 0, length_bytes: int | None = None
) -> AsyncIterator[bytes]:
    """A range of what is behind a handle, by default all of it, as a source for ``put_object``."""
    end = content.size_bytes if length_bytes is None else offset_bytes + length_bytes
    while offset_bytes < end:
        data = await content.read_at(offset_bytes, min(READ_BYTES, end - offset_bytes))
        offset_bytes += len(data)
        yield data


async def read_object(driver: ImageDriver, context: MakeContext, key: str) -> AsyncIterator[bytes]:
    """The bytes of an object in order, by ranges where the store has them, checked at the end.

    Raises:
        NotFound: there is no such object.
        Busy: the object was replaced while it was read; start again.
        Corrupt: size or SHA-256 are not what the store says; what was yielded must not be used.
    """
    if driver.capabilities.range is None:
        whole = await driver.get(context(), GetObject(key=key))
        _check(whole.object, len(whole.data), hashlib.sha256(whole.data).hexdigest())
        yield whole.data
        return
    info = await driver.head(context(), HeadObject(key=key))
    digest, total = hashlib.sha256(), 0
    while total < info.size_bytes:
        request = GetObject(
            key=key, offset_bytes=total, length_bytes=min(READ_BYTES, info.size_bytes - total)
        )
        answer = await driver.get(context(), request)
        if answer.object.id != info.id:
            raise Busy("the object was replaced while it was read", object=key)
        if not answer.data:
            break
        await runtime().run_blocking(digest.update, answer.data)
        total += len(answer.data)
        yield answer.data
    _check(info, total, digest.hexdigest())


def _check(info: ObjectInfo, size_bytes: int, sha256: str) -> None:
    if (size_bytes, sha256) != (info.size_bytes, info.sha256):
        raise Corrupt(
            f"{size_bytes} bytes with SHA-256 {sha256} were read where the store promises "
            f"{info.size_bytes} with {info.sha256}",
            object=info.key,
        )
