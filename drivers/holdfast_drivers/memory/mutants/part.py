"""Defects in parts, versions and ends of objects: what only many, late or odd ones show."""

import hashlib
from typing import ClassVar

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.errors import Invalid, OutOfRange
from holdfast.contract.handles import Handle
from holdfast.contract.requests import CallContext, PartReference
from holdfast_drivers.memory.backend import Backend, Part, Store, StoredObject, Upload
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted

_LISTED = 15
_BORDER = 1 << 19
_KIB = 1024


class Silent(MemoryImageDriver):
    """What arrived is compared before it is joined wrongly; the base of defects that nothing tells
    of.
    """

    _right = b""

    def joined(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        """What is stored."""
        return super().join(upload, named)

    def join(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        self._right = super().join(upload, named)
        return self.joined(upload, named)

    def check_content(self, data: bytes, sha256: str, request: requests.CompleteUpload) -> None:
        right = hashlib.sha256(self._right).hexdigest()
        super().check_content(self._right, right, request)


class PartsAreJoinedInTextOrder(Silent):
    """Parts are joined in the order of their numbers as text, 10 before 2."""

    def joined(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        numbers = sorted((part.number for part in named), key=str)
        return b"".join(upload.parts[number].data for number in numbers)


class PartsPastTheFirstPageAreLost(Silent):
    """The list of an upload's parts is read to the end of its first page."""

    def joined(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        first = sorted(named, key=lambda part: part.number)[:_LISTED]
        return super().joined(upload, tuple(first))


class EqualPartsAreKeptOnce(Silent):
    """Two parts of the same bytes are one."""

    def joined(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        distinct = {part.tag: part for part in sorted(named, key=lambda part: -part.number)}
        return super().joined(upload, tuple(distinct.values()))


class ReplacedPartsAreCut(MemoryImageDriver):
    """A part that is sent again is as long as the first was at most."""

    def keep_part(self, upload: Upload, part: Part) -> None:
        earlier = upload.parts.get(part.reference.number)
        longest = len(earlier.data) if earlier else len(part.data)
        super().keep_part(upload, Part(part.reference, part.data[:longest]))


class OldReferencesAreTaken(MemoryImageDriver):
    """A part is what its number says, whatever was acknowledged under it."""

    def check_parts(self, upload: Upload, named: tuple[PartReference, ...]) -> None:
        known = (upload.parts.get(part.number) for part in named)
        last = (part.reference for part in known if part is not None)
        kept = {reference.number: reference for reference in last}
        super().check_parts(upload, tuple(kept.get(part.number, part) for part in named))


class LastPartAtTheMinimumIsRefused(MemoryImageDriver):
    """A last part of just the minimum is taken for one that is too small."""

    def check_parts(self, upload: Upload, named: tuple[PartReference, ...]) -> None:
        super().check_parts(upload, named)
        minimum = self.capabilities.upload.part_min_bytes
        last = max(named, key=lambda part: part.number, default=None)
        if last is not None and len(named) > 1 and last.size_bytes == minimum:
            raise Invalid(f"part {last.number} is too small", object=upload.upload)


class EmptyPartsAreRefused(MemoryImageDriver):
    """A part of no bytes is none."""

    def keep_part(self, upload: Upload, part: Part) -> None:
        if not part.data:
            raise Invalid(f"part {part.reference.number} is empty", object=upload.upload)
        super().keep_part(upload, part)


class AbortedPartsComeBack(MemoryImageDriver):
    """An upload that is opened again has the parts that it was aborted with."""

    _aborted: ClassVar[dict[tuple[str, str], dict[int, Part]]] = {}

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        store = self.store()
        upload = store.uploads.get(request.upload)
        if upload is not None:
            self._aborted[store.id, request.upload] = upload.parts
        return await super().abort_upload(ctx, request)

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        answer = await super().start_upload(ctx, request)
        store = self.store()
        parts = self._aborted.pop((store.id, request.upload), {})
        store.uploads[request.upload].parts.update(parts)
        return answer


class ReopenedUploadKeepsItsFirstKey(MemoryImageDriver):
    """An upload's key that is used again puts its object where the first one went."""

    _keys: ClassVar[dict[tuple[str, str], str]] = {}

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        stored.key = self._keys.setdefault((store.id, upload.upload), upload.key)
        super().publish(store, upload, stored)


class OldVersionComesBack(MemoryImageDriver):
    """Completing again puts the object in place that the upload made, whatever is there now."""

    _made: ClassVar[dict[tuple[str, str], StoredObject]] = {}

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        self._made[store.id, upload.upload] = stored
        super().publish(store, upload, stored)

    def again(self, store: Store, stored: StoredObject) -> bool:
        """Whether the object is put in place again."""
        return self.row_key(stored.key) in store.objects

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        stored = self._made.get((store.id, request.upload))
        if stored is not None and request.upload not in store.uploads and self.again(store, stored):
            store.objects[self.row_key(stored.key)] = stored
        return await super().complete_upload(ctx, request)


class CompletedAgainAfterItsDelete(OldVersionComesBack):
    """Completing again brings a deleted object back."""

    def again(self, store: Store, stored: StoredObject) -> bool:
        return self.row_key(stored.key) not in store.objects


class ShorterObjectKeepsTheTail(MemoryImageDriver):
    """An object that replaces a longer one ends like that."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        replaced = store.objects.get(self.row_key(stored.key))
        if replaced is not None and len(replaced.data) > 4 * _KIB:
            stored.data += replaced.data[len(stored.data) :]
            stored.sha256 = stored.true_sha256()
        super().publish(store, upload, stored)


class ReplacedObjectKeepsItsKind(MemoryImageDriver):
    """A replaced object stays of the kind that was first under its key."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        replaced = store.objects.get(self.row_key(stored.key))
        if replaced is not None:
            stored.kind = replaced.kind
        super().publish(store, upload, stored)


class HeadOfTheReplaced(MemoryImageDriver):
    """What is known of an object is what was known when it was first asked for."""

    _seen: ClassVar[dict[tuple[str, str], answers.ObjectInfo]] = {}

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> answers.ObjectInfo:
        store = self.store()
        now = await super().head(ctx, request)
        return self._seen.setdefault((store.id, request.key), now)


class ListOfTheReplaced(MemoryImageDriver):
    """A list tells the sizes that objects had when they were first listed."""

    _sizes: ClassVar[dict[tuple[str, str], int]] = {}

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        page = await super().list(ctx, request)
        items = tuple(
            msgspec.structs.replace(
                item, size_bytes=self._sizes.setdefault((store.id, item.key), item.size_bytes)
            )
            for item in page.items
        )
        return msgspec.structs.replace(page, items=items)


class HandleOfTheReplaced(MemoryImageDriver):
    """An object is opened with the size that it had when it was first opened."""

    _sizes: ClassVar[dict[tuple[str, str], int]] = {}

    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        store = self.store()
        handle = await super().open_object(ctx, request)
        size = self._sizes.setdefault((store.id, request.key), handle.size_bytes)
        return msgspec.structs.replace(handle, size_bytes=size)


class RangeOffsetsWrap(MemoryImageDriver):
    """Offsets of ranges have nineteen bits."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        start, piece = super().cut(data, offset_bytes, length_bytes)
        if offset_bytes < _BORDER:
            return start, piece
        wrapped = offset_bytes % _BORDER
        return start, data[wrapped : wrapped + len(piece)]


class RangesEndAtTheirBuffer(MemoryImageDriver):
    """A range that crosses a border of 256 KiB ends there."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        start, piece = super().cut(data, offset_bytes, length_bytes)
        whole = offset_bytes == 0 and length_bytes is None
        return start, piece if whole else piece[: 256 * _KIB - start % (256 * _KIB)]


class LargestObjectIsRefused(MemoryImageDriver):
    """An object of just the declared maximum is one byte too large."""

    def join(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        data = super().join(upload, named)
        if len(data) >= self.capabilities.upload.object_max_bytes:
            raise OutOfRange("the object is too large", object=upload.upload)
        return data


class ContentTypeLosesItsParameters(MemoryImageDriver):
    """Of a content type what stands before the semicolon is kept, in lower case."""

    def info(self, stored: StoredObject) -> answers.ObjectInfo:
        info = super().info(stored)
        plain = info.content_type.partition(";")[0].lower()
        return msgspec.structs.replace(info, content_type=plain)


class CopyOfManyPartsIsCut(MemoryImageDriver):
    """A native copy takes at most half a mebibyte in one call, and is one call."""

    def duplicate(self, source: StoredObject, target: str, operation: str) -> StoredObject:
        row = super().duplicate(source, target, operation)
        row.data = row.data[:_BORDER]
        row.sha256 = row.true_sha256()
        return row


class AddressGivesWhatItWasMadeFor(Backend):
    """An address gives the bytes that its object had when it was read by it first."""

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self._given: dict[tuple[str, str], bytes] = {}

    def served(self, method: str, namespace: str, key: str) -> bytes | None:
        data = super().served(method, namespace, key)
        if data is None:
            self._given.pop((namespace, key), None)
            return None
        return self._given.setdefault((namespace, key), data)


class AddressKeepsItsLength(Backend):
    """An address gives as many bytes as there were when it was used first."""

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self._lengths: dict[tuple[str, str], int] = {}

    def served(self, method: str, namespace: str, key: str) -> bytes | None:
        data = super().served(method, namespace, key)
        if data is None:
            return None
        return data[: self._lengths.setdefault((namespace, key), len(data))]


class AddressTakesPlusForABlank(Backend):
    """The path of an address is decoded like a form."""

    def served(self, method: str, namespace: str, key: str) -> bytes | None:
        return super().served(method, namespace, key.replace("+", " "))


class HandleEndsAtAMebibyteLessOne(Backend):
    """The last byte of the largest object cannot be read through its handle."""

    def object_behind(self, token: str, *, write: bool) -> Content:
        content = super().object_behind(token, write=write)
        if content.size_bytes >= _KIB * _KIB:
            content.write(content.size_bytes - 1, b"\0")
        return content


MUTANTS = (
    planted("IMG-05", PartsAreJoinedInTextOrder),
    planted("IMG-05", PartsPastTheFirstPageAreLost),
    planted("IMG-05", EqualPartsAreKeptOnce),
    planted("IMG-05", ReplacedPartsAreCut),
    planted("IMG-05", OldReferencesAreTaken),
    planted("IMG-05", LastPartAtTheMinimumIsRefused),
    planted("IMG-05", EmptyPartsAreRefused),
    planted("IMG-19", AbortedPartsComeBack),
    planted("IMG-19", ReopenedUploadKeepsItsFirstKey),
    planted("IMG-19", OldVersionComesBack),
    planted("IMG-19", CompletedAgainAfterItsDelete),
    planted("IMG-01", ShorterObjectKeepsTheTail),
    planted("IMG-15", ReplacedObjectKeepsItsKind),
    planted("IMG-01", HeadOfTheReplaced),
    planted("IMG-10", ListOfTheReplaced),
    planted("IMG-01", HandleOfTheReplaced),
    planted("IMG-04", RangeOffsetsWrap),
    planted("IMG-04", RangesEndAtTheirBuffer),
    planted("IMG-08", LargestObjectIsRefused),
    planted("IMG-01", ContentTypeLosesItsParameters),
    planted("CPY-01", CopyOfManyPartsIsCut),
    planted("IMG-13", AddressGivesWhatItWasMadeFor),
    planted("IMG-13", AddressKeepsItsLength),
    planted("IMG-13", AddressTakesPlusForABlank),
    planted("IMG-01", HandleEndsAtAMebibyteLessOne),
)
