"""Defects in objects: uploads, reads, ranges, lists, kinds."""

import hashlib
from urllib.parse import unquote

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Corrupt, NotFound
from holdfast.contract.requests import CallContext, PartReference
from holdfast_drivers.memory.backend import Backend, Part, Store, StoredObject, Upload
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted


class ContentTypeIsLost(MemoryImageDriver):
    """Every object comes back as plain bytes, whatever it was put as."""

    def info(self, stored: StoredObject) -> answers.ObjectInfo:
        return msgspec.structs.replace(
            super().info(stored), content_type="application/octet-stream; lost"
        )


class EmptyObjectHasNoChecksum(MemoryImageDriver):
    """An object of 0 bytes has no checksum (as minio pull request 9525)."""

    def info(self, stored: StoredObject) -> answers.ObjectInfo:
        info = super().info(stored)
        return info if stored.data else msgspec.structs.replace(info, sha256="")


class LastByteIsLost(MemoryImageDriver):
    """An object is stored without its last byte."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        stored.data = stored.data[:-1]
        stored.sha256 = stored.true_sha256()
        super().publish(store, upload, stored)


class HandleLosesTheLastByte(Backend):
    """An object that is read through its handle ends in a zero."""

    def object_behind(self, token: str, *, write: bool) -> Content:
        content = super().object_behind(token, write=write)
        if content.size_bytes:
            content.write(content.size_bytes - 1, b"\0")
        return content


class WrongDigestIsAccepted(MemoryImageDriver):
    """The digest of what arrived is not compared (as apache/cloudstack#9841)."""

    def check_content(self, data: bytes, sha256: str, request: requests.CompleteUpload) -> None:
        super().check_content(data, sha256, msgspec.structs.replace(request, sha256=sha256))


class WrongSizeIsAccepted(MemoryImageDriver):
    """The size of what arrived is not compared."""

    def check_content(self, data: bytes, sha256: str, request: requests.CompleteUpload) -> None:
        super().check_content(data, sha256, msgspec.structs.replace(request, size_bytes=len(data)))


class CorruptUploadRemovesTheObject(MemoryImageDriver):
    """A refused upload removes the object that was under the key before."""

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        try:
            return await super().complete_upload(ctx, request)
        except Corrupt:
            store = self.store()
            self.remove(store, store.uploads[request.upload].key)
            raise


class RangeEndsOneByteLate(MemoryImageDriver):
    """The end of a range is taken for its last byte."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        longer = None if length_bytes is None else length_bytes + 1
        return super().cut(data, offset_bytes, longer)


class RangeStartsOneByteLate(MemoryImageDriver):
    """A range that does not start at 0 is shifted by a byte (as minio/minio#11025)."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        start, piece = super().cut(data, offset_bytes, length_bytes)
        if offset_bytes <= 0:
            return start, piece
        return start, data[start + 1 : start + 1 + len(piece)]


class SuffixCountsFromTheStart(MemoryImageDriver):
    """A range from the end is read from the start."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        if offset_bytes >= 0:
            return super().cut(data, offset_bytes, length_bytes)
        most = -offset_bytes if length_bytes is None else min(length_bytes, -offset_bytes)
        return 0, data[:most]


class RangePastTheEndIsEmpty(MemoryImageDriver):
    """A range that starts past the end is answered with no bytes."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        if offset_bytes > len(data):
            return offset_bytes, b""
        return super().cut(data, offset_bytes, length_bytes)


class PartsAreJoinedInArrivalOrder(MemoryImageDriver):
    """Parts are joined as they came and not by number."""

    def join(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        numbers = {part.number for part in named}
        return b"".join(part.data for number, part in upload.parts.items() if number in numbers)

    def check_content(self, data: bytes, sha256: str, request: requests.CompleteUpload) -> None:
        """Check nothing: the digest would tell."""


class FirstPartWins(MemoryImageDriver):
    """A part that is sent again does not replace the first."""

    def keep_part(self, upload: Upload, part: Part) -> None:
        earlier = upload.parts.get(part.reference.number)
        super().keep_part(upload, Part(part.reference, earlier.data) if earlier else part)

    def check_content(self, data: bytes, sha256: str, request: requests.CompleteUpload) -> None:
        """Check nothing: the digest would tell."""


class MissingPartIsSkipped(MemoryImageDriver):
    """Parts that were never sent are left out without a word."""

    def check_parts(self, upload: Upload, named: tuple[PartReference, ...]) -> None:
        """Check nothing."""

    def join(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        parts = tuple(part for part in named if part.number in upload.parts)
        return super().join(upload, parts)

    def check_content(self, data: bytes, sha256: str, request: requests.CompleteUpload) -> None:
        """Check nothing: the digest would tell."""


class UnnamedPartsAreJoined(MemoryImageDriver):
    """Parts that were sent and not named are in the object all the same."""

    def join(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        return b"".join(upload.parts[number].data for number in sorted(upload.parts))

    def check_content(self, data: bytes, sha256: str, request: requests.CompleteUpload) -> None:
        """Check nothing: the digest would tell."""


class LargeObjectHasTheSizeOfItsLastPart(MemoryImageDriver):
    """An object of several parts reports the size of one (as cloudstack pull request 1770)."""

    def info(self, stored: StoredObject) -> answers.ObjectInfo:
        info = super().info(stored)
        part_max = self.capabilities.upload.part_max_bytes
        if info.size_bytes <= part_max:
            return info
        return msgspec.structs.replace(info, size_bytes=info.size_bytes % part_max or part_max)


class LargeObjectLosesItsLastPart(MemoryImageDriver):
    """An object larger than one part is stored without its last part (as nextcloud#7070)."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        part_max = self.capabilities.upload.part_max_bytes
        if len(stored.data) > part_max:
            stored.data = stored.data[: (len(stored.data) - 1) // part_max * part_max]
            stored.sha256 = stored.true_sha256()
        super().publish(store, upload, stored)


class DeleteLeavesTheSegments(MemoryImageDriver):
    """Deleting an object leaves the bytes it was made of (as gaul/s3proxy#91)."""

    def remove(self, store: Store, key: str) -> None:
        row = store.objects.get(key)
        super().remove(store, key)
        if row is not None:
            upload = Upload(f"{key}.segments", row.id, key, row.kind, "", "")
            reference = PartReference(number=1, size_bytes=len(row.data), tag="")
            upload.parts[1] = Part(reference, row.data)
            store.uploads[upload.upload] = upload


class SecondDeleteOfAnObjectFails(MemoryImageDriver):
    """Deleting an absent object fails."""

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        self.stored(self.store(), request.key)
        return await super().delete(ctx, request)


class AbsentObjectIsEmpty(MemoryImageDriver):
    """Reading an object that is not there gives no bytes and no error."""

    def stored(self, store: Store, key: str) -> StoredObject:
        try:
            return super().stored(store, key)
        except NotFound:
            digest = hashlib.sha256(b"").hexdigest()
            kind = ObjectKind.TEMPLATE
            return StoredObject(key, "object-0", kind, "text/plain", b"", digest, "", "")


class AbortLeavesTheParts(MemoryImageDriver):
    """Aborting an upload is acknowledged, and the upload stays (as minio/minio#3129)."""

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        self.store()
        return answers.Gone(key=request.upload)


class ListOfObjectsMissesTheLast(MemoryImageDriver):
    """A list ends one name early (as unjs/unstorage#728)."""

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        return super().names(store, request)[:-1]


class ListOfObjectsHasOnePage(MemoryImageDriver):
    """A list of more than one page has no token for the second (as localstack#9605)."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        return msgspec.structs.replace(await super().list(ctx, request), token="")


class ListIgnoresThePrefix(MemoryImageDriver):
    """A list under a prefix shows every object."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        return await super().list(ctx, msgspec.structs.replace(request, prefix=""))


class ListFoldsNothing(MemoryImageDriver):
    """A list with a delimiter shows every key in full."""

    def folded(self, key: str, request: requests.ListObjects) -> tuple[str, bool]:
        return key, False


class ListedKeysAreDecoded(MemoryImageDriver):
    """Keys with an escape in them come back decoded (as floci#1589)."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        page = await super().list(ctx, request)
        items = tuple(msgspec.structs.replace(item, key=unquote(item.key)) for item in page.items)
        return msgspec.structs.replace(page, items=items)


class VolumesBecomeTemplates(MemoryImageDriver):
    """A volume kept as a backup comes back as a template (as apache/cloudstack#4874)."""

    def info(self, stored: StoredObject) -> answers.ObjectInfo:
        info = super().info(stored)
        if info.kind is ObjectKind.VOLUME:
            return msgspec.structs.replace(info, kind=ObjectKind.TEMPLATE)
        return info


class SnapshotsCannotBeStored(MemoryImageDriver):
    """One declared kind of object fails with a cast error (as apache/cloudstack#4874)."""

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        if request.kind is ObjectKind.SNAPSHOT:
            raise TypeError("a snapshot is no template")
        return await super().start_upload(ctx, request)


MUTANTS = (
    planted("IMG-01", ContentTypeIsLost),
    planted("IMG-01", EmptyObjectHasNoChecksum),
    planted("IMG-01", LastByteIsLost),
    planted("IMG-01", HandleLosesTheLastByte),
    planted("IMG-02", WrongDigestIsAccepted),
    planted("IMG-02", WrongSizeIsAccepted),
    planted("IMG-02", CorruptUploadRemovesTheObject),
    planted("IMG-04", RangeEndsOneByteLate),
    planted("IMG-04", RangeStartsOneByteLate),
    planted("IMG-04", SuffixCountsFromTheStart),
    planted("IMG-04", RangePastTheEndIsEmpty),
    planted("IMG-05", PartsAreJoinedInArrivalOrder),
    planted("IMG-05", FirstPartWins),
    planted("IMG-05", MissingPartIsSkipped),
    planted("IMG-05", UnnamedPartsAreJoined),
    planted("IMG-08", LargeObjectHasTheSizeOfItsLastPart),
    planted("IMG-08", LargeObjectLosesItsLastPart),
    planted("IMG-09", DeleteLeavesTheSegments),
    planted("IMG-09", SecondDeleteOfAnObjectFails),
    planted("IMG-09", AbsentObjectIsEmpty),
    planted("IMG-09", AbortLeavesTheParts),
    planted("IMG-10", ListOfObjectsMissesTheLast),
    planted("IMG-10", ListOfObjectsHasOnePage),
    planted("IMG-10", ListIgnoresThePrefix),
    planted("IMG-10", ListFoldsNothing),
    planted("IMG-10", ListedKeysAreDecoded),
    planted("IMG-15", VolumesBecomeTemplates),
    planted("IMG-15", SnapshotsCannotBeStored),
)
