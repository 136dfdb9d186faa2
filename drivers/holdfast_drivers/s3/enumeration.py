"""Everything under the store's prefix, leftovers of killed calls included."""

import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping

from holdfast.concurrency.fan_out import several
from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast.contract.errors import Corrupt, Denied, Unsupported
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.reported import owned_thing
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.names import decoded
from holdfast_drivers.s3.objects import all_found
from holdfast_drivers.s3.rows import (
    COPIES,
    OBJECTS,
    PARTS,
    SETTLED,
    STORE,
    UPLOADS,
    Damaged,
    ObjectRow,
    SettledRow,
    UploadRow,
    object_name,
    row_of,
    settled_name,
    upload_name,
    upload_of,
)
from holdfast_drivers.s3.store import store_row
from holdfast_drivers.s3.uploads import Uploads
from holdfast_drivers.s3.values import Entry, Version


async def owned(uploads: Uploads, call: Call) -> AsyncIterator[OwnedThing]:
    """Everything an image store owns."""
    bucket = uploads.bucket
    row = await store_row(bucket, call)
    yield OwnedThing(kind=OwnedKind.STORE, id=row.id, key=row.name, operation=row.operation)
    entries = await bucket.all(call)
    objects, damaged = await _all_objects(bucket, call, entries)
    for thing in (*damaged, *map(_object_thing, objects)):
        yield thing
    opened, unknown = await _uploads(uploads, call, entries)
    for thing in unknown:
        yield thing
    parts = _parts(entries)
    opened += await _unlisted_uploads(uploads, call, parts, opened)
    for upload in opened:
        yield _upload_thing(upload, parts.pop(upload.id, []))
    for thing in _strays(entries, parts, _names_at_rest(objects, damaged, opened)):
        yield thing
    for name in await _joins(bucket, call, {*opened_names(opened), *copied_names(entries)}):
        yield _leftover(name, 0)
    for version in await _past_versions(bucket, call):
        yield _leftover(f"{version.name}@{version.id}", version.size_bytes)


async def _all_objects(
    bucket: Bucket, call: Call, entries: list[Entry]
) -> tuple[list[ObjectRow], list[OwnedThing]]:
    """The objects, listed or not, and what is damaged among them."""
    objects, damaged = await _objects(bucket, call, _object_keys(entries))
    more, more_damaged = await _unlisted_objects(bucket, call, entries, objects)
    return objects + more, damaged + more_damaged


def _object_thing(row: ObjectRow) -> OwnedThing:
    return owned_thing(OwnedKind.OBJECT, row, row.size_bytes)


def _upload_thing(row: UploadRow, parts: Iterable[Entry]) -> OwnedThing:
    stored_bytes = sum(part.size_bytes for part in parts)
    return owned_thing(OwnedKind.UPLOAD, row, stored_bytes)


def _names_at_rest(
    objects: list[ObjectRow], damaged: list[OwnedThing], opened: list[UploadRow]
) -> set[str]:
    """The names of objects, and of the records of what became of uploads, that a row speaks for."""
    names = {object_name(row.key) for row in objects}
    names |= {object_name(thing.key) for thing in damaged}
    names |= {settled_name(upload) for row in objects if (upload := row.upload)}
    # A completion that was killed has recorded what it became, and its upload is still open.
    return names | {settled_name(row.key) for row in opened}


def _strays(
    entries: list[Entry], orphans: Mapping[str, list[Entry]], known: Collection[str]
) -> Iterator[OwnedThing]:
    """What is listed and belongs to nothing; ``orphans`` are the parts of no open upload."""
    parts = {entry.name for group in orphans.values() for entry in group}
    for entry in entries:
        if entry.name in parts or not _is_expected(entry.name, known):
            yield _leftover(entry.name, entry.size_bytes)


def _is_expected(name: str, known: Collection[str]) -> bool:
    """Whether a name is one of those that a store at rest has."""
    if name.startswith((OBJECTS, SETTLED)):
        return name in known
    return name == STORE or name.startswith((PARTS, UPLOADS))


async def unlisted(uploads: Uploads, call: Call, entries: list[Entry]) -> list[str]:
    """The names of objects and uploads that are there, and in these entries only what is theirs.

    A list may leave out what is there: what an upload became is recorded, and a part says whose
    it is. Of a copy nothing else is in the bucket.
    """
    rows, damaged = await _unlisted_objects(uploads.bucket, call, entries, [])
    opened = await _unlisted_uploads(uploads, call, _parts(entries), [])
    listed = {entry.name for entry in entries}
    names = {object_name(row.key) for row in rows} | {object_name(one.key) for one in damaged}
    return sorted((names | {upload_name(row.key) for row in opened}) - listed)


