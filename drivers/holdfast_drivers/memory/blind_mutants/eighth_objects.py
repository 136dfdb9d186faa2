"""Blind defects of the eighth round: bytes of objects and parts."""

import asyncio
import zlib
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.requests import CallContext, PartReference
from holdfast_drivers.memory.backend import Backend, Part, Store, StoredObject, Upload
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import blind

HEAD_BYTES: Final = 512


PARTS_PAGE: Final = 24


SMALL_PART_BYTES: Final = 4096


def kept(backend: Backend, what: str) -> dict[Any, Any]:
    """A further table of a backend, which all drivers on it share."""
    table: dict[Any, Any] = vars(backend).setdefault(f"_kept_{what}", {})
    return table


class ResentPartComparedByItsHead(MemoryImageDriver):
    """A part sent again with the same size and the same first 512 bytes is taken for a repetition.

    Its new bytes are acknowledged and dropped: the upload keeps the older bytes.
    """

    def keep_part(self, upload: Upload, part: Part) -> None:
        there = upload.parts.get(part.reference.number)
        if there is not None and self._seem_equal(there.data, part.data):
            part = Part(part.reference, there.data)
        super().keep_part(upload, part)

    def _seem_equal(self, there: bytes, sent: bytes) -> bool:
        return len(there) == len(sent) and there[:HEAD_BYTES] == sent[:HEAD_BYTES]


class PartsReadFromOnePage(MemoryImageDriver):
    """An object is joined from the first page (24) of the backend's list of parts.

    One of more parts is acknowledged whole, and its tail is missing.
    """

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        info = await super().complete_upload(ctx, request)
        row = self.made_by(self.store(), request.upload)
        if row is not None and len(request.parts) > PARTS_PAGE:
            listed = sorted(request.parts, key=lambda part: part.number)[:PARTS_PAGE]
            row.data = row.data[: sum(part.size_bytes for part in listed)]
        return info


class ConcurrentPartsLoseOne(MemoryImageDriver):
    """An upload's table of parts is read, changed and written back without a condition.

    Of two parts sent at once both are acknowledged and only one is kept.
    """

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        upload = self.store().uploads.get(request.upload)
        read = dict(upload.parts) if upload else {}
        await asyncio.sleep(0)
        info = await super().upload_part(ctx, request)
        upload = self.upload(self.store(), request.upload)
        upload.parts = read | {request.number: upload.parts[request.number]}
        return info


class SmallPartsBufferedInProcess(MemoryImageDriver):
    """Acknowledged parts below 4 KiB stay in the driver's process until the upload is completed.

    After a restart, and for any other driver on the store, they are lost.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._buffered: set[tuple[str, int]] = set()

    def keep_part(self, upload: Upload, part: Part) -> None:
        self._buffered.add((upload.id, part.reference.number))
        super().keep_part(self.store().uploads[upload.upload], part)

    def upload(self, store: Store, key: str) -> Upload:
        row = super().upload(store, key)
        here = {n: part for n, part in row.parts.items() if self._is_here(row, n, part)}
        return replace(row, parts=here)

    def _is_here(self, upload: Upload, number: int, part: Part) -> bool:
        return len(part.data) >= SMALL_PART_BYTES or (upload.id, number) in self._buffered


class LatePartReplacesNewer(MemoryImageDriver):
    """The fence of a part is neither kept nor compared, only that of its upload.

    A late repetition of a part replaces the newer bytes that were acknowledged after it.
    """

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        self.store().fences.compare(Fenced.UPLOAD, request.upload, ctx.fence)
        return await super().upload_part(msgspec.structs.replace(ctx, fence=0), request)


class UnnamedPartsLeftOver(MemoryImageDriver):
    """Parts that the completion does not name are not dropped.

    They stay as an upload of nobody: enumerated, counted as used, and in the way of the store's
    deletion.
    """

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        upload = self.store().uploads.get(request.upload)
        info = await super().complete_upload(ctx, request)
        if upload is not None:
            self._leave(upload, request.parts)
        return info

    def _leave(self, upload: Upload, named: tuple[PartReference, ...]) -> None:
        numbers = {part.number for part in named}
        rest = {n: part for n, part in upload.parts.items() if n not in numbers}
        if rest:
            self.store().uploads[upload.id] = replace(upload, upload=upload.id, parts=rest)


class LateCompletionRepublishes(MemoryImageDriver):
    """A completion repeated after its object was replaced or deleted makes the object again.

    The newer object, which was acknowledged in between, is replaced by the older one.
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        super().publish(store, upload, stored)
        kept(self.backend, "completed")[store.id, upload.upload] = stored

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        row = kept(self.backend, "completed").get((store.id, request.upload))
        if row is None or request.upload in store.uploads or row.sha256 != request.sha256:
            return await super().complete_upload(ctx, request)
        store.fences.enter(Fenced.UPLOAD, request.upload, ctx.fence)
        store.objects[self.row_key(row.key)] = row
        return self.info(row)


