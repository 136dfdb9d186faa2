"""The image store's driver: uploads in parts, and objects that appear at once and whole."""

import hashlib
from typing import ClassVar

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ImageCapabilities
from holdfast.contract.errors import (
    Conflict,
    Corrupt,
    Exhausted,
    Invalid,
    NotFound,
    OutOfRange,
    Unavailable,
)
from holdfast.contract.handles import ExtentHandle, Handle
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext, PartReference, Role
from holdfast_drivers.listing import folded, page_of
from holdfast_drivers.memory.backend import (
    Part,
    Store,
    StoredObject,
    Upload,
    object_token,
)
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES, TOTAL_BYTES
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.probing import probe_image
from holdfast_drivers.memory.store_access import StoreAccess


class MemoryImageDriver(StoreAccess, ImageDriver):
    """A driver bound to one namespace of a backend; it holds nothing else.

    Each decision is a small method of its own, so that a planted defect replaces exactly one.
    """

    role: ClassVar[Role] = Role.IMAGE

    @property
    def capabilities(self) -> ImageCapabilities:
        return IMAGE_CAPABILITIES

    def upload(self, store: Store, key: str) -> Upload:
        """The open upload under a key, or ``NotFound``."""
        upload = store.uploads.get(key)
        if upload is None:
            raise NotFound("there is no open upload under this key", object=key)
        return upload

    def stored(self, store: Store, key: str) -> StoredObject:
        """The object under a key, or ``NotFound``."""
        row = store.objects.get(self.row_key(key))
        if row is None:
            raise NotFound("there is no object under this key", object=key)
        return row

    def made_by(self, store: Store, upload: str) -> StoredObject | None:
        """The object that a completed upload made, while it is still the current one.

        Of two that were made under one upload key it is the later one.
        """
        newest_first = reversed(store.objects.values())
        return next((row for row in newest_first if row.upload == upload), None)

    def info(self, stored: StoredObject) -> answers.ObjectInfo:
        """What is reported of an object."""
        return answers.ObjectInfo(
            key=stored.key,
            id=stored.id,
            kind=stored.kind,
            content_type=stored.content_type,
            size_bytes=len(stored.data),
            sha256=stored.sha256,
        )

    # Uploads

    def same_upload(self, upload: Upload, request: requests.StartUpload) -> bool:
        """Whether starting again under the same upload key asks for what is open."""
        properties = (request.key, request.kind, request.content_type)
        return (upload.key, upload.kind, upload.content_type) == properties

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        store = self.allocating_store()
        store.fences.enter(Fenced.UPLOAD, request.upload, ctx.fence)
        upload = store.uploads.get(request.upload)
        if upload is None:
            store.uploads[request.upload] = Upload(
                request.upload,
                runtime().new_id("upload"),
                request.key,
                request.kind,
                request.content_type,
                ctx.operation,
            )
        elif not self.same_upload(upload, request):
            raise Conflict("the upload's key is taken by another upload", object=request.upload)
        return answers.UploadInfo(upload=request.upload, key=request.key)

    def keep_part(self, upload: Upload, part: Part) -> None:
        """Keep a part, in place of one with the same number."""
        upload.parts[part.reference.number] = part

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        store = self.store()
        # Parts come in any order: one is late where it was sent again, or its upload ended.
        store.fences.compare(Fenced.UPLOAD, request.upload, ctx.fence)
        store.fences.enter(Fenced.PART, f"{request.upload}/{request.number}", ctx.fence)
        upload = self.upload(store, request.upload)
        if self.used_bytes(store) + len(request.data) > TOTAL_BYTES:
            raise Exhausted(f"the store has no {len(request.data)} bytes left", what="space")
        reference = PartReference(
            number=request.number,
            size_bytes=len(request.data),
            tag=hashlib.sha256(request.data).hexdigest()[:32],
        )
        self.keep_part(upload, Part(reference, request.data))
        return answers.PartInfo(part=reference)

    def check_parts(self, upload: Upload, named: tuple[PartReference, ...]) -> None:
        """``Invalid`` for a part that is missing, not as it was acknowledged, or named twice."""
        seen: set[int] = set()
        for part in named:
            stored_part = upload.parts.get(part.number)
            if stored_part is None:
                raise Invalid(f"part {part.number} was never sent", object=upload.upload)
            if stored_part.reference != part:
                raise Invalid(f"part {part.number} is not the one sent last", object=upload.upload)
            if part.number in seen:
                raise Invalid(f"part {part.number} is named twice", object=upload.upload)
            seen.add(part.number)

    def join(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        """The parts' bytes, by number."""
        numbers = sorted(part.number for part in named)
        return b"".join(upload.parts[number].data for number in numbers)

    def check_content(self, data: bytes, sha256: str, request: requests.CompleteUpload) -> None:
        """``Corrupt`` where size or SHA-256 differ from what the caller says it sent."""
        if len(data) != request.size_bytes:
            raise Corrupt(f"{len(data)} bytes arrived, not {request.size_bytes}")
        if sha256 != request.sha256:
            raise Corrupt("what arrived has another SHA-256 than what was sent")

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        store.fences.enter(Fenced.UPLOAD, request.upload, ctx.fence)
        row = self.made_by(store, request.upload)
        if row is not None and request.upload not in store.uploads:
            return self.info(row)
        upload = self.upload(store, request.upload)
        store.fences.enter(Fenced.OBJECT, upload.key, ctx.fence)
        self.check_parts(upload, request.parts)
        data = self.join(upload, request.parts)
        sha256 = hashlib.sha256(data).hexdigest()
        self.check_content(data, sha256, request)
        stored = StoredObject(
            upload.key,
            runtime().new_id("object"),
            upload.kind,
            upload.content_type,
            data,
            sha256,
            request.upload,
            ctx.operation,
        )
        self.publish(store, upload, stored)
        return self.info(stored)

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        """Make the object visible, and drop the upload with all its parts."""
        store.objects.pop(self.row_key(stored.key), None)  # so that the newest is the last
        store.objects[self.row_key(stored.key)] = stored
        del store.uploads[upload.upload]

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        store = self.store()
        store.fences.enter(Fenced.UPLOAD, request.upload, ctx.fence)
        store.uploads.pop(request.upload, None)
        return answers.Gone(key=request.upload)

    # Objects

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        """Where a range starts, and its bytes: cut at the end, a negative offset from the end."""
        size = len(data)
        start = max(0, size + offset_bytes) if offset_bytes < 0 else offset_bytes
        if start and start >= size:
            raise OutOfRange(f"offset {start} is past the end of {size} bytes")
        end = size if length_bytes is None else min(size, start + length_bytes)
        return start, data[start:end]

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        stored = self.stored(self.store(), request.key)
        if stored.true_sha256() != stored.sha256:
            raise Corrupt("the stored bytes no longer have the object's SHA-256")
        start, data = self.cut(stored.data, request.offset_bytes, request.length_bytes)
        return answers.ObjectData(object=self.info(stored), offset_bytes=start, data=data)

    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        stored = self.stored(self.store(), request.key)
        return ExtentHandle(
            space=self.backend.name,
            token=object_token(stored.id, stored.key),
            size_bytes=len(stored.data),
            read_only=True,
        )

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> answers.ObjectInfo:
        return self.info(self.stored(self.store(), request.key))

    def folded(self, key: str, request: requests.ListObjects) -> tuple[str, bool]:
        """The name a key is listed under, and whether it is a common prefix up to the delimiter."""
        return folded(key, request)

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        """What is listed, in byte order: each name, and whether it is a common prefix."""
        names: dict[str, bool] = {}
        for row in store.objects.values():
            if row.key.startswith(request.prefix):
                name, is_prefix = self.folded(row.key, request)
                names[name] = is_prefix
        return sorted(names.items())

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        named = dict(self.names(store, request))
        scope = f"{store.id} objects {request.prefix!r} {request.delimiter!r}"
        limit = min(request.limit, IMAGE_CAPABILITIES.list.page_max)
        page = page_of(list(named), scope, token=request.token, limit=limit)
        return answers.ObjectPage(
            items=tuple(
                self.info(self.stored(store, name)) for name in page.names if not named[name]
            ),
            prefixes=tuple(name for name in page.names if named[name]),
            token=page.token,
        )

    def remove(self, store: Store, key: str) -> None:
        """Take the object's row out; absent is fine."""
        store.objects.pop(self.row_key(key), None)

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        store = self.store()
        store.fences.enter(Fenced.OBJECT, request.key, ctx.fence)
        self.remove(store, request.key)
        return answers.Gone(key=request.key)

    # Copies and addresses

    def alike(self, source: StoredObject, there: StoredObject) -> bool:
        """Whether an object is what a copy of the source would be."""
        return (source.kind, source.content_type, source.data) == (
            there.kind,
            there.content_type,
            there.data,
        )

    def duplicate(self, source: StoredObject, target: str, operation: str) -> StoredObject:
        """A copy of an object's row under another key and id; no upload made it."""
        return StoredObject(
            target,
            runtime().new_id("object"),
            source.kind,
            source.content_type,
            source.data,
            source.sha256,
            "",
            operation,
        )

    def check_target(self, source: StoredObject, there: StoredObject) -> None:
        """``Conflict`` where the target's key holds another object."""
        if not self.alike(source, there):
            raise Conflict("the target's key is taken by another object", object=there.key)

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        store = self.allocating_store()
        store.fences.enter(Fenced.OBJECT, request.target, ctx.fence)
        store.fences.compare(Fenced.OBJECT, request.key, ctx.fence)
        source = self.stored(store, request.key)
        there = store.objects.get(self.row_key(request.target))
        if there is not None:
            self.check_target(source, there)
            return self.info(there)
        row = self.duplicate(source, request.target, ctx.operation)
        store.objects[self.row_key(request.target)] = row
        return self.info(row)

    def address(self, key: str, expires_s: float) -> str:
        """An address of an object that the backend's own server takes."""
        if not self.backend.origin:
            raise Unavailable(f"memory space {self.backend.name} serves no addresses", object=key)
        path = self.backend.address_path(self.namespace, self.row_key(key))
        expires = f"{self.backend.wall_clock() + expires_s:.3f}"
        signature = self.backend.signature(path, expires)
        return f"{self.backend.origin}{path}?expires={expires}&signature={signature}"

    async def temporary_url(
        self, ctx: CallContext, request: requests.TemporaryUrl
    ) -> answers.UrlInfo:
        row = self.stored(self.store(), request.key)
        return answers.UrlInfo(url=self.address(row.key, request.expires_s))

    # The store as a whole

    def used_bytes(self, store: Store) -> int:
        """What objects and the parts of open uploads occupy."""
        return sum(len(row.data) for row in store.objects.values()) + sum(
            len(part.data) for upload in store.uploads.values() for part in upload.parts.values()
        )

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        store = self.store()
        used = self.used_bytes(store)
        return answers.StatsInfo(
            total_bytes=TOTAL_BYTES,
            used_bytes=used,
            allocated_bytes=used,
            objects=len(store.objects),
        )

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        if self.backend.down:
            return answers.Undetermined(reason=f"memory space {self.backend.name} is down")
        return probe_image(self, self.store(), request, ctx.fence)
