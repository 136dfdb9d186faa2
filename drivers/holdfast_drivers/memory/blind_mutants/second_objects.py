"""Blind defects of the second round: what objects and uploads hold."""

import asyncio
import posixpath
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote
from weakref import WeakKeyDictionary

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.errors import NotFound
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Store, StoredObject, Upload
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fences
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind

STRIPE_BYTES = 64 * 1024
BLOCK_BYTES = 4096


class UploadsOfOneKeyShareParts(MemoryImageDriver):
    """Parts are staged by object key and number, so two uploads open for one key overwrite each
    other's parts.
    """

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        done = await super().upload_part(ctx, request)
        uploads = self.store().uploads
        for other in uploads.values():
            if other.key == uploads[request.upload].key and request.number in other.parts:
                other.parts[request.number].data = request.data
        return done


class ReadsCachedPerDriver(MemoryImageDriver):
    """A driver caches each object it has read and drops it only at its own changes, so another
    driver's stay unseen.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.cache: dict[str, StoredObject] = {}

    def stored(self, store: Store, key: str) -> StoredObject:
        if key not in self.cache:
            self.cache[key] = super().stored(store, key)
        return self.cache[key]

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        self.cache.pop(stored.key, None)
        super().publish(store, upload, stored)

    def remove(self, store: Store, key: str) -> None:
        self.cache.pop(key, None)
        super().remove(store, key)


class HandleTailReadsZeroes(Backend):
    """Through its handle the last, incomplete block of an object larger than one block reads as
    zeroes.
    """

    def object_behind(self, token: str, *, write: bool) -> Content:
        content = super().object_behind(token, write=write)
        if content.size_bytes > BLOCK_BYTES and content.size_bytes % BLOCK_BYTES:
            content.blocks.pop(content.size_bytes // BLOCK_BYTES, None)
        return content


class EqualContentFreedTogether(MemoryImageDriver):
    """Equal contents are stored once without counting users: deleting one object frees the bytes of
    all its equals.
    """

    def remove(self, store: Store, key: str) -> None:
        row = store.objects.get(key)
        super().remove(store, key)
        for other in store.objects.values():
            if row is not None and other.sha256 == row.sha256:
                other.data = bytes(len(other.data))


class CopyFollowsItsSourceToo(MemoryImageDriver):
    """A copy is a link: when its source is replaced by a new upload, the copy reads the new content
    too.
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        old = store.objects.get(stored.key)
        links = [
            row
            for row in store.objects.values()
            if old is not None and row is not old and not row.upload and self.alike(old, row)
        ]
        super().publish(store, upload, stored)
        for row in links:
            row.data, row.sha256 = stored.data, stored.sha256


class CopyTakesSameSizeForSame(MemoryImageDriver):
    """A copy whose target holds an object of equal size and kind is acknowledged without comparing
    the bytes.
    """

    def alike(self, source: StoredObject, there: StoredObject) -> bool:
        return (source.kind, source.content_type, len(source.data)) == (
            there.kind,
            there.content_type,
            len(there.data),
        )


class AbortOfFinishedUploadDeletesObject(MemoryImageDriver):
    """Aborting an upload that was completed already cleans up after it, and takes the object it
    made along.
    """

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        store = self.store()
        row = self.made_by(store, request.upload)
        gone = await super().abort_upload(ctx, request)
        if row is not None:
            self.remove(store, row.key)
        return gone


class DeleteRevealsPreviousVersion(MemoryImageDriver):
    """In a bucket with versions a delete removes the newest version only, so the replaced content
    is back.
    """

    versions: ClassVar[WeakKeyDictionary[Backend, dict[tuple[str, str], StoredObject]]] = (
        WeakKeyDictionary()
    )

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        old = store.objects.get(stored.key)
        if old is not None:
            self.versions.setdefault(self.backend, {})[store.id, stored.key] = old
        super().publish(store, upload, stored)

    def remove(self, store: Store, key: str) -> None:
        super().remove(store, key)
        old = self.versions.get(self.backend, {}).pop((store.id, key), None)
        if old is not None:
            store.objects[key] = old


class RepeatedCompletePublishesAgain(MemoryImageDriver):
    """Completing an upload again publishes its content again, also over a newer object that
    replaced it meanwhile.
    """

    finished: ClassVar[WeakKeyDictionary[Backend, dict[tuple[str, str], Upload]]] = (
        WeakKeyDictionary()
    )

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        self.finished.setdefault(self.backend, {})[store.id, upload.upload] = upload
        super().publish(store, upload, stored)

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        done = self.finished.get(self.backend, {}).get((store.id, request.upload))
        if done is not None and self.made_by(store, request.upload) is None:
            store.uploads.setdefault(request.upload, done)
        return await super().complete_upload(ctx, request)


