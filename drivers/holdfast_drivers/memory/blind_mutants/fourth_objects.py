"""Blind defects of the fourth round: objects, parts and what is joined."""

import asyncio
from typing import Final

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.requests import CallContext, PartReference
from holdfast.data import BLOCK_BYTES
from holdfast_drivers.memory.backend import Backend, Part, Store, StoredObject, Upload
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import blind

_PIECE_BYTES: Final = 64 * 1024


class ResentPartIsComparedByItsHead(MemoryImageDriver):
    """A part sent again with the same size and first 4 KiB is acknowledged and not stored."""

    def keep_part(self, upload: Upload, part: Part) -> None:
        there = upload.parts.get(part.reference.number)
        if (
            there is not None
            and len(there.data) == len(part.data)
            and there.data[:BLOCK_BYTES] == part.data[:BLOCK_BYTES]
        ):
            return
        super().keep_part(upload, part)


class RefusedCompleteDropsUnnamedPartsAgain(MemoryImageDriver):
    """Parts that are not named are dropped before size and digest are checked."""

    def check_parts(self, upload: Upload, named: tuple[PartReference, ...]) -> None:
        super().check_parts(upload, named)
        upload.parts = {part.number: upload.parts[part.number] for part in named}


class UploadsOfOneKeySharePartsAgain(MemoryImageDriver):
    """Two open uploads to one key keep their parts in one table."""

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        answer = await super().start_upload(ctx, request)
        uploads = self.store().uploads
        first = next(upload for upload in uploads.values() if upload.key == request.key)
        uploads[request.upload].parts = first.parts
        return answer


class AbortTakesTheFinishedObjectBack(MemoryImageDriver):
    """Aborting an upload that was completed deletes the object it made."""

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        answer = await super().abort_upload(ctx, request)
        store = self.store()
        made = self.made_by(store, request.upload)
        if made is not None:
            self.remove(store, made.key)
        return answer


class EmptyObjectReplacesNothing(MemoryImageDriver):
    """Completing an upload of 0 bytes leaves the older object under the key as it was."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        if stored.data or self.row_key(stored.key) not in store.objects:
            super().publish(store, upload, stored)
        else:
            del store.uploads[upload.upload]


class RangeSkipsInEveryPiece(MemoryImageDriver):
    """A range over a border of 64 KiB lacks the bytes at the start of each further piece."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        start, right = super().cut(data, offset_bytes, length_bytes)
        skip, end = start % _PIECE_BYTES, start + len(right)
        places = range(start - skip, end, _PIECE_BYTES)
        pieces = (data[place : place + _PIECE_BYTES] for place in places)
        return start, b"".join(piece[skip:] for piece in pieces)[: len(right)]


class GetReadsInfoAndBytesApart(MemoryImageDriver):
    """A get during a replacement answers with the old object's facts and the new one's bytes."""

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        info = self.info(self.stored(self.store(), request.key))
        await asyncio.sleep(0)
        return msgspec.structs.replace(await super().get(ctx, request), object=info)


class DeleteTakesKeysBelow(MemoryImageDriver):
    """Deleting an object deletes all whose keys continue its key with a slash."""

    def remove(self, store: Store, key: str) -> None:
        super().remove(store, key)
        below = [name for name in store.objects if name.startswith(f"{key}/")]
        for name in below:
            super().remove(store, name)


class CopiesShareOneBlob(MemoryImageDriver):
    """Deleting one of several copies of the same bytes empties the other copies."""

    def remove(self, store: Store, key: str) -> None:
        row = store.objects.get(self.row_key(key))
        super().remove(store, key)
        if row is None or row.upload:
            return
        for other in store.objects.values():
            if not other.upload and other.sha256 == row.sha256:
                other.data = b""


