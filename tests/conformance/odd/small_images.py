"""Image stores in memory that declare less than the reference driver does."""

import msgspec

from holdfast.capabilities import (
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    UploadCapabilities,
)
from holdfast.requests import Role
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES
from holdfast_drivers.memory.image import MemoryImageDriver
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


class PlainProvider(MemoryProvider):
    roles = (Role.IMAGE,)
    image_type = PlainImageDriver


class PoorProvider(MemoryProvider):
    roles = (Role.IMAGE,)
    image_type = PoorImageDriver
