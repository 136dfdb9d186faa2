"""Everything a store owns, leftovers of lost calls included."""

from collections.abc import AsyncIterator

from holdfast.fan_out import several
from holdfast.infos import OwnedKind, OwnedThing
from holdfast_drivers.swift.connection import Call
from holdfast_drivers.swift.containers import Entry
from holdfast_drivers.swift.names import key_of
from holdfast_drivers.swift.rows import ObjectRow, UploadRow, group_of
from holdfast_drivers.swift.store import ANCHOR, Store
from holdfast_drivers.swift.uploads import Uploads


async def owned_by(call: Call, uploads: Uploads) -> AsyncIterator[OwnedThing]:
    """The store, its objects, its open uploads, and what belongs to none of them."""
    store = uploads.store
    row = await store.row(call)
    yield OwnedThing(kind=OwnedKind.STORE, id=row.id, key=row.name, operation=row.operation)
    entries = await store.segments.all(call) or []
    objects = await _objects(call, uploads)
    for found in objects:
        yield OwnedThing(
            kind=OwnedKind.OBJECT,
            id=found.id,
            key=found.key,
            size_bytes=found.size_bytes,
            operation=found.operation,
        )
    rows = await _rows(call, store, entries)
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


async def _objects(call: Call, uploads: Uploads) -> list[ObjectRow]:
    entries = await uploads.store.objects.all(call) or []
    keys = [key for key in (key_of(entry.name) for entry in entries) if key is not None]
    found = await several(keys, lambda key: uploads.objects.find(call, key))
    return [row for row in found if row is not None]


async def _rows(call: Call, store: Store, entries: list[Entry]) -> list[UploadRow]:
    names = [entry.name for entry in entries if entry.name.startswith("u/")]
    found = await several(names, lambda name: store.segments.head(call, name))
    return [UploadRow.of(row) for row in found if row is not None]
