"""Blind defects of the fifth round: parts, ranges, copies and what is kept."""

import asyncio
import re
from typing import Final

from holdfast.contract import answers, requests
from holdfast.contract.errors import Conflict
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Part, Store, StoredObject, Upload
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import blind

_ROUND_TRIP_S: Final = 0.001


_BUFFER_BYTES: Final = 64 * 1024


class AbortDropsEqualPartsElsewhere(MemoryImageDriver):
    """Parts are stored by content without counting, and an abort drops them for all."""

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        store = self.store()
        aborted = store.uploads.get(request.upload)
        gone = await super().abort_upload(ctx, request)
        tags = {part.reference.tag for part in aborted.parts.values()} if aborted else set[str]()
        for upload in store.uploads.values():
            for number, part in list(upload.parts.items()):
                if part.reference.tag in tags:
                    del upload.parts[number]
        return gone


class LargestPartIsStoredEmpty(MemoryImageDriver):
    """A part's length is kept in 16 bits, so that 64 KiB become none."""

    def keep_part(self, upload: Upload, part: Part) -> None:
        super().keep_part(upload, Part(part.reference, part.data[: len(part.data) & 0xFFFF]))


class PartsAreKeptUnderTheObjectsKey(MemoryImageDriver):
    """Two open uploads for one object's key keep their parts in one table."""

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        info = await super().start_upload(ctx, request)
        uploads = self.store().uploads
        first = next(upload for upload in uploads.values() if upload.key == request.key)
        uploads[request.upload].parts = first.parts
        return info


class UnnamedPartsKeepTheUpload(MemoryImageDriver):
    """Completing removes the parts it joined, and the upload only where none is left."""

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        uploads = self.store().uploads
        upload = uploads.get(request.upload)
        info = await super().complete_upload(ctx, request)
        if upload is not None:
            for part in request.parts:
                upload.parts.pop(part.number, None)
            if upload.parts:
                uploads[request.upload] = upload
        return info


class AbortedPartsComeBackAnew(MemoryImageDriver):
    """An abort leaves the parts, and a new upload under the same upload key has them."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._left: dict[str, dict[int, Part]] = {}

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        upload = self.store().uploads.get(request.upload)
        gone = await super().abort_upload(ctx, request)
        if upload is not None:
            self._left[request.upload] = upload.parts
        return gone

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        info = await super().start_upload(ctx, request)
        self.store().uploads[request.upload].parts.update(self._left.pop(request.upload, {}))
        return info


class ConflictingStartMovesTheUpload(MemoryImageDriver):
    """A start that is refused as a conflict has written its arguments already."""

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        try:
            return await super().start_upload(ctx, request)
        except Conflict:
            upload = self.upload(self.store(), request.upload)
            upload.key, upload.kind = request.key, request.kind
            upload.content_type = request.content_type
            raise


class RangesEndAtTheReadBuffer(MemoryImageDriver):
    """A range gives what one read gave, at most a buffer of 64 KiB."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        start, found = super().cut(data, offset_bytes, length_bytes)
        whole = not offset_bytes and length_bytes is None
        return start, found if whole else found[:_BUFFER_BYTES]


class CopyOntoItselfEmptiesTheObject(MemoryImageDriver):
    """A copy truncates its target before it reads its source, which may be the same."""

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        info = await super().copy(ctx, request)
        store = self.store()
        target = self.stored(store, request.target)
        target.data = b""
        target.data = self.stored(store, request.key).data
        return info


class ReplacementKeepsTheId(MemoryImageDriver):
    """An object that replaces another takes over its id, and with it its handles."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        before = store.objects.get(self.row_key(stored.key))
        if before is not None:
            stored.id = before.id
        super().publish(store, upload, stored)


class DoubledSlashesNameOneObject(MemoryImageDriver):
    """Slashes that follow each other in a key are taken for one, as in a path."""

    def row_key(self, key: str) -> str:
        return re.sub("/+", "/", key)


class StoreIsLookedUpOnce(MemoryImageDriver):
    """The store found by the first call is used on after its place became another."""

    _found: Store | None = None

    def store(self) -> Store:
        self.backend.reach()
        if self._found is None:
            self._found = super().store()
        return self._found


class AbsentDeleteKeepsNoFence(MemoryImageDriver):
    """Deleting what is absent returns before its fence is kept."""

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        if self.row_key(request.key) not in self.store().objects:
            return answers.Gone(key=request.key)
        return await super().delete(ctx, request)


class ProbeOfCompleteLooksForTheDigest(MemoryImageDriver):
    """A lost completion counts as done where any object has the digest."""

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if isinstance(request, requests.CompleteUpload) and isinstance(result, answers.Absent):
            for row in self.store().objects.values():
                if row.sha256 == request.sha256:
                    return answers.Done(answer=self.info(row))
        return result


class CopyOverwritesWhatCameMeanwhile(MemoryImageDriver):
    """A copy looks whether its target is free, and writes a round trip later."""

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        store = self.store()
        target = self.row_key(request.target)
        if target in store.objects:
            return await super().copy(ctx, request)
        info = await super().copy(ctx, request)
        row = store.objects.pop(target)
        await asyncio.sleep(_ROUND_TRIP_S)
        store.objects[target] = row
        return info


class GetMixesTwoObjects(MemoryImageDriver):
    """A read asks for the properties first and for the bytes a round trip later."""

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        info = await self.head(ctx, requests.HeadObject(key=request.key))
        await asyncio.sleep(_ROUND_TRIP_S)
        answer = await super().get(ctx, request)
        return answers.ObjectData(object=info, offset_bytes=answer.offset_bytes, data=answer.data)


MUTANTS = (
    blind(AbortDropsEqualPartsElsewhere, loses_data=True),
    blind(LargestPartIsStoredEmpty, loses_data=True),
    blind(PartsAreKeptUnderTheObjectsKey, loses_data=True),
    blind(UnnamedPartsKeepTheUpload, loses_data=True),
    blind(AbortedPartsComeBackAnew, loses_data=True),
    blind(ConflictingStartMovesTheUpload, loses_data=True),
    blind(RangesEndAtTheReadBuffer, loses_data=True),
    blind(CopyOntoItselfEmptiesTheObject, loses_data=True),
    blind(ReplacementKeepsTheId, loses_data=True),
    blind(DoubledSlashesNameOneObject, loses_data=True),
    blind(StoreIsLookedUpOnce, loses_data=True),
    blind(AbsentDeleteKeepsNoFence, loses_data=True),
    blind(ProbeOfCompleteLooksForTheDigest, loses_data=True),
    blind(CopyOverwritesWhatCameMeanwhile, loses_data=True),
    blind(GetMixesTwoObjects, loses_data=True),
)
