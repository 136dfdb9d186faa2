"""Image stores that are unusual and right: each end of each capability and limit.

``UNUSUAL`` names them all; the tests certify each.
"""

from typing import Any

import msgspec
from declared_memory import DeclaredImage, DeclaredImages
from unusual_layers import Laconic, Slow

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import (
    BYTES_MAX,
    CopyCapabilities,
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    RangeCapabilities,
    UrlCapabilities,
)
from holdfast.contract.errors import Conflict, Corrupt, OutOfRange
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import StoredObject
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES

_USUAL = IMAGE_CAPABILITIES


def _but(**parts: Any) -> ImageCapabilities:
    """What the reference driver declares, but for these parts."""
    return msgspec.structs.replace(_USUAL, **parts)


def _upload(**limits: Any) -> ImageCapabilities:
    return _but(upload=msgspec.structs.replace(_USUAL.upload, **limits))


class OnePart(DeclaredImage):
    declared = _upload(parts_max=1)


class TwoParts(DeclaredImage):
    declared = _upload(parts_max=2)


class OneSizeOfParts(DeclaredImage):
    declared = _upload(part_min_bytes=4096, part_max_bytes=4096)


class PartsOfAnySize(DeclaredImage):
    declared = _upload(part_min_bytes=0)


class PartsOfOneByte(DeclaredImage):
    declared = _upload(part_min_bytes=1, part_max_bytes=1, parts_max=10_000)


class ObjectsOfOneByte(DeclaredImage):
    declared = _upload(object_max_bytes=1)


class TinyObjects(DeclaredImage):
    declared = _upload(object_max_bytes=40)


class HugeObjects(DeclaredImage):
    declared = _upload(
        object_max_bytes=BYTES_MAX, part_min_bytes=0, part_max_bytes=BYTES_MAX, parts_max=1 << 40
    )


class OneKind(DeclaredImage):
    declared = _upload(kinds=(ObjectKind.SNAPSHOT,))


class OneItemPages(DeclaredImage):
    declared = _but(list=ListCapabilities(page_max=1))


class EndlessPages(DeclaredImage):
    declared = _but(list=ListCapabilities(page_max=1 << 40))


class NoDelimiter(DeclaredImage):
    declared = _but(list=ListCapabilities(page_max=1000, delimiter=False))


class NoRanges(DeclaredImage):
    declared = _but(range=None)


class NoSuffixRanges(DeclaredImage):
    declared = _but(range=RangeCapabilities(suffix=False))


class NoCopies(DeclaredImage):
    declared = _but(copy=None)


class CopiesByHand(DeclaredImage):
    declared = _but(copy=CopyCapabilities(native=False))


class NoFences(DeclaredImage):
    declared = _but(fences=False)


class NoAddresses(DeclaredImage):
    declared = _but(url=None)


class AddressesOfASecond(DeclaredImage):
    declared = _but(url=UrlCapabilities(expires_max_s=1.0))


class AddressesOfHalfASecond(DeclaredImage):
    declared = _but(url=UrlCapabilities(expires_max_s=0.5))


class AddressesForEver(DeclaredImage):
    declared = _but(url=UrlCapabilities(expires_max_s=float(1 << 40)))


class Brief(DeclaredImage):
    layer = Laconic


class Unhurried(DeclaredImage):
    layer = Slow


class _ShortPages(DeclaredImages):
    """A page has fewer items than were asked for, and a token says that there are more."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        fewer = msgspec.structs.replace(request, limit=-(-request.limit // 2))
        return await super().list(ctx, fewer)


class ShortPages(DeclaredImage):
    image_type = _ShortPages


class _OddIds(DeclaredImages):
    """Ids that look like paths, keys of others, or sentences, and are as long as may be."""

    def info(self, stored: StoredObject) -> answers.ObjectInfo:
        if not stored.id.startswith("../"):
            stored.id = f"../{stored.id}%2f\u2603 'or 1=1".ljust(120, "-")
        return super().info(stored)


class OddIds(DeclaredImage):
    image_type = _OddIds


class _OtherReadings(DeclaredImages):
    """What the contract leaves open is read as few do."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        if -offset_bytes > len(data):
            raise OutOfRange("there is less than that to read from the end")
        if offset_bytes == len(data):
            return offset_bytes, b""
        return super().cut(data, offset_bytes, length_bytes)

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        try:
            return await super().complete_upload(ctx, request)
        except Corrupt:
            self.store().uploads.pop(request.upload, None)
            raise

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        store = self.store()
        upload = store.uploads.get(request.upload)
        if upload is None and self.made_by(store, request.upload) is not None:
            raise Conflict("the upload became an object", object=request.upload)
        if upload is not None and self.same_upload(upload, request):
            return answers.UploadInfo(upload=request.upload, key=request.key)
        return await super().start_upload(ctx, request)


class OtherReadings(DeclaredImage):
    image_type = _OtherReadings


UNUSUAL = tuple(
    name
    for name, kind in list(globals().items())
    if isinstance(kind, type) and issubclass(kind, DeclaredImage) and kind is not DeclaredImage
)
