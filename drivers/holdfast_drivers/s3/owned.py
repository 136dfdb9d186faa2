"""Everything under the store's prefix, leftovers of killed calls included."""

from collections.abc import AsyncIterator

from holdfast.infos import OwnedKind, OwnedThing
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.names import decoded
from holdfast_drivers.s3.objects import all_found
from holdfast_drivers.s3.rows import (
    OBJECTS,
    PARTS,
    SETTLED,
    STORE,
    UPLOADS,
    ObjectRow,
    UploadRow,
    object_name,
    settled_name,
)
from holdfast_drivers.s3.store import store_row
from holdfast_drivers.s3.uploads import Uploads
from holdfast_drivers.s3.values import Call, Entry


async def owned(uploads: Uploads, call: Call) -> AsyncIterator[OwnedThing]:
    """Everything an image store owns."""
    bucket = uploads.bucket
    row = await store_row(bucket, call)
    yield OwnedThing(kind=OwnedKind.STORE, id=row.id, key=row.name, operation=row.operation)
    entries = await bucket.all(call)
    objects = await _objects(bucket, call, entries)
    for stored in objects:
        yield OwnedThing(
            kind=OwnedKind.OBJECT,
            id=stored.id,
            key=stored.key,
            size_bytes=stored.size_bytes,
            operation=stored.operation,
        )
    opened = await _uploads(uploads, call, entries)
    parts = _parts(entries)
    for upload in opened:
        yield OwnedThing(
            kind=OwnedKind.UPLOAD,
            id=upload.id,
            key=upload.key,
            size_bytes=sum(entry.size_bytes for entry in parts.pop(upload.id, [])),
            unfinished=True,
            operation=upload.operation,
        )
    known = {object_name(stored.key) for stored in objects}
    known |= {settled_name(name) for stored in objects if (name := stored.upload)}
    known |= {settled_name(upload.key) for upload in opened}
    for entry in entries:
        if entry.name.startswith((OBJECTS, SETTLED)) and entry.name not in known:
            yield _leftover(entry.name, entry.size_bytes)
    for orphans in parts.values():
        for entry in orphans:
            yield _leftover(entry.name, entry.size_bytes)
    for entry in entries:
        if not entry.name.startswith((OBJECTS, SETTLED, PARTS, UPLOADS)) and entry.name != STORE:
            yield _leftover(entry.name, entry.size_bytes)
    for name in await _joins(bucket, call, opened):
        yield _leftover(name, 0)


async def _objects(bucket: Bucket, call: Call, entries: list[Entry]) -> list[ObjectRow]:
    keys = [
        key
        for entry in entries
        if entry.name.startswith(OBJECTS)
        and (key := decoded(entry.name.removeprefix(OBJECTS))) is not None
    ]
    return [row for row in await all_found(bucket, call, keys) if row is not None]


async def _uploads(uploads: Uploads, call: Call, entries: list[Entry]) -> list[UploadRow]:
    found: list[UploadRow] = []
    for entry in entries:
        if entry.name.startswith(UPLOADS):
            key = decoded(entry.name.removeprefix(UPLOADS))
            row = None if key is None else await uploads.find(call, key)
            if row is not None:
                found.append(row)
    return found


def _parts(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Stored parts by the id of their upload."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.name.startswith(PARTS):
            upload_id = entry.name.removeprefix(PARTS).partition("/")[0]
            found.setdefault(upload_id, []).append(entry)
    return found


async def _joins(bucket: Bucket, call: Call, opened: list[UploadRow]) -> list[str]:
    """The names of unfinished multipart uploads.

    A server that tells only of an exact name is asked for the target of every open upload: the row
    of an upload outlives its joining.
    """
    found = {f"{name}?{join}" for name, join in await bucket.joins(call, "")}
    for target in {object_name(row.target) for row in opened}:
        found |= {f"{name}?{join}" for name, join in await bucket.joins(call, target)}
    return sorted(found)


def _leftover(name: str, size_bytes: int) -> OwnedThing:
    key = decoded(name.partition("?")[0].partition("/")[2]) or ""
    return OwnedThing(
        kind=OwnedKind.TEMPORARY,
        id=name[-128:],
        key=key,
        size_bytes=size_bytes,
        unfinished=True,
    )
