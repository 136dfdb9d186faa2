"""Everything a store owns, leftovers of lost calls included."""

from collections.abc import AsyncIterator

from holdfast.errors import Corrupt
from holdfast.fan_out import several
from holdfast.infos import OwnedKind, OwnedThing
from holdfast_drivers.server_call import Call
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
    for thing in damaged:
        yield thing
    for found in objects:
        yield OwnedThing(
            kind=OwnedKind.OBJECT,
            id=found.id,
            key=found.key,
            size_bytes=found.size_bytes,
            operation=found.operation,
        )
    rows, unknown = await _rows(call, store, entries)
    for thing in unknown:
        yield thing
    made = {found.group for found in objects}
    ended = made | {found.replaced for found in objects}
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.name.startswith("d/"):
            groups.setdefault(group_of(entry.name), []).append(entry)
    opened = {row.group: row for row in rows if not row.done and row.group not in ended}
    for group, upload in opened.items():
        yield OwnedThing(
            kind=OwnedKind.UPLOAD,
            id=upload.id,
            key=upload.upload,
            size_bytes=sum(entry.size_bytes for entry in groups.get(group, ())),
            unfinished=True,
            operation=upload.operation,
        )
    left = {group for group in groups if group not in opened and group not in made}
    left |= {row.group for row in rows if row.group not in opened and row.group not in made}
    for group in sorted(left):
        yield OwnedThing(kind=OwnedKind.TEMPORARY, id=f"left-{group}", unfinished=True)
    for entry in entries:
        if entry.name != ANCHOR and not entry.name.startswith(("d/", "u/")):
            yield OwnedThing(kind=OwnedKind.TEMPORARY, id="left-foreign", unfinished=True)


async def _objects(call: Call, uploads: Uploads) -> tuple[list[ObjectRow], list[OwnedThing]]:
    """The objects, and what is damaged among them."""
    entries = await uploads.store.objects.all(call) or []
    keys = [key for key in (key_of(entry.name) for entry in entries) if key is not None]
    rows = await several(keys, lambda key: uploads.objects.find_damaged(call, key))
    found = list(zip(keys, rows, strict=True))
    return (
        [row for _, row in found if isinstance(row, ObjectRow)],
        [
            _unreadable(name_of(key), key, row.reason)
            for key, row in found
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
