"""Blind defects of the ninth round: parts, completions and bytes of objects."""

from dataclasses import replace
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.errors import NotFound
from holdfast.contract.requests import CallContext, PartReference
from holdfast_drivers.memory.backend import (
    Backend,
    Part,
    Store,
    StoredObject,
    Upload,
)
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import blind

_BLOCK_BYTES: Final = 4096


_ZERO_BLOCK: Final = bytes(_BLOCK_BYTES)


Place = tuple[str, str]
"""A store's id, and a key in it."""


class UnnamedPartsPrunedBeforeCheck(MemoryImageDriver):
    """A completion drops the parts it does not name before it checks those it names.

    After an ``Invalid`` one the upload is open, but acknowledged parts of it are gone.
    """

    def check_parts(self, upload: Upload, named: tuple[PartReference, ...]) -> None:
        for number in set(upload.parts) - {part.number for part in named}:
            del upload.parts[number]
        super().check_parts(upload, named)


class AbortedSpoolOutlivesRestart(MemoryImageDriver):
    """The spool of an aborted upload is kept, and a part of equal number and size is found in it.

    Of an upload started again under an aborted one's key, parts have the aborted one's bytes.
    """

    _spools: ClassVar[WeakKeyDictionary[Backend, dict[Place, dict[int, Part]]]] = (
        WeakKeyDictionary()
    )

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        store = self.store()
        upload = store.uploads.get(request.upload)
        answer = await super().abort_upload(ctx, request)
        if upload is not None:
            spools = self._spools.setdefault(self.backend, {})
            spools[store.id, request.upload] = upload.parts
        return answer

    def keep_part(self, upload: Upload, part: Part) -> None:
        spools = self._spools.setdefault(self.backend, {})
        spool = spools.get((self.store().id, upload.upload), {})
        there = spool.get(part.reference.number)
        if there is not None and len(there.data) == len(part.data):
            part = Part(part.reference, there.data)
        super().keep_part(upload, part)


class HighestPartSlotIsScratch(MemoryImageDriver):
    """The slot of part ``parts_max`` is also the scratch slot of whatever is received next.

    The highest part is lost where any other part is sent after it.
    """

    def keep_part(self, upload: Upload, part: Part) -> None:
        highest = IMAGE_CAPABILITIES.upload.parts_max
        if part.reference.number != highest:
            upload.parts.pop(highest, None)
        super().keep_part(upload, part)


class NewestPartWrittenBehind(MemoryImageDriver):
    """The newest part stays in the driver until its next call, though it was acknowledged.

    Closed or crashed after it, the driver takes the part with it: another one completes without.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._behind: tuple[Upload, Part] | None = None

    def store(self) -> Store:
        store = super().store()
        if self._behind is not None:
            super().keep_part(*self._behind)
            self._behind = None
        return store

    def keep_part(self, upload: Upload, part: Part) -> None:
        self._behind = upload, part


class PartFencesInTheInstance(MemoryImageDriver):
    """The fences of parts are kept by the driver instance and not by the store.

    A late part sent through another instance replaces a newer one with older bytes.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._parts_seen = Fences()

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        store = self.store()
        part = f"{request.upload}/{request.number}"
        store.fences.compare(Fenced.UPLOAD, request.upload, ctx.fence)
        store.fences.compare(Fenced.PART, part, ctx.fence)
        self._parts_seen.enter(Fenced.PART, f"{store.id}/{part}", ctx.fence)
        return await super().upload_part(msgspec.structs.replace(ctx, fence=0), request)


class AbortByPrefix(MemoryImageDriver):
    """An abort removes everything whose name starts with the upload's key, as a listing gives it.

    Aborting ``u1`` drops the open upload ``u10`` with its acknowledged parts.
    """

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        answer = await super().abort_upload(ctx, request)
        uploads = self.store().uploads
        for key in [key for key in uploads if key.startswith(request.upload)]:
            del uploads[key]
        return answer


class AbortedSecondUseUnmakesTheFirst(MemoryImageDriver):
    """Aborting an open upload also removes what was made under its key, even by an earlier use.

    An object is gone when the key of the upload that made it is used again and that is aborted.
    """

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        store = self.store()
        was_open = request.upload in store.uploads
        answer = await super().abort_upload(ctx, request)
        row = self.made_by(store, request.upload)
        if was_open and row is not None:
            self.remove(store, row.key)
        return answer


class SparseTailForgotten(MemoryImageDriver):
    """Blocks of zeroes at the end of an object are not written, and its length is not set after.

    An object that ends with 4 KiB of zeroes or more loses them after it was acknowledged.
    """

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        was_open = request.upload in store.uploads
        answer = await super().complete_upload(ctx, request)
        if was_open:
            row = self.stored(store, answer.key)
            row.data = _without_zero_tail(row.data)
        return answer


def _without_zero_tail(data: bytes) -> bytes:
    while data.endswith(_ZERO_BLOCK):
        data = data[:-_BLOCK_BYTES]
    return data


class LaterStartWins(MemoryImageDriver):
    """Of two uploads to one key the one that was started later counts, not the one completed later.

    The later completion is acknowledged and dropped: the older object stays under the key.
    """

    _starts: ClassVar[WeakKeyDictionary[Backend, dict[str, int]]] = WeakKeyDictionary()

    @property
    def starts(self) -> dict[str, int]:
        """When each upload, or the upload of each object, was started, by its id."""
        return self._starts.setdefault(self.backend, {})

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        answer = await super().start_upload(ctx, request)
        upload = self.upload(self.store(), request.upload)
        self.starts.setdefault(upload.id, len(self.starts))
        return answer

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        started = self.starts.get(upload.id, 0)
        there = store.objects.get(self.row_key(stored.key))
        if there is not None and self.starts.get(there.id, -1) > started:
            del store.uploads[upload.upload]
            return
        self.starts[stored.id] = started
        super().publish(store, upload, stored)


