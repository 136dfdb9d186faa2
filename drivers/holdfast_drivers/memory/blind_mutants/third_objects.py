"""Blind defects of the third round: what objects and uploads hold."""

import asyncio
import contextlib
import gzip
import hashlib
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import quote

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES, Extent
from holdfast_drivers.memory.backend import Backend, Store, StoredObject, Upload
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fences
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.provider import MemoryProvider


class AbortMatchesUploadPrefix(MemoryImageDriver):
    """Aborting an upload drops every open upload whose key begins with the aborted one's."""

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        gone = await super().abort_upload(ctx, request)
        uploads = self.store().uploads
        for key in [key for key in uploads if key.startswith(request.upload)]:
            del uploads[key]
        return gone


class UploadsOfOneKeySharePartsToo(MemoryImageDriver):
    """Parts are kept by object key and number, so that two uploads of one key mix theirs."""

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        answer = await super().start_upload(ctx, request)
        uploads = self.store().uploads
        for other in uploads.values():
            if other.key == request.key:
                uploads[request.upload].parts = other.parts
                break
        return answer


class ConcurrentPartsLoseEachOther(MemoryImageDriver):
    """The list of parts is read, changed and written back, so parts sent at once get lost."""

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        upload = self.store().uploads.get(request.upload)
        before = dict(upload.parts) if upload else {}
        await asyncio.sleep(0)
        answer = await super().upload_part(ctx, request)
        if upload is not None:
            upload.parts = {**before, request.number: upload.parts[request.number]}
        return answer


class OpeningClearsUnfinishedUploads(MemoryProvider):
    """Opening a driver sweeps other drivers' open uploads as if they were left over."""

    @asynccontextmanager
    async def image(self, config: msgspec.Struct) -> AsyncIterator[ImageDriver]:
        async with super().image(config) as driver:
            if isinstance(driver, MemoryImageDriver):
                store = driver.backend.stores.get((driver.role, driver.namespace))
                if store is not None:
                    store.uploads.clear()
            yield driver


class RepeatedCompletionRestoresOldContent(MemoryImageDriver):
    """A completion that is repeated puts its object in place again over what came later."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.finished: dict[str, StoredObject] = {}

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        super().publish(store, upload, stored)
        self.finished[upload.upload] = stored

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        finished = self.finished.get(request.upload)
        if finished is None or request.upload in store.uploads:
            return await super().complete_upload(ctx, request)
        store.objects[finished.key] = finished
        return self.info(finished)


class TwinsAreDeletedTogether(MemoryImageDriver):
    """Equal uploads share their bytes uncounted, so deleting one empties the other."""

    def remove(self, store: Store, key: str) -> None:
        removed = store.objects.get(self.row_key(key))
        super().remove(store, key)
        if removed is None or not removed.upload:
            return
        for twin in store.objects.values():
            if twin.upload and twin.sha256 == removed.sha256:
                twin.data = b""


class CopyOntoItselfEmpties(MemoryImageDriver):
    """A copy of an object onto its own key opens the target for writing and leaves it empty."""

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        answer = await super().copy(ctx, request)
        if request.key == request.target:
            row = self.stored(self.store(), request.target)
            row.data, row.sha256 = b"", hashlib.sha256(b"").hexdigest()
        return answer


class CopyComparesSizesOnly(MemoryImageDriver):
    """A copy takes any object of the same size and type under the target for done already."""

    def alike(self, source: StoredObject, there: StoredObject) -> bool:
        return (source.kind, source.content_type, len(source.data)) == (
            there.kind,
            there.content_type,
            len(there.data),
        )


class ReadCacheTrustsTheSize(MemoryImageDriver):
    """A driver's cache of whole reads serves old bytes while the object's size is unchanged."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.cached: dict[str, bytes] = {}

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        answer = await super().get(ctx, request)
        if request.offset_bytes or request.length_bytes is not None:
            return answer
        kept = self.cached.get(request.key)
        if kept is not None and len(kept) == answer.object.size_bytes:
            return msgspec.structs.replace(answer, data=kept)
        self.cached[request.key] = answer.data
        return answer


class TrailingDotsAreTrimmed(MemoryImageDriver):
    """Dots at the end of a key are dropped, so that two keys name one object."""

    def row_key(self, key: str) -> str:
        return key.rstrip(".") or key


