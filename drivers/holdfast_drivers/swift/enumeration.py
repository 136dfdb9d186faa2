"""Everything a store owns, leftovers of lost calls included."""

from collections.abc import AsyncIterator, Iterable

from holdfast.concurrency.fan_out import several
from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast.contract.errors import Corrupt
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.reported import owned_thing
from holdfast_drivers.swift.containers import Entry
from holdfast_drivers.swift.names import key_of, name_of
from holdfast_drivers.swift.rows import Damaged, ObjectRow, UploadRow, group_of
from holdfast_drivers.swift.store import ANCHOR, Store
from holdfast_drivers.swift.uploads import Uploads


async def owned_by(call: Call, uploads: Uploads) -> AsyncIterator[OwnedThing]:
    """The store, its objects, its open uploads, and what belongs to none of them."""
    store = uploads.store
    row = await store.row(call)
    yield OwnedThing(kind=OwnedKind.STORE, id=row.id, key=row.name, operation=row.operation)
    entries = await store.segments.all(call) or []
    objects, damaged = await _objects(call, uploads)
    for thing in (*damaged, *map(_object_thing, objects)):
        yield thing
    rows, unknown = await _rows(call, store, entries)
    for thing in unknown:
        yield thing
    of_objects = {object_row.group for object_row in objects}
    # An upload whose object was replaced has ended, though its row may still be there.
    ended = of_objects | {object_row.replaced for object_row in objects}
    segments = _segments(entries)
    opened = {row.group: row for row in rows if not row.done and row.group not in ended}
    for group, upload in opened.items():
        yield _upload_thing(upload, segments.get(group, ()))
    for group in sorted({*segments, *(row.group for row in rows)} - opened.keys() - of_objects):
        yield OwnedThing(kind=OwnedKind.TEMPORARY, id=f"left-{group}", unfinished=True)
    for entry in entries:
        if entry.name != ANCHOR and not entry.name.startswith(("d/", "u/")):
            yield OwnedThing(kind=OwnedKind.TEMPORARY, id="left-foreign", unfinished=True)


def _object_thing(row: ObjectRow) -> OwnedThing:
    return owned_thing(OwnedKind.OBJECT, row, row.size_bytes)


def _upload_thing(row: UploadRow, segments: Iterable[Entry]) -> OwnedThing:
    stored_bytes = sum(segment.size_bytes for segment in segments)
    return owned_thing(OwnedKind.UPLOAD, row, stored_bytes, key=row.upload)


def _segments(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Stored bytes by the group of what they are of."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.name.startswith("d/"):
            groups.setdefault(group_of(entry.name), []).append(entry)
    return groups


async def _objects(call: Call, uploads: Uploads) -> tuple[list[ObjectRow], list[OwnedThing]]:
    """The objects, and what is damaged among them."""
    entries = await uploads.store.objects.all(call) or []
    keys = [key for key in (key_of(entry.name) for entry in entries) if key is not None]
    rows = await several(keys, lambda key: uploads.objects.find_damaged(call, key))
    pairs = list(zip(keys, rows, strict=True))
    return (
        [row for _, row in pairs if isinstance(row, ObjectRow)],
        [
            _unreadable(name_of(key), key, row.reason)
            for key, row in pairs
            if isinstance(row, Damaged)
        ],
    )


async def _rows(
    call: Call, store: Store, entries: list[Entry]
) -> tuple[list[UploadRow], list[OwnedThing]]:
    """The rows of uploads, and those that are damaged."""
    names = [entry.name for entry in entries if entry.name.startswith("u/")]
    heads = await several(names, lambda name: store.segments.head(call, name))
    rows: list[UploadRow] = []
    damaged: list[OwnedThing] = []
    for name, head in zip(names, heads, strict=True):
        try:
            rows += [] if head is None else [UploadRow.of(head)]
        except Corrupt as error:
            damaged.append(_unreadable(name, "", error.cause))
    return rows, damaged


def _unreadable(name: str, key: str, reason: str) -> OwnedThing:
    return OwnedThing(kind=OwnedKind.UNREADABLE, id=name[-128:], key=key, reason=reason)
