"""Uploads: a row, parts as things of their own, and what became of them."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from holdfast.concurrency.fan_out import several
from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import Busy, Conflict, Corrupt, Invalid, NotFound
from holdfast.contract.requests import PartReference
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.refusals import refuse_in_maintenance
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.joining import Piece, publish, sweep_joins, verified
from holdfast_drivers.s3.objects import found_object, purge_settled
from holdfast_drivers.s3.rows import (
    ObjectRow,
    SettledRow,
    UploadRow,
    object_name,
    object_of,
    part_description,
    part_name,
    parts_prefix,
    row_of,
    settled_name,
    upload_name,
)
from holdfast_drivers.s3.store import store_row
from holdfast_drivers.s3.values import Entry, Head
from holdfast_drivers.upload_facts import is_same_upload

_ATTEMPTS: Final = 8
_LOOKED_FOR: Final = 16
"""How many parts are looked for at once where one was found that no list has."""


class Uploads:
    """The uploads of one store."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    async def find(self, call: Call, key: str) -> UploadRow | None:
        """The open upload under a key."""
        name = upload_name(key)
        content = await self.bucket.get(call, name)
        return None if content is None else row_of(content.data, UploadRow, name)

    async def start(self, call: Call, request: requests.StartUpload) -> answers.UploadInfo:
        """Open an upload."""
        store = await store_row(self.bucket, call)
        row = await self.find(call, request.upload)
        if row is None:
            refuse_in_maintenance(store)
            row = await self._open(call, request)
        if not is_same_upload(row, request):
            raise Conflict("the upload key is taken by another upload", object=request.upload)
        return answers.UploadInfo(upload=row.key, key=row.target)

    async def _open(self, call: Call, request: requests.StartUpload) -> UploadRow:
        row = UploadRow(
            key=request.upload,
            id=runtime().new_id("up"),
            operation=call.operation,
            target=request.key,
            kind=request.kind,
            content_type=request.content_type,
        )
        name = upload_name(request.upload)
        if await self.bucket.put(call, name, msgspec.json.encode(row), new=True) is not None:
            return row
        # Of two that open it at once one is refused, and goes on with what the other has opened.
        other = await self.find(call, request.upload)
        if other is None:
            raise Conflict("another call opened and ended this upload", object=request.upload)
        return other

    async def send(self, call: Call, request: requests.UploadPart) -> answers.PartInfo:
        """Store one part, in place of an earlier one of its number."""
        row = await self.get(call, request.upload)
        name = part_name(row.id, request.number)
        description = part_description(row)
        etag = await self.bucket.put(call, name, request.data, description)
        there = await self.find(call, request.upload)
        if there is None or there.id != row.id:
            # It was completed or aborted meanwhile, and nobody looks for its parts any more.
            await self.bucket.delete(call, [name])
            call.changed = False
            raise NotFound("the upload was ended while a part was sent", object=request.upload)
        return answers.PartInfo(
            part=PartReference(number=request.number, size_bytes=len(request.data), tag=str(etag))
        )

    async def get(self, call: Call, key: str) -> UploadRow:
        """The open upload under a key.

        Raises:
            NotFound: there is none.
        """
        row = await self.find(call, key)
        if row is None:
            raise NotFound("there is no open upload under this key", object=key)
        return row

    async def parts(self, call: Call, row: UploadRow) -> dict[int, Entry]:
        """The parts of an upload that are listed, by number; a list may leave some out."""
        prefix = parts_prefix(row.id)
        return {
            int(entry.name.removeprefix(prefix)): entry
            for entry in await self.bucket.all(call, prefix)
        }

    async def complete(self, call: Call, request: requests.CompleteUpload) -> answers.ObjectInfo:
        """Join parts into an object, replacing what is under its key."""
        row = await self.find(call, request.upload)
        if row is None:
            object_row = await self.made_by(call, request.upload)
            if object_row is None:
                raise NotFound("there is no open upload under this key", object=request.upload)
            return object_row.info()
        stored = await self.parts(call, row)
        name = object_name(row.target)
        head = await self.bucket.head(call, name)
        object_row = None if head is None else object_of(row.target, head)
        if object_row is not None and object_row.upload_id == row.id:
            # A killed completion came this far: the object is there, and the rest is done again.
            await self.bucket.tidy(call, name)
        else:
            parts = await self._chosen(call, row, request, stored)
            pieces = await verified(self.bucket, call, parts, request)
            object_row = await self._publish(call, row, request, pieces, head)
        call.changed = True  # the object is there, whoever made it
        # The named ones, too: a list may leave parts out.
        numbers = {*stored, *(part.number for part in request.parts)}
        await self._settle(call, row, object_row, numbers)
        return object_row.info()

    async def _chosen(
        self,
        call: Call,
        row: UploadRow,
        request: requests.CompleteUpload,
        stored: dict[int, Entry],
    ) -> list[Entry]:
        """The parts that are named, by number; what is not listed as named is asked for itself.

        Raises:
            Invalid: one is not stored with its tag, or named twice.
        """
        named = {part.number: part for part in request.parts}
        if len(named) < len(request.parts):
            raise Invalid("a part is named twice", object=request.upload)
        chosen = {number: stored[number] for number in named if number in stored}
        others = [part for part in request.parts if not _is(chosen.get(part.number), part)]
        names = [part_name(row.id, part.number) for part in others]
        heads = await several(names, lambda name: self.bucket.head(call, name))
        for part, name, head in zip(others, names, heads, strict=True):
            entry = None if head is None else Entry(name, head.size_bytes, head.etag)
            if entry is None or not _is(entry, part):
                raise Invalid(
                    f"part {part.number} is not stored with tag {part.tag}; send it again",
                    object=request.upload,
                )
            chosen[part.number] = entry
        return [chosen[number] for number in sorted(named)]

    async def _all_parts(self, call: Call, row: UploadRow, known: Iterable[int]) -> list[str]:
        """The names of all parts that are there, by the numbers of those that are known.

        A list may leave parts out: wherever the numbers are interrupted it is asked for the next
        one by its name, and for more where that is there.
        """
        numbers = {0, *known}
        starts: list[int] = sorted(numbers)
        width = 1
        while starts:
            guesses = {start + more for start in starts for more in range(1, width + 1)} - numbers
            names = {number: part_name(row.id, number) for number in sorted(guesses)}
            heads = await several(
                list(names.values()),
                lambda name: self.bucket.head(call, name),
                at_once=_LOOKED_FOR,
            )
            there = zip(names, heads, strict=True)
            starts, width = [number for number, head in there if head is not None], _LOOKED_FOR
            numbers |= set(starts)
        return [part_name(row.id, number) for number in sorted(numbers - {0})]

    async def _publish(
        self,
        call: Call,
        row: UploadRow,
        request: requests.CompleteUpload,
        pieces: Sequence[Piece],
        head: Head | None,
    ) -> ObjectRow:
        """Make the object visible over the one that was seen, and over no other.

        So the record of what was replaced is known and can go. Who came in between is looked at.
        """
        name = object_name(row.target)
        for _ in range(_ATTEMPTS):
            earlier = None if head is None else object_of(row.target, head)
            object_row = _object_of(call, row, request, earlier)
            over = head.etag if head else ""
            if await publish(self.bucket, call, name, pieces, object_row.description(), over=over):
                return object_row
            # Refused: another call was quicker, and what it left is what is replaced now.
            head = await self.bucket.head(call, name)
        raise Busy("others replace the object all the time; try again", object=row.target)

    async def made_by(self, call: Call, upload: str) -> ObjectRow | None:
        """The object that an upload became, while it is the current one."""
        name = settled_name(upload)
        content = await self.bucket.get(call, name)
        if content is None:
            return None
        settled = row_of(content.data, SettledRow, name)
        object_row = await found_object(self.bucket, call, settled.target)
        return object_row if object_row is not None and object_row.upload_id == settled.id else None

    async def _settle(
        self, call: Call, row: UploadRow, object_row: ObjectRow, numbers: Iterable[int]
    ) -> None:
        """Record what became of the upload, then remove it; a repeated call does it again.

        Whoever replaced or deleted the object meanwhile may have looked for the record before it
        was there, so its writer looks whether the object is still the one.
        """
        record = SettledRow(key=row.key, id=row.id, target=row.target)
        await self.bucket.put(call, settled_name(row.key), msgspec.json.encode(record))
        gone = await self._all_parts(call, row, numbers)
        if object_row.replaced and object_row.replaced != object_row.upload:
            gone += await purge_settled(self.bucket, call, object_row.replaced, object_row.key)
        there = await found_object(self.bucket, call, object_row.key)
        if there is None or there.upload_id != row.id:
            gone.append(settled_name(row.key))
        await self.bucket.delete(call, [*gone, upload_name(row.key)])
        await self._sweep_late(call, row)

    async def _sweep_late(self, call: Call, row: UploadRow) -> None:
        """Remove the parts that came after all others were listed; the upload's row is gone.

        Who sends one looks for the row afterwards: of the two, whichever comes later sees it.
        """
        late = await self.parts(call, row)
        if late:
            await self.bucket.delete(call, [entry.name for entry in late.values()])

    async def abort(self, call: Call, request: requests.AbortUpload) -> answers.Gone:
        """Drop an upload and its parts, and its row last: a killed call can be repeated."""
        try:
            row = await self.find(call, request.upload)
        except Corrupt:  # of what is damaged nothing else is known to be its own
            await self.bucket.delete(call, [upload_name(request.upload)])
            return answers.Gone(key=request.upload)
        if row is None:
            await store_row(self.bucket, call)
            await self.bucket.tidy(call, upload_name(request.upload))
            return answers.Gone(key=request.upload)
        stored = await self._all_parts(call, row, await self.parts(call, row))
        await sweep_joins(self.bucket, call, object_name(row.target))
        if stored:
            await self.bucket.delete(call, stored)
        await self.bucket.delete(call, [upload_name(row.key)])
        await self._sweep_late(call, row)
        return answers.Gone(key=request.upload)


def _object_of(
    call: Call, row: UploadRow, request: requests.CompleteUpload, earlier: ObjectRow | None
) -> ObjectRow:
    """What an upload becomes, in place of what was seen under its key."""
    return ObjectRow(
        key=row.target,
        id=runtime().new_id("obj"),
        operation=call.operation,
        kind=row.kind,
        content_type=row.content_type,
        size_bytes=request.size_bytes,
        sha256=request.sha256,
        upload=row.key,
        upload_id=row.id,
        replaced=earlier.upload if earlier else "",
    )


def tag_of(data: bytes) -> str:
    """The tag of a part that was stored with these bytes."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _is(entry: Entry | None, part: PartReference) -> bool:
    return entry is not None and (entry.etag, entry.size_bytes) == (part.tag, part.size_bytes)
