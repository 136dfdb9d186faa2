"""Blind defects of the sixth round: parts, joins, copies and ranges."""

import asyncio
import re
from dataclasses import replace
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

from holdfast.contract import answers, requests
from holdfast.contract.errors import Busy, NotFound, Unavailable
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Store, StoredObject, Upload
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import blind

_POOL_CONNECTIONS: Final = 10


class PartsAreJoinedAsText(MemoryImageDriver):
    """Parts are files named by their numbers without leading zeroes, and the server joins them in
    the order of its listing, so that part 10 comes before part 2; only the stream was checked.
    """

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        upload = self.store().uploads.get(request.upload)
        answer = await super().complete_upload(ctx, request)
        if upload is not None:
            numbers = sorted(str(part.number) for part in request.parts)
            row = self.stored(self.store(), upload.key)
            row.data = b"".join(upload.parts[int(number)].data for number in numbers)
        return answer


class StagingIsNamedByTheKey(MemoryImageDriver):
    """A completion joins its parts in a staging file that is named after the object's key, so that
    two uploads completed to one key at once write into the same file.
    """

    staging: ClassVar[WeakKeyDictionary[Backend, dict[str, bytes]]] = WeakKeyDictionary()

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        upload = store.uploads.get(request.upload)
        if upload is None or any(part.number not in upload.parts for part in request.parts):
            return await super().complete_upload(ctx, request)
        staged = self.staging.setdefault(self.backend, {})
        file = f"{self.namespace}/{upload.key}"
        staged[file] = b""
        for number in sorted(part.number for part in request.parts):
            await asyncio.sleep(0)
            staged[file] += upload.parts[number].data
        answer = await super().complete_upload(ctx, request)
        row = self.made_by(store, request.upload)
        if row is not None:
            row.data = staged[file]
        return answer


class AbortTakesThePartsItSaw(MemoryImageDriver):
    """An abort removes the part files it saw when it began, although a completion at the same time
    has made an object of them, whose record of the upload is removed a moment later.
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        super().publish(store, upload, stored)
        store.uploads[upload.upload] = upload

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        answer = await super().complete_upload(ctx, request)
        await asyncio.sleep(0)
        store.uploads.pop(request.upload, None)
        return answer

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        store = self.store()
        was_open = request.upload in store.uploads
        await asyncio.sleep(0)
        answer = await super().abort_upload(ctx, request)
        row = self.made_by(store, request.upload)
        if was_open and row is not None:
            row.data = b""
        return answer


class AbortTakesTheObjectToo(MemoryImageDriver):
    """The object is a manifest of the upload's segments, as in Swift, and an abort that comes after
    the completion removes all segments under the upload's name, which are the object.
    """

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        answer = await super().abort_upload(ctx, request)
        row = self.made_by(self.store(), request.upload)
        if row is not None:
            row.data = b""
        return answer


class CompletionIsPlayedAgain(MemoryImageDriver):
    """A repeated completion finds its upload gone and publishes the object that it remembers once
    more, whatever was put under the key, or deleted there, since then.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._completed: dict[str, StoredObject] = {}

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        try:
            answer = await super().complete_upload(ctx, request)
        except NotFound:
            row = self._completed.get(request.upload)
            if row is None:
                raise
            store.objects.pop(self.row_key(row.key), None)
            store.objects[self.row_key(row.key)] = row
            return self.info(row)
        self._completed[request.upload] = self.stored(store, answer.key)
        return answer


class PartWritesTheUploadBack(MemoryImageDriver):
    """Sending a part ends by writing the upload's record back as it was read at the beginning, so
    that an upload which was aborted or completed meanwhile is there again.
    """

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        store = self.store()
        upload = store.uploads.get(request.upload)
        answer = await super().upload_part(ctx, request)
        await asyncio.sleep(0)
        if upload is not None:
            store.uploads.setdefault(request.upload, upload)
        return answer


class UnnamedPartsStay(MemoryImageDriver):
    """A completion removes from the upload's folder the parts that it joined and then the folder if
    it is empty, so that parts which were sent and not named keep the upload open for ever.
    """

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        upload = store.uploads.get(request.upload)
        answer = await super().complete_upload(ctx, request)
        if upload is not None:
            named = {part.number for part in request.parts}
            rest = {number: part for number, part in upload.parts.items() if number not in named}
            if rest:
                store.uploads[request.upload] = replace(upload, parts=rest)
        return answer


