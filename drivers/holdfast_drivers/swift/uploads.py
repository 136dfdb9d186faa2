"""Uploads: a row, parts under names that follow from it, and their joining by one manifest."""

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from holdfast.concurrency.fan_out import several
from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import Busy, Conflict, Corrupt, Invalid, NotFound
from holdfast.contract.requests import PartReference
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.containers import Entry, Segment
from holdfast_drivers.swift.objects import Objects, sha256_of
from holdfast_drivers.swift.publishing import is_whole, publish, segment_of
from holdfast_drivers.swift.rows import (
    ObjectRow,
    UploadRow,
    group_of,
    number_of,
    object_name,
    part_name,
    parts_of,
    row_name,
)
from holdfast_drivers.swift.store import Store
from holdfast_drivers.upload_facts import not_that_part

_INLINE_BYTES: Final = 1 << 20
_PAUSE_S: Final = 0.02
"""Between two looks at what another call is about to decide."""


class Uploads:
    """The uploads of one store."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self.store = store
        self.objects = objects

    async def find(self, call: Call, upload: str) -> UploadRow | None:
        """What is recorded of an upload, or ``None``."""
        head = await self.store.segments.head(call, row_name(upload))
        return None if head is None else UploadRow.of(head)

    async def start(self, call: Call, request: requests.StartUpload) -> answers.UploadInfo:
        """Open an upload."""
        await self.store.allocating(call)
        row = UploadRow(
            upload=request.upload,
            id=runtime().new_id("up"),
            key=request.key,
            kind=request.kind,
            content_type=request.content_type,
            operation=call.operation,
        )
        if not await self.store.segments.put(call, row.name, b"", row.meta(), new=True):
            other = await self.find(call, request.upload)
            if other is None:
                raise NotFound("the upload was ended while it was started again")
            if other.ending:
                # Whoever began to abort it was killed, or is at it now: either way it ends.
                await self._drop(call, other)
                raise Busy("the upload was being aborted; start it again")
            if not other.is_asked_for(request):
                raise Conflict("the upload key is taken by another upload")
            row = other
        return answers.UploadInfo(upload=row.upload, key=row.key)

    async def send(self, call: Call, request: requests.UploadPart) -> answers.PartInfo:
        """Store one part, in place of an earlier one of its number."""
        row = await self.find(call, request.upload)
        if row is None or not row.is_open:
            raise _not_open(request.upload)
        md5, sha256 = await digests_of(request.data)
        await self.store.segments.put(
            call,
            part_name(row.folder, request.number, md5),
            request.data,
            {"sha256": sha256},
            headers={"etag": md5},
        )
        part = PartReference(number=request.number, size_bytes=len(request.data), tag=md5)
        return answers.PartInfo(part=part)

    async def complete(self, call: Call, request: requests.CompleteUpload) -> answers.ObjectInfo:
        """Join parts into an object, replacing what is under its key."""
        row = await self.find(call, request.upload)
        if row is None:
            raise _not_open(request.upload)
        there = await self.objects.find(call, row.key)
        if there is not None and there.upload_id == row.id:
            return await self._again(call, row, there, request)
        if not row.is_open or (there is not None and there.replaced == row.group):
            raise _not_open(request.upload)
        entries = await self.store.segments.all(call, parts_of(row.key))
        if entries is None:
            raise self.store.absent()
        chosen = await self._chosen(call, row, entries, request)
        await self._check(call, row, chosen, request)
        object_row = ObjectRow(
            key=row.key,
            id=runtime().new_id("obj"),
            kind=row.kind,
            content_type=row.content_type,
            size_bytes=request.size_bytes,
            sha256=request.sha256,
            upload=row.upload,
            upload_id=row.id,
            operation=call.operation,
            replaced=there.group if there else "",
        )
        # While the present object is still there: its row alone names what it replaced.
        if there is not None and there.replaced:
            await self._sweep_before(call, there, entries)
        pieces = [segment_of(self.store, entry) for _, entry in chosen]
        await publish(call, self.store, object_row, pieces)
        await self._confirm(call, row, object_row, pieces)
        await self._sweep(call, row, there, {entry.name for _, entry in chosen})
        return object_row.info()

    async def _confirm(
        self, call: Call, row: UploadRow, object_row: ObjectRow, pieces: Sequence[Segment]
    ) -> None:
        """Record what the upload became, unless somebody aborted it while it was joined.

        An abort that looked after the object was there spares it, and says so in the row; one that
        looked before takes the parts away, and then the row. Which it is shows when it is over:
        what is whole until then may be taken apart yet. Where the abort was killed, the deadline
        ends the waiting, and who asks again finds the object.
        """
        current = await self.find(call, row.upload)
        while current is not None and current.id == row.id and current.ending:
            await asyncio.sleep(_PAUSE_S)
            current = await self.find(call, row.upload)
        if current is not None and current.id == row.id:
            await self._mark(call, row, object_row)
            return
        if await is_whole(call, self.store, pieces):
            return
        there = await self.objects.find(call, row.key)
        if there is not None and there.id == object_row.id:
            await self.store.objects.delete(call, object_name(row.key))
        raise call.failed(NotFound("the upload was aborted while it was completed"))

    async def _again(
        self, call: Call, row: UploadRow, object_row: ObjectRow, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        """Answer as before, after what a lost call left undone."""
        if (object_row.size_bytes, object_row.sha256) != (request.size_bytes, request.sha256):
            raise Conflict("the upload became an object of another content", object=object_row.key)
        if not row.done:
            await self._mark(call, row, object_row)
        await self.objects.sweep(call, await self.unswept(call, row, object_row))
        return object_row.info()

    async def unswept(self, call: Call, row: UploadRow, object_row: ObjectRow) -> list[str]:
        """What a completion should have removed once its object was there, and did not."""
        entries = await self.store.segments.all(call, parts_of(row.key)) or []
        ended = (object_row.replaced,) if object_row.replaced else ()
        pieces = await self.store.objects.joined(call, object_name(row.key))
        joined = {self.store.segments.name_at(piece.path) for piece in pieces}
        names = await self.objects.sift(call, row.key, entries, ended)
        full = [entry for entry in entries if entry.size_bytes]
        return list(dict.fromkeys([*names, *_unnamed(full, row, joined)]))

    async def _mark(self, call: Call, row: UploadRow, object_row: ObjectRow) -> None:
        marked = msgspec.structs.replace(row, done=object_row.id)
        await self.store.segments.note(call, row.name, marked.meta())

    async def _sweep_before(self, call: Call, there: ObjectRow, entries: Sequence[Entry]) -> None:
        """Remove what the object before the present one left: nothing tells of it afterwards."""
        names = [entry.name for entry in entries if group_of(entry.name) == there.replaced]
        if names:
            name = f"u/{there.replaced.partition('.')[0]}"
            await self.objects.sweep(call, [name, *names])

    async def _sweep(
        self, call: Call, row: UploadRow, gone: ObjectRow | None, joined: set[str]
    ) -> None:
        """Remove what was replaced, what lost calls left, and the parts that are not joined.

        What is listed from before the object was there would name what another completion of the
        same key made meanwhile. Where that replaced this one, all that is of this one goes.
        """
        entries = await self.store.segments.all(call, parts_of(row.key)) or []
        names = await self.objects.sift(call, row.key, entries, gone.ended_by_it if gone else ())
        await self.objects.sweep(
            call, list(dict.fromkeys([*names, *_unnamed(entries, row, joined)]))
        )

    async def _check(
        self,
        call: Call,
        row: UploadRow,
        chosen: Sequence[tuple[PartReference, Entry]],
        request: requests.CompleteUpload,
    ) -> None:
        """See that size and SHA-256 are those of what is stored.

        Of a single part the SHA-256 was taken when it was sent, and the server compared its MD5
        with what arrived; several parts are read back.
        """
        promised = sum(part.size_bytes for part, _ in chosen)
        if promised != request.size_bytes:
            raise Corrupt(f"the parts have {promised} bytes, not {request.size_bytes}")
        digest = ""
        if len(chosen) == 1:
            stored = await self.store.segments.head(call, chosen[0][1].name)
            if stored is None or stored.etag != chosen[0][0].tag:
                raise not_that_part(chosen[0][0], request.upload)
            digest = stored.meta.get("sha256", "")
        digest = digest or await self._read_back(call, request.upload, chosen)
        if digest != request.sha256:
            raise Corrupt(f"the parts have SHA-256 {digest}, not {request.sha256}", object=row.key)

    async def _chosen(
        self, call: Call, row: UploadRow, entries: Sequence[Entry], request: requests.CompleteUpload
    ) -> list[tuple[PartReference, Entry]]:
        """The parts that are named and where they are, by number.

        Raises:
            Invalid: one is missing, not the one sent last, or named twice.
        """
        named = {part.number: part for part in request.parts}
        if len(named) < len(request.parts):
            raise Invalid("a part is named twice", object=request.upload)
        stored: dict[int, Entry] = {}
        own = [entry for entry in entries if group_of(entry.name) == row.group]
        for entry in sorted(own, key=lambda entry: entry.modified):
            stored[number_of(entry.name)] = entry
        known = {entry.name for entry in own}
        others = [part for part in request.parts if not _is(stored.get(part.number), part)]
        # One that is listed was sent before another of its number; Swift's lists may lag behind
        # what they list, and one that is not may be the latest.
        found = await several(others, lambda part: self._unlisted(call, row, part, known))
        for part, unlisted in zip(others, found, strict=True):
            if unlisted is None or not _is(unlisted, part):
                raise not_that_part(part, request.upload)
            stored[part.number] = unlisted
        return [(named[number], stored[number]) for number in sorted(named)]

    async def _unlisted(
        self, call: Call, row: UploadRow, part: PartReference, known: Collection[str]
    ) -> Entry | None:
        """A part that is stored and in no list yet, as a list would have it."""
        name = part_name(row.folder, part.number, part.tag)
        head = None if name in known else await self.store.segments.head(call, name)
        if head is None:
            return None
        return Entry(name=name, size_bytes=head.size_bytes, etag=head.etag)

    async def _read_back(
        self, call: Call, upload: str, chosen: Sequence[tuple[PartReference, Entry]]
    ) -> str:
        whole = hashlib.sha256()
        for part, entry in chosen:
            stored = await self.store.segments.get(call, entry.name)
            if stored is None or stored.etag != part.tag:
                raise not_that_part(part, upload)
            if len(stored.data) > _INLINE_BYTES:
                await runtime().run_blocking(whole.update, stored.data)
            else:
                whole.update(stored.data)
        return whole.hexdigest()

    async def abort(self, call: Call, request: requests.AbortUpload) -> answers.Gone:
        """Drop an upload and its parts."""
        row = await self.find(call, request.upload)
        if row is None:
            await self.store.row(call)  # absent only where the store is there to say so
        elif not row.done:
            await self._end(call, row)
        return answers.Gone(key=request.upload)

    async def _end(self, call: Call, row: UploadRow) -> None:
        """Let nobody complete an upload any more, and drop it unless somebody just did.

        A completion looks at the row after its object is there: of the two, whichever comes later
        sees the other.
        """
        if not row.ending:
            ending = msgspec.structs.replace(row, ending=True)
            if not await self.store.segments.note(call, row.name, ending.meta()):
                return
        there = await self.objects.find(call, row.key)
        if there is not None and there.group == row.group:
            await self._mark(call, row, there)
        elif there is None or there.replaced != row.group:
            await self._drop(call, row)

    async def _drop(self, call: Call, row: UploadRow) -> None:
        """Remove the parts of an upload, and its row last: a killed call can be repeated."""
        entries = await self.store.segments.all(call, row.folder) or []
        if entries:
            await self.store.segments.delete_all(call, [entry.name for entry in entries])
        await self.store.segments.delete(call, row.name)

    async def became(self, call: Call, row: UploadRow) -> bool:
        """Whether an upload became the object that is there now, or the one before it."""
        there = await self.objects.find(call, row.key)
        return there is not None and row.group in {there.group, there.replaced}


async def digests_of(data: bytes) -> tuple[str, str]:
    """MD5, which the server compares, and SHA-256."""
    if len(data) <= _INLINE_BYTES:
        return _md5(data), hashlib.sha256(data).hexdigest()
    return await runtime().run_blocking(_md5, data), await sha256_of(data)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _unnamed(entries: Sequence[Entry], row: UploadRow, joined: set[str]) -> list[str]:
    """The parts of an upload that are not in its object, the one that stands for no bytes but."""
    return [
        entry.name
        for entry in entries
        if group_of(entry.name) == row.group and entry.name not in joined and number_of(entry.name)
    ]


def _is(entry: Entry | None, part: PartReference) -> bool:
    return entry is not None and (entry.etag, entry.size_bytes) == (part.tag, part.size_bytes)


def _not_open(upload: str) -> NotFound:
    return NotFound("there is no open upload under this key", object=upload)