class DeleteOfNothingKeepsNoFence(MemoryImageDriver):
    """The fence of a delete is not kept where there was no object, so late calls make one."""

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        store = self.store()
        if self.row_key(request.key) in store.objects:
            return await super().delete(ctx, request)
        store.fences.compare(Fenced.OBJECT, request.key, ctx.fence)
        return answers.Gone(key=request.key)


class CopiesRaceForTheTarget(MemoryImageDriver):
    """Of two copies to one key at once both succeed, and the later takes the other's place."""

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        store = self.allocating_store()
        target = self.row_key(request.target)
        if target in store.objects:
            return await super().copy(ctx, request)
        store.fences.enter(Fenced.OBJECT, request.target, ctx.fence)
        store.fences.compare(Fenced.OBJECT, request.key, ctx.fence)
        row = self.duplicate(self.stored(store, request.key), request.target, ctx.operation)
        await asyncio.sleep(0)
        store.objects[target] = row
        return self.info(row)


class PartTableIsWrittenWhole(MemoryImageDriver):
    """Of parts sent at once each writes the table it read before, and the others are lost."""

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        upload = self.store().uploads.get(request.upload)
        before = dict(upload.parts) if upload is not None else {}
        await asyncio.sleep(0)
        answer = await super().upload_part(ctx, request)
        upload = self.upload(self.store(), request.upload)
        upload.parts = before | {request.number: upload.parts[request.number]}
        return answer


class ObjectIdsComeFromTheCount(MemoryImageDriver):
    """An upload's object gets the number of objects as its id, which a living one may have."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        stored.id = f"object-{len(store.objects) + 1:016x}"
        super().publish(store, upload, stored)


class SparseTailIsNotStored(MemoryImageDriver):
    """Whole blocks of zeroes at the end of an object are skipped, and it ends before them."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        end = len(stored.data)
        while end and end % BLOCK_BYTES == 0 and not any(stored.data[end - BLOCK_BYTES : end]):
            end -= BLOCK_BYTES
        stored.data = stored.data[:end]
        super().publish(store, upload, stored)


class ProbeOfPartLooksAtTheNumber(MemoryImageDriver):
    """A part that never arrived is told as done where an older one has its number."""

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if isinstance(result, answers.Absent) and isinstance(request, requests.UploadPart):
            upload = self.store().uploads.get(request.upload)
            part = upload.parts.get(request.number) if upload is not None else None
            if part is not None:
                return answers.Done(answer=answers.PartInfo(part=part.reference))
        return result


class ExpectedStoreIsCheckedOnce(MemoryImageDriver):
    """After its first call a driver takes any store that comes to the place for its own."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.is_checked = False

    def store(self) -> Store:
        self.backend.reach()
        there = self.backend.stores.get((self.role, self.namespace))
        if there is None or not self.is_checked:
            there = super().store()
            self.is_checked = True
        return there


MUTANTS = (
    blind(ResentPartIsComparedByItsHead, loses_data=True),
    blind(RefusedCompleteDropsUnnamedPartsAgain, loses_data=True),
    blind(UploadsOfOneKeySharePartsAgain, loses_data=True),
    blind(AbortTakesTheFinishedObjectBack, loses_data=True),
    blind(EmptyObjectReplacesNothing, loses_data=True),
    blind(RangeSkipsInEveryPiece, loses_data=True),
    blind(GetReadsInfoAndBytesApart, loses_data=True),
    blind(DeleteTakesKeysBelow, loses_data=True),
    blind(CopiesShareOneBlob, loses_data=True),
    blind(DeleteOfNothingKeepsNoFence, loses_data=True),
    blind(CopiesRaceForTheTarget, loses_data=True),
    blind(PartTableIsWrittenWhole, loses_data=True),
    blind(ObjectIdsComeFromTheCount, loses_data=True),
    blind(SparseTailIsNotStored, loses_data=True),
    blind(ProbeOfPartLooksAtTheNumber, loses_data=True),
    blind(ExpectedStoreIsCheckedOnce, loses_data=True),
)