@dataclass(slots=True)
class _Version(StoredObject):
    older: StoredObject | None = None


class DeleteUncoversOlderVersion(MemoryImageDriver):
    """Deleting an object that was replaced removes its last version and shows the one before."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        older = store.objects.get(self.row_key(stored.key))
        super().publish(store, upload, stored)
        values: list[Any] = [getattr(stored, one.name) for one in fields(stored)]
        version = _Version(*values)
        version.older = older
        store.objects[self.row_key(stored.key)] = version

    def remove(self, store: Store, key: str) -> None:
        row = store.objects.get(self.row_key(key))
        super().remove(store, key)
        if isinstance(row, _Version) and row.older is not None:
            store.objects[self.row_key(key)] = row.older


class FencesKeptInTheDriver(MemoryImageDriver):
    """Fences are kept by each opened driver, so another one lets a late call through."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.own_fences = Fences()

    def store(self) -> Store:
        return replace(super().store(), fences=self.own_fences)


class ProbeJudgesCompletionBySize(MemoryImageDriver):
    """Probing a completion says done where an older object of the same size is under the key."""

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if isinstance(request, requests.CompleteUpload) and isinstance(result, answers.Absent):
            store = self.store()
            upload = store.uploads.get(request.upload)
            row = store.objects.get(upload.key) if upload else None
            if row is not None and len(row.data) == request.size_bytes:
                return answers.Done(answer=self.info(row))
        return result


class _WithoutTail(Content):
    def extents(self) -> tuple[Extent, ...]:
        whole = self.size_bytes // BLOCK_BYTES * BLOCK_BYTES
        return tuple(
            Extent(extent.offset_bytes, min(extent.length_bytes, whole - extent.offset_bytes))
            for extent in super().extents()
            if extent.offset_bytes < whole
        )


class ExtentsLeaveOutTheTail(Backend):
    """The extents of an object's handle end at its last whole block, so a tail seems empty."""

    def object_behind(self, token: str, *, write: bool) -> Content:
        content = super().object_behind(token, write=write)
        return _WithoutTail(content.size_bytes, content.blocks)


class GzipIsUnpackedWhenRead(MemoryImageDriver):
    """Reading a whole object that is a gzip stream answers with what is packed in it."""

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        answer = await super().get(ctx, request)
        if request.offset_bytes == 0 and request.length_bytes is None:
            with contextlib.suppress(OSError, EOFError, zlib.error):
                return msgspec.structs.replace(answer, data=gzip.decompress(answer.data))
        return answer


class AddressOfEscapedKeyIsAnothers(Backend):
    """A percent sign in a key is not escaped in an address, which then gives another object."""

    def address_path(self, namespace: str, key: str) -> str:
        return f"/{quote(namespace, safe='')}/{quote(key, safe='%')}"


class StoreDeletionTakesNamesakes(MemoryLifeCycle):
    """Deleting a store removes every namespace of its role that begins with its own name."""

    def remove(self, backend: Backend) -> None:
        for role, namespace in list(backend.stores):
            if role is self.role and namespace.startswith(self.config.namespace):
                del backend.stores[role, namespace]


MUTANTS = (
    blind(AbortMatchesUploadPrefix, loses_data=True),
    blind(UploadsOfOneKeySharePartsToo, loses_data=True),
    blind(ConcurrentPartsLoseEachOther, loses_data=True),
    blind(OpeningClearsUnfinishedUploads, loses_data=True),
    blind(RepeatedCompletionRestoresOldContent, loses_data=True),
    blind(TwinsAreDeletedTogether, loses_data=True),
    blind(CopyOntoItselfEmpties, loses_data=True),
    blind(CopyComparesSizesOnly, loses_data=True),
    blind(ReadCacheTrustsTheSize, loses_data=True),
    blind(TrailingDotsAreTrimmed, loses_data=True),
    blind(DeleteUncoversOlderVersion, loses_data=True),
    blind(FencesKeptInTheDriver, loses_data=True),
    blind(ProbeJudgesCompletionBySize, loses_data=True),
    blind(ExtentsLeaveOutTheTail, loses_data=True),
    blind(GzipIsUnpackedWhenRead, loses_data=True),
    blind(AddressOfEscapedKeyIsAnothers, loses_data=True),
    blind(StoreDeletionTakesNamesakes, loses_data=True),
)