class LockStaysAfterARefusal(MemoryImageDriver):
    """A completion takes the upload's lock and gives it back at its regular end only, so that after
    a refused one (a wrong digest, a missing part) every other is ``Busy``.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._locked: set[str] = set()

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        if request.upload in self._locked:
            raise Busy("another completion of the upload is under way", object=request.upload)
        self._locked.add(request.upload)
        answer = await super().complete_upload(ctx, request)
        self._locked.discard(request.upload)
        return answer


class SliceEndsAtZero(MemoryImageDriver):
    """A range from the end with a length is cut as ``data[offset:offset + length]``, which is empty
    where it reaches the end exactly and wrong where it would go past it.
    """

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        start, right = super().cut(data, offset_bytes, length_bytes)
        if offset_bytes >= 0 or length_bytes is None:
            return start, right
        return start, data[offset_bytes : offset_bytes + length_bytes]


class CacheTrustsTheSize(MemoryImageDriver):
    """The bytes of objects that were read are cached by key, and what is cached is taken for fresh
    where the object has still the same size.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._cache: dict[str, bytes] = {}

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        answer = await super().get(ctx, request)
        cached = self._cache.get(request.key)
        if cached is None or len(cached) != answer.object.size_bytes:
            cached = self.stored(self.store(), request.key).data
            self._cache[request.key] = cached
        start, data = self.cut(cached, request.offset_bytes, request.length_bytes)
        return answers.ObjectData(object=answer.object, offset_bytes=start, data=data)


class SlashesAreMerged(MemoryImageDriver):
    """A proxy before the store merges slashes in paths (nginx does so unless told not to), so that
    keys which differ in the number of slashes are one object.
    """

    def row_key(self, key: str) -> str:
        return re.sub("/+", "/", key)

    def stored(self, store: Store, key: str) -> StoredObject:
        return replace(super().stored(store, key), key=key)


class DeleteRemovesWhatIsBelow(MemoryImageDriver):
    """Keys are paths in a folder and a delete is ``rm -rf``, so that deleting ``a`` (there or not)
    also deletes ``a/b`` and everything else below it.
    """

    def remove(self, store: Store, key: str) -> None:
        super().remove(store, key)
        for below in [name for name in store.objects if name.startswith(f"{key}/")]:
            del store.objects[below]


class FencesOfTheInstance(MemoryImageDriver):
    """The fences that deletes are compared with are kept in the driver's memory, so that a driver
    that was opened again, or a second one on the same store, takes a late delete.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._fences = Fences()

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        upload = self.store().uploads.get(request.upload)
        if upload is not None:
            self._fences.enter(Fenced.OBJECT, upload.key, ctx.fence)
        return await super().complete_upload(ctx, request)

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        self._fences.enter(Fenced.OBJECT, request.target, ctx.fence)
        self._fences.compare(Fenced.OBJECT, request.key, ctx.fence)
        return await super().copy(ctx, request)

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        store = self.store()
        self._fences.enter(Fenced.OBJECT, request.key, ctx.fence)
        self.remove(store, request.key)
        return answers.Gone(key=request.key)


class DeleteBelievesInSilence(MemoryImageDriver):
    """A delete takes any failure to reach the server for "there is no such object" and says that
    the object is gone.
    """

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        try:
            return await super().delete(ctx, request)
        except Unavailable:
            return answers.Gone(key=request.key)


class MissesUseUpThePool(MemoryImageDriver):
    """A look at an object that is absent never reads the body of the answer 404 and so keeps its
    connection; when the ten of the pool are gone, no object can be looked at any more.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._lost_connections = 0

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> answers.ObjectInfo:
        self._connect()
        try:
            return await super().head(ctx, request)
        except NotFound:
            self._lost_connections += 1
            raise

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        self._connect()
        try:
            return await super().get(ctx, request)
        except NotFound:
            self._lost_connections += 1
            raise

    def _connect(self) -> None:
        if self._lost_connections >= _POOL_CONNECTIONS:
            raise Unavailable(f"no one of {_POOL_CONNECTIONS} connections is free")


MUTANTS = (
    blind(PartsAreJoinedAsText, loses_data=True),
    blind(StagingIsNamedByTheKey, loses_data=True),
    blind(AbortTakesThePartsItSaw, loses_data=True),
    blind(AbortTakesTheObjectToo, loses_data=True),
    blind(CompletionIsPlayedAgain, loses_data=True),
    blind(PartWritesTheUploadBack, loses_data=False),
    blind(UnnamedPartsStay, loses_data=False),
    blind(LockStaysAfterARefusal, loses_data=False),
    blind(SliceEndsAtZero, loses_data=True),
    blind(CacheTrustsTheSize, loses_data=True),
    blind(SlashesAreMerged, loses_data=True),
    blind(DeleteRemovesWhatIsBelow, loses_data=True),
    blind(FencesOfTheInstance, loses_data=True),
    blind(DeleteBelievesInSilence, loses_data=False),
    blind(MissesUseUpThePool, loses_data=False),
)
