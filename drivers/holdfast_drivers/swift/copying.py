"""Copies of objects: made by the server, of segments of their own, never over another object.

A copy has no row. Its segments' names follow from source and target, so that a call that is
repeated goes on where the lost one broke off; and since no row owns them, they are leftovers of the
target until its manifest is there: told of by ``enumerate``, and removed by the repeated call, or
by the next deletion or upload of the target. A copy removes its own segments only: those of another
one to the same key may be about to become the object.
"""

from collections.abc import Sequence

import msgspec

from holdfast.concurrency.fan_out import several
from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import Partial, ProbeResult
from holdfast.contract.errors import Busy, Conflict, Corrupt, DriverError, Unknown
from holdfast_drivers.copied_objects import is_alike, what_became
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.containers import Segment
from holdfast_drivers.swift.objects import Objects
from holdfast_drivers.swift.publishing import is_whole, publish
from holdfast_drivers.swift.rows import ObjectRow, copies_of, group_of, object_name
from holdfast_drivers.swift.store import Store


class Copies:
    """Copies inside one store."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self.store = store
        self.objects = objects

    async def copy(self, call: Call, request: requests.CopyObject) -> answers.ObjectInfo:
        """Copy an object to a key where there is none, or the same already."""
        source = await self.objects.get_row(call, request.key)
        there = await self.objects.find(call, request.target)
        copy = _copy_of(source, request.target, call.operation)
        if there is None:
            await self.store.allocating(call)
            own = await self._make(call, source, copy)
            # Swift looks whether an object is there and then writes: of two who write at that
            # moment, both are told that they made it.
            there = await self.objects.find(call, request.target)
            if there is not None and there.id == copy.id:
                await self._confirm(call, copy, own)
                return copy.info()
        await self._withdraw(call, copy, there)
        if there is None:
            raise Unknown("the target was made and removed at once", object=request.target)
        if not is_alike(source, there):
            raise Conflict("the target is another object", object=request.target)
        return there.info()

    async def _confirm(self, call: Call, copy: ObjectRow, own: Sequence[Segment]) -> None:
        """See that all is there of what was made visible: who deletes the target removes what was
        copied for it, maybe after the server looked at it and before it stored the manifest.
        """
        if await is_whole(call, self.store, own):
            return
        there = await self.objects.find(call, copy.key)
        if there is not None and there.id == copy.id:
            await self.store.objects.delete(call, object_name(copy.key))
        await self._withdraw(call, copy, None)
        raise Busy("the target was deleted while it was made; try again", object=copy.key)

    async def _make(self, call: Call, source: ObjectRow, copy: ObjectRow) -> list[Segment]:
        """Copy what the source is made of, and make the copy visible if nothing is there."""
        pieces = await self.store.objects.joined(call, object_name(source.key))
        if sum(piece.size_bytes for piece in pieces) != source.size_bytes:
            raise Busy("the source was replaced while it was copied; try again")
        stored = {
            entry.name: entry for entry in await self.store.segments.all(call, copy.folder) or []
        }

        async def copied(numbered: tuple[int, Segment]) -> Segment:
            number, piece = numbered
            name = f"{copy.folder}{number:06}"
            there = stored.get(name)
            if there is None or (there.etag, there.size_bytes) != (piece.etag, piece.size_bytes):
                etag = await self.store.segments.copy(
                    call, self.store.segments.name_at(piece.path), name
                )
                if etag != piece.etag:
                    raise _lost(source, etag)
            path = f"/{self.store.segments.plain_path(name)}"
            return msgspec.structs.replace(piece, path=path)

        try:
            own = await several(list(enumerate(pieces, 1)), copied)
            await publish(call, self.store, copy, own, new=True)
        except (Busy, Corrupt):
            await self._withdraw(call, copy, await self.objects.find(call, copy.key))
            raise
        return own

    async def _withdraw(self, call: Call, copy: ObjectRow, there: ObjectRow | None) -> None:
        """Remove what was copied, unless it is what is there."""
        if there is None or there.group != copy.group:
            entries = await self.store.segments.all(call, copy.folder) or []
            if entries:
                await self.store.segments.delete_all(call, [entry.name for entry in entries])
        call.changed = False

    async def probe(self, call: Call, request: requests.CopyObject) -> ProbeResult:
        """What became of a copy whose answer was lost."""
        source = await self.objects.find(call, request.key)
        there = await self.objects.find(call, request.target)
        known = _copy_of(source, request.target, "").folder if source else copies_of(request.target)
        names = [
            entry.name
            for entry in await self.store.segments.all(call, known) or []
            if there is None or group_of(entry.name) != there.group
        ]
        if names:
            return Partial(names=tuple(names))
        return what_became(source, there, call.operation)


def _copy_of(source: ObjectRow, key: str, operation: str) -> ObjectRow:
    """The same in all but name: a copy is no upload."""
    return msgspec.structs.replace(
        source,
        key=key,
        id=runtime().new_id("obj"),
        operation=operation,
        upload="",
        upload_id=source.id,
        replaced="",
    )


def _lost(source: ObjectRow, etag: str | None) -> DriverError:
    if etag is None:
        return Busy("the source was replaced or deleted while it was copied; try again")
    return Corrupt("a part of the source is not what was stored", object=source.key)