async def _unlisted_objects(
    bucket: Bucket, call: Call, entries: list[Entry], objects: list[ObjectRow]
) -> tuple[list[ObjectRow], list[OwnedThing]]:
    """The objects that are not listed, though what their uploads became is, and the damaged ones
    among them.
    """
    known = {settled_name(row.upload) for row in objects}
    names = [one.name for one in entries if one.name.startswith(SETTLED) and one.name not in known]
    rows = await several(names, lambda name: bucket.get(call, name))
    targets: set[str] = set()
    for name, row in zip(names, rows, strict=True):
        with contextlib.suppress(Corrupt):  # a damaged record is the leftover it looks like
            targets |= set() if row is None else {row_of(row.data, SettledRow, name).target}
    return await _objects(bucket, call, sorted(targets - set(_object_keys(entries))))


async def _unlisted_uploads(
    uploads: Uploads, call: Call, parts: Mapping[str, list[Entry]], opened: list[UploadRow]
) -> list[UploadRow]:
    """The open uploads that are not listed, though a part of theirs is."""
    known = {row.id for row in opened}

    async def look(upload_id: str) -> UploadRow | None:
        part = await uploads.bucket.head(call, parts[upload_id][0].name)
        key = None if part is None else upload_of(part)
        with contextlib.suppress(Corrupt):
            row = None if key is None else await uploads.find(call, key)
            return row if row is not None and row.id == upload_id else None
        return None

    rows = await several(sorted(set(parts) - known), look)
    return [row for row in rows if row is not None]


def _object_keys(entries: list[Entry]) -> list[str]:
    """The keys of the objects that are listed."""
    return [
        key
        for entry in entries
        if entry.name.startswith(OBJECTS)
        and (key := decoded(entry.name.removeprefix(OBJECTS))) is not None
    ]


async def _objects(
    bucket: Bucket, call: Call, keys: list[str]
) -> tuple[list[ObjectRow], list[OwnedThing]]:
    """The objects, and what is damaged among them."""
    pairs = list(zip(keys, await all_found(bucket, call, keys), strict=True))
    return (
        [row for _, row in pairs if isinstance(row, ObjectRow)],
        [
            _unreadable(object_name(key), key, row.reason)
            for key, row in pairs
            if isinstance(row, Damaged)
        ],
    )


async def _uploads(
    uploads: Uploads, call: Call, entries: list[Entry]
) -> tuple[list[UploadRow], list[OwnedThing]]:
    """The open uploads, and the rows that are damaged."""
    rows: list[UploadRow] = []
    damaged: list[OwnedThing] = []
    for entry in entries:
        if entry.name.startswith(UPLOADS):
            key = decoded(entry.name.removeprefix(UPLOADS))
            try:
                row = None if key is None else await uploads.find(call, key)
            except Corrupt as error:
                damaged.append(_unreadable(entry.name, key or "", error.cause))
                continue
            if row is not None:
                rows.append(row)
    return rows, damaged


def _unreadable(name: str, key: str, reason: str) -> OwnedThing:
    return OwnedThing(kind=OwnedKind.UNREADABLE, id=name[-128:], key=key, reason=reason)


def _parts(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Stored parts by the id of their upload."""
    parts: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.name.startswith(PARTS):
            upload_id = entry.name.removeprefix(PARTS).partition("/")[0]
            parts.setdefault(upload_id, []).append(entry)
    return parts


def opened_names(opened: Iterable[UploadRow]) -> set[str]:
    """The names of the objects that uploads will become."""
    return {object_name(row.target) for row in opened}


def copied_names(entries: Iterable[Entry]) -> set[str]:
    """The names of the objects to which large copies are marked as under way."""
    names = (entry.name for entry in entries if entry.name.startswith(COPIES))
    return {f"{OBJECTS}{name.removeprefix(COPIES)}" for name in names}


async def _joins(bucket: Bucket, call: Call, targets: Iterable[str]) -> list[str]:
    """The names of unfinished multipart uploads.

    A server that tells only of an exact name is asked for every target of which there is a row or
    a mark, which outlive the joining.
    """
    joins = {f"{name}?{join}" for name, join in await bucket.joins(call, "")}
    for target in targets:
        joins |= {f"{name}?{join}" for name, join in await bucket.joins(call, target)}
    return sorted(joins)


async def all_versions(bucket: Bucket, call: Call) -> list[Version]:
    """All versions of all things, as far as a bucket has and tells them."""
    try:
        return await bucket.versions(call, "")
    except (Denied, Unsupported):
        if bucket.versioned:
            raise
        return []  # a user of an unversioned bucket need not be allowed to ask


async def _past_versions(bucket: Bucket, call: Call) -> list[Version]:
    """What a versioned bucket keeps of things that are no more; the driver leaves nothing there."""
    return [version for version in await all_versions(bucket, call) if version.is_past]


def _leftover(name: str, size_bytes: int) -> OwnedThing:
    key = decoded(name.partition("?")[0].partition("/")[2]) or ""
    return OwnedThing(
        kind=OwnedKind.TEMPORARY,
        id=name[-128:],
        key=key,
        size_bytes=size_bytes,
        unfinished=True,
    )
