"""The reference driver with little declared, so that a whole certificate of it is soon written."""

from typing import ClassVar

import msgspec

from holdfast.contract.capabilities import (
    AccessCapabilities,
    AccessMode,
    ImageCapabilities,
    PrimaryCapabilities,
)
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES, PRIMARY_CAPABILITIES
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.image import ContentTypeIsLost
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.provider import MemoryProvider

VOLUMES = PrimaryCapabilities(
    volume=PRIMARY_CAPABILITIES.volume, access=AccessCapabilities(modes=(AccessMode.SHARED,))
)
IMAGES = msgspec.structs.replace(IMAGE_CAPABILITIES, copy=None, url=None, fences=False)


class SmallPrimary(MemoryPrimaryDriver):
    @property
    def capabilities(self) -> PrimaryCapabilities:
        return VOLUMES


class SmallImages(MemoryImageDriver):
    @property
    def capabilities(self) -> ImageCapabilities:
        return IMAGES


class ForgetfulImages(SmallImages, ContentTypeIsLost):
    """Fails soon, so that a short run has a failure and its repro."""


class Small(MemoryProvider):
    name: ClassVar[str] = "small"
    primary_type: type[MemoryPrimaryDriver] = SmallPrimary
    image_type: type[MemoryImageDriver] = SmallImages


class Forgetful(Small):
    image_type: type[MemoryImageDriver] = ForgetfulImages
