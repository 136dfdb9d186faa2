"""Image stores in memory that declare less than the reference driver does."""

from typing import ClassVar

import msgspec

from holdfast.contract.answers import ObjectInfo, UploadInfo
from holdfast.contract.capabilities import (
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    UploadCapabilities,
)
from holdfast.contract.errors import Conflict, Invalid
from holdfast.contract.requests import CallContext, CompleteUpload, Role, StartUpload
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.provider import MemoryProvider


class PlainImageDriver(MemoryImageDriver):
    @property
    def capabilities(self) -> ImageCapabilities:
        return msgspec.structs.replace(IMAGE_CAPABILITIES, copy=None, url=None)


class PoorImageDriver(MemoryImageDriver):
    """One part, one kind, one item on a page, no ranges, no folding of keys."""

    @property
    def capabilities(self) -> ImageCapabilities:
        declared = IMAGE_CAPABILITIES.upload
        return ImageCapabilities(
            upload=UploadCapabilities(
                object_max_bytes=declared.part_max_bytes,
                part_min_bytes=1,
                part_max_bytes=declared.part_max_bytes,
                parts_max=1,
                kinds=(ObjectKind.ISO,),
            ),
            list=ListCapabilities(page_max=1, delimiter=False),
        )


class StrictImageDriver(MemoryImageDriver):
    """An upload key is for one upload; what was completed is answered for those who ask the same.

    What the upload made is told even when it was replaced or deleted since.
    """

    _made: ClassVar[dict[tuple[str, str], tuple[CompleteUpload, ObjectInfo]]] = {}

    async def start_upload(self, ctx: CallContext, request: StartUpload) -> UploadInfo:
        if (self.store().id, request.upload) in self._made:
            raise Conflict("an upload of this key was completed", object=request.upload)
        return await super().start_upload(ctx, request)

    async def complete_upload(self, ctx: CallContext, request: CompleteUpload) -> ObjectInfo:
        self.store().fences.compare(Fenced.UPLOAD, request.upload, ctx.fence)
        place = (self.store().id, request.upload)
        if place not in self._made:
            self._made[place] = (request, await super().complete_upload(ctx, request))
        earlier, info = self._made[place]
        if earlier != request:
            raise Invalid("this is not what was completed", object=request.upload)
        return info


class PlainProvider(MemoryProvider):
    roles = (Role.IMAGE,)
    image_type = PlainImageDriver


class StrictProvider(MemoryProvider):
    roles = (Role.IMAGE,)
    image_type = StrictImageDriver


class PoorProvider(MemoryProvider):
    roles = (Role.IMAGE,)
    image_type = PoorImageDriver