class LateRepeatBringsOldBack(MemoryImageDriver):
    """A completion repeated after another upload replaced its object is carried out once more.

    The replaced bytes are back under the key, and those of the newer upload are gone.
    """

    _made: ClassVar[WeakKeyDictionary[Backend, dict[Place, StoredObject]]] = WeakKeyDictionary()

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        super().publish(store, upload, stored)
        self._made.setdefault(self.backend, {})[store.id, upload.upload] = stored

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        try:
            return await super().complete_upload(ctx, request)
        except NotFound:
            store = self.store()
            made = self._made.setdefault(self.backend, {}).get((store.id, request.upload))
            if made is None or made.sha256 != request.sha256 or made.key not in store.objects:
                raise
            store.objects[made.key] = made
            return self.info(made)


class ReplacingWithItselfFreesTheBlob(MemoryImageDriver):
    """Bytes are kept once per digest; a replaced object's are freed after the new row is written.

    An object replaced with equal bytes, which no other object has, loses them.
    """

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        upload = store.uploads.get(request.upload)
        old = store.objects.get(upload.key) if upload else None
        answer = await super().complete_upload(ctx, request)
        users = [row for row in store.objects.values() if row.sha256 == request.sha256]
        if old is not None and old.sha256 == request.sha256 and len(users) == 1:
            users[0].data = b""
        return answer


class SameBytesKeepOldMetadata(MemoryImageDriver):
    """A completion that finds its bytes under the key already does not write kind and type.

    The object answers with the kind and content type of the one it replaced.
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        old = store.objects.get(self.row_key(stored.key))
        if old is not None and old.sha256 == stored.sha256:
            stored = replace(stored, kind=old.kind, content_type=old.content_type)
        super().publish(store, upload, stored)


class RangeReadAheadKeptByKey(MemoryImageDriver):
    """Ranges come from a read-ahead buffer kept by key and size, which only own changes drop.

    Ranges of an object that another driver replaced with one of equal size give its old bytes.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._ahead: dict[str, bytes] = {}

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        answer = await super().get(ctx, request)
        if request.length_bytes is None:
            return answer
        held = self._ahead.get(request.key)
        if held is None or len(held) != answer.object.size_bytes:
            held = self._ahead[request.key] = self.stored(self.store(), request.key).data
        start, data = self.cut(held, request.offset_bytes, request.length_bytes)
        return msgspec.structs.replace(answer, offset_bytes=start, data=data)

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        self._ahead.pop(stored.key, None)
        super().publish(store, upload, stored)

    def remove(self, store: Store, key: str) -> None:
        self._ahead.pop(key, None)
        super().remove(store, key)


class HandleBytesCachedByKey(Backend):
    """What is read through handles of objects is cached by key and size instead of by id.

    A new handle of a replaced object of equal size reads the bytes of the one before.
    """

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self._read: dict[tuple[str, int], Content] = {}

    def object_behind(self, token: str, *, write: bool) -> Content:
        content = super().object_behind(token, write=write)
        _, _, key = token.split(":", 2)
        return self._read.setdefault((key, content.size_bytes), content)


class AddressPlusIsSpace(Backend):
    """The server of temporary addresses takes a plus in a path for a space, as in a form.

    The address of ``a+b`` gives the bytes of ``a b``, or nothing where there is no such object.
    """

    def served(self, method: str, namespace: str, key: str) -> bytes | None:
        return super().served(method, namespace, key.replace("+", " "))


class FolderMarkerSwept(MemoryImageDriver):
    """Deleting the last object of a folder removes the folder, also where that is an object.

    After ``a/b`` was deleted, an object with the key ``a/`` is gone too.
    """

    def remove(self, store: Store, key: str) -> None:
        super().remove(store, key)
        head, slash, name = key.rpartition("/")
        folder = f"{head}{slash}"
        inside = any(other.startswith(folder) and other != folder for other in store.objects)
        if slash and name and not inside:
            super().remove(store, folder)


MUTANTS = (
    blind(UnnamedPartsPrunedBeforeCheck, loses_data=True),
    blind(AbortedSpoolOutlivesRestart, loses_data=True),
    blind(HighestPartSlotIsScratch, loses_data=True),
    blind(NewestPartWrittenBehind, loses_data=True),
    blind(PartFencesInTheInstance, loses_data=True),
    blind(AbortByPrefix, loses_data=True),
    blind(AbortedSecondUseUnmakesTheFirst, loses_data=True),
    blind(SparseTailForgotten, loses_data=True),
    blind(LaterStartWins, loses_data=True),
    blind(LateRepeatBringsOldBack, loses_data=True),
    blind(ReplacingWithItselfFreesTheBlob, loses_data=True),
    blind(SameBytesKeepOldMetadata, loses_data=False),
    blind(RangeReadAheadKeptByKey, loses_data=True),
    blind(HandleBytesCachedByKey, loses_data=True),
    blind(AddressPlusIsSpace, loses_data=True),
    blind(FolderMarkerSwept, loses_data=True),
)