class CompletionsRememberedByProcess(MemoryImageDriver):
    """Which upload made an object is known only to the driver that completed it.

    A completion repeated through another driver is ``NotFound`` instead of the same object.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._completed: set[str] = set()

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        super().publish(store, upload, stored)
        self._completed.add(upload.upload)

    def made_by(self, store: Store, upload: str) -> StoredObject | None:
        return super().made_by(store, upload) if upload in self._completed else None


class ReplacingHidesTheOldForAMoment(MemoryImageDriver):
    """A completion takes the old object away before it puts the new one there.

    Who reads the key meanwhile gets ``NotFound``, though an object was there all the time.
    """

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        upload = store.uploads.get(request.upload)
        old = store.objects.pop(self.row_key(upload.key), None) if upload else None
        try:
            await asyncio.sleep(0)
            return await super().complete_upload(ctx, request)
        except BaseException:
            if old is not None:
                store.objects.setdefault(self.row_key(old.key), old)
            raise


class CompletionProbedByKeyAndSize(MemoryImageDriver):
    """The probe of a completion says ``Done`` for whatever of the same size is under the key.

    The upload is still open and the older object's bytes pass for the new ones.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        answer = await super().probe(ctx, verb, request)
        if not isinstance(request, requests.CompleteUpload):
            return answer
        row = self._under_key(request.upload)
        if row is None or len(row.data) != request.size_bytes:
            return answer
        return answers.Done(answer=self.info(row))

    def _under_key(self, upload: str) -> StoredObject | None:
        if self.backend.down:
            return None
        store = self.store()
        row = store.uploads.get(upload)
        return store.objects.get(self.row_key(row.key)) if row else None


class TrailingDotsStripped(MemoryImageDriver):
    """Dots and blanks at the end of a key are dropped, as some shares and blob stores do.

    ``a`` and ``a.`` are one object, so one of the two is lost.
    """

    def row_key(self, key: str) -> str:
        return key.rstrip(". ") or key


class CopySourceUnquoted(MemoryImageDriver):
    """The key of a copy's source is sent in a header without quoting, and the server unquotes it.

    A copy of ``a%2Fb`` has the bytes of ``a/b``, or is ``NotFound``.
    """

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        asked = msgspec.structs.replace(request, key=unquote(request.key))
        return await super().copy(ctx, asked)


class PruningTakesSubfolders(MemoryImageDriver):
    """After a deletion the object's folder goes too when no file lies directly in it.

    Whatever is in its subfolders is lost.
    """

    def remove(self, store: Store, key: str) -> None:
        was_there = self.row_key(key) in store.objects
        super().remove(store, key)
        folder = key.rpartition("/")[0] + "/"
        below = [name for name in store.objects if name.startswith(folder)]
        if was_there and folder != "/" and all("/" in name[len(folder) :] for name in below):
            for name in below:
                del store.objects[name]


class DeletionUncoversOlderVersion(MemoryImageDriver):
    """A deletion removes the newest version only, in a place that keeps the versions of a key.

    What was replaced before is back under the key.
    """

    def _versions(self, store: Store, key: str) -> list[StoredObject]:
        table = kept(self.backend, "versions")
        versions: list[StoredObject] = table.setdefault((store.id, self.row_key(key)), [])
        return versions

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        old = store.objects.get(self.row_key(stored.key))
        if old is not None:
            self._versions(store, stored.key).append(old)
        super().publish(store, upload, stored)

    def remove(self, store: Store, key: str) -> None:
        super().remove(store, key)
        versions = self._versions(store, key)
        if versions:
            store.objects[self.row_key(key)] = versions.pop()


class SuffixRangeSlicedByItsEnds(MemoryImageDriver):
    """A range from the end is sliced with both ends counted from the end.

    One that reaches the end of the object, such as 16 bytes from -16, has no or other bytes.
    """

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        start, found = super().cut(data, offset_bytes, length_bytes)
        if offset_bytes < 0 and length_bytes is not None:
            found = data[offset_bytes : offset_bytes + length_bytes]
        return start, found


class CompressedObjectsUnpacked(MemoryImageDriver):
    """A whole object that is a gzip stream is unpacked on its way out, as by a helpful HTTP client.

    ``get`` gives other bytes than were stored; ranges and figures are right.
    """

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        found = await super().get(ctx, request)
        if request.offset_bytes or request.length_bytes is not None:
            return found
        return msgspec.structs.replace(found, data=self._unpacked(found.data))

    def _unpacked(self, data: bytes) -> bytes:
        if not data.startswith(b"\x1f\x8b"):
            return data
        try:
            return zlib.decompress(data, wbits=31)
        except zlib.error:
            return data


MUTANTS = (
    blind(ResentPartComparedByItsHead, loses_data=True),
    blind(PartsReadFromOnePage, loses_data=True),
    blind(ConcurrentPartsLoseOne, loses_data=True),
    blind(SmallPartsBufferedInProcess, loses_data=True),
    blind(LatePartReplacesNewer, loses_data=True),
    blind(UnnamedPartsLeftOver, loses_data=False),
    blind(LateCompletionRepublishes, loses_data=True),
    blind(CompletionsRememberedByProcess, loses_data=False),
    blind(ReplacingHidesTheOldForAMoment, loses_data=False),
    blind(CompletionProbedByKeyAndSize, loses_data=True),
    blind(TrailingDotsStripped, loses_data=True),
    blind(CopySourceUnquoted, loses_data=True),
    blind(PruningTakesSubfolders, loses_data=True),
    blind(DeletionUncoversOlderVersion, loses_data=True),
    blind(SuffixRangeSlicedByItsEnds, loses_data=True),
    blind(CompressedObjectsUnpacked, loses_data=True),
)