class ShorterReplacementKeepsOldTail(MemoryImageDriver):
    """A replacement is written in place and never cut: a shorter one is followed by the tail of the
    old content.
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        old = store.objects.get(stored.key)
        if old is not None and len(old.data) > len(stored.data):
            stored = replace(stored, data=stored.data + old.data[len(stored.data) :])
            stored.sha256 = stored.true_sha256()
        super().publish(store, upload, stored)


class IndexLosesConcurrentObject(MemoryImageDriver):
    """The index of objects is read, changed and written back whole: of two uploads completed at
    once one is lost.
    """

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        objects = self.store().objects
        index = dict(objects)
        await asyncio.sleep(0.02)
        done = await super().complete_upload(ctx, request)
        index[done.key] = objects[done.key]
        objects.clear()
        objects.update(index)
        return done


class IdleUploadExpires(MemoryImageDriver):
    """An upload that its driver has not heard of for a second is swept with its parts."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.touched: dict[str, float] = {}

    def upload(self, store: Store, key: str) -> Upload:
        upload = super().upload(store, key)
        now = asyncio.get_running_loop().time()
        if now - self.touched.setdefault(upload.id, now) > 1.0:
            del store.uploads[key]
            raise NotFound("the upload has expired", object=key)
        self.touched[upload.id] = now
        return upload


class RangeCutAtStripeEnd(MemoryImageDriver):
    """A range that crosses a border of 64 KiB stripes silently ends at that border."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        start, piece = super().cut(data, offset_bytes, length_bytes)
        if length_bytes is not None:
            piece = piece[: STRIPE_BYTES - start % STRIPE_BYTES]
        return start, piece


class KeysResolvedAsPaths(MemoryImageDriver):
    """Keys are resolved as paths, so that ``a//b``, ``a/b/`` and ``a/./b`` are one object with
    ``a/b``.
    """

    def row_key(self, key: str) -> str:
        return posixpath.normpath(key)


class FencesOfEachDriver(MemoryImageDriver):
    """Each driver remembers the fences it has seen itself, so a late call through another one still
    acts.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.fences = Fences()

    def store(self) -> Store:
        store = super().store()
        store.fences = self.fences
        return store


class AddressOfPercentKeyGivesOther(Backend):
    """A key's percent signs are not quoted in its address, so that of ``a%2Fb`` gives the object
    ``a/b``.
    """

    def address_path(self, namespace: str, key: str) -> str:
        return f"/{quote(namespace, safe='')}/{quote(key, safe='%')}"


class PlaceCheckedOnlyOnce(MemoryImageDriver):
    """The place is compared with the expected store at the first call only, so later calls act on
    another store.
    """

    checked = False

    def store(self) -> Store:
        self.backend.reach()
        found = self.backend.stores.get((self.role, self.namespace))
        if self.checked and found is not None:
            return found
        found = super().store()
        self.checked = True
        return found


class ReadTornByReplacement(MemoryImageDriver):
    """A read takes the description first and the bytes later: while it is replaced, old and new are
    mixed.
    """

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        described = self.info(self.stored(self.store(), request.key))
        await asyncio.sleep(0.02)
        read = await super().get(ctx, request)
        return msgspec.structs.replace(read, object=described)


class DeleteStoreIgnoresOpenUploads(MemoryLifeCycle):
    """Deleting a store looks for objects only, and takes open uploads with their acknowledged parts
    along.
    """

    def holders(self, store: Store) -> tuple[str, ...]:
        return tuple(sorted((*store.volumes, *store.snapshots, *store.objects)))


class LastPartNumberJoinedFirst(MemoryImageDriver):
    """Part numbers are kept in too few bits: the highest number that is allowed becomes 0 and is
    joined first.
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        last = upload.parts.get(IMAGE_CAPABILITIES.upload.parts_max)
        if last is not None and last.data and stored.data.endswith(last.data):
            stored.data = last.data + stored.data[: -len(last.data)]
            stored.sha256 = stored.true_sha256()
        super().publish(store, upload, stored)


MUTANTS = (
    blind(UploadsOfOneKeyShareParts, loses_data=True),
    blind(ReadsCachedPerDriver, loses_data=True),
    blind(HandleTailReadsZeroes, loses_data=True),
    blind(EqualContentFreedTogether, loses_data=True),
    blind(CopyFollowsItsSourceToo, loses_data=True),
    blind(CopyTakesSameSizeForSame, loses_data=True),
    blind(AbortOfFinishedUploadDeletesObject, loses_data=True),
    blind(DeleteRevealsPreviousVersion, loses_data=True),
    blind(RepeatedCompletePublishesAgain, loses_data=True),
    blind(ShorterReplacementKeepsOldTail, loses_data=True),
    blind(IndexLosesConcurrentObject, loses_data=True),
    blind(IdleUploadExpires, loses_data=True),
    blind(RangeCutAtStripeEnd, loses_data=True),
    blind(KeysResolvedAsPaths, loses_data=True),
    blind(FencesOfEachDriver, loses_data=True),
    blind(AddressOfPercentKeyGivesOther, loses_data=True),
    blind(PlaceCheckedOnlyOnce, loses_data=True),
    blind(ReadTornByReplacement, loses_data=True),
    blind(DeleteStoreIgnoresOpenUploads, loses_data=True),
    blind(LastPartNumberJoinedFirst, loses_data=True),
)
