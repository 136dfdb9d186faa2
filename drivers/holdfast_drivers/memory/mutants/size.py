"""Defects in sizes: rounding, growing, shrinking, limits."""

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.errors import Internal, OutOfRange
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

_GRANULARITY = PRIMARY_CAPABILITIES.volume.size_granularity_bytes


class RoundsDown(MemoryPrimaryDriver):
    """A size is rounded down, so that the volume is smaller than asked."""

    def rounded(self, size_bytes: int) -> int:
        return max(_GRANULARITY, size_bytes // _GRANULARITY * _GRANULARITY)


class TakesGibibytesForGigabytes(MemoryPrimaryDriver):
    """Units are mixed up, so that the volume is smaller than asked (as kubernetes#52298)."""

    def rounded(self, size_bytes: int) -> int:
        blocks = size_bytes * 1000 // 1024 // _GRANULARITY
        return max(1, blocks) * _GRANULARITY


class ReportsTheSizeAskedFor(MemoryPrimaryDriver):
    """The answer repeats the size that was asked for instead of the true one."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        answer = await super().create_volume(ctx, request)
        return msgspec.structs.replace(answer, size_bytes=request.size_bytes)


class GrowIsOnlyReported(MemoryPrimaryDriver):
    """A volume is reported as grown and was not (as apache/cloudstack#3543)."""

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        volume = self.volume(self.store(), request.key)
        size_bytes = self.rounded(request.size_bytes)
        if size_bytes > volume.content.size_bytes:
            return msgspec.structs.replace(self.info(volume), size_bytes=size_bytes)
        return await super().resize_volume(ctx, request)


class GrowReportsTheOldSize(MemoryPrimaryDriver):
    """A volume grows, and the answer says that it did not (as cloudstack pull request 6005)."""

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        before = self.info(self.volume(self.store(), request.key))
        await super().resize_volume(ctx, request)
        return before


class GrowsHalfWay(MemoryPrimaryDriver):
    """A volume grows by half of what was asked (as gluster/glusterfs#716)."""

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        growth = max(0, size_bytes - volume.content.size_bytes)
        super().set_size(volume, size_bytes - growth // 2 // _GRANULARITY * _GRANULARITY)


class ShrinksWithoutBeingAsked(MemoryPrimaryDriver):
    """A resize to a smaller size shrinks although it does not say so (as cloudstack#12297)."""

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        return await super().resize_volume(ctx, msgspec.structs.replace(request, shrink=True))


class ShrinkLosesThePrefix(MemoryPrimaryDriver):
    """Shrinking loses the bytes that should stay."""

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        if size_bytes < volume.content.size_bytes:
            volume.content.blocks.clear()
        super().set_size(volume, size_bytes)


class SameSizeIsRefused(MemoryPrimaryDriver):
    """A resize to the size that the volume has fails."""

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        volume = self.volume(self.store(), request.key)
        if volume.content.size_bytes == self.rounded(request.size_bytes):
            raise OutOfRange("the volume has this size already", object=request.key)
        return await super().resize_volume(ctx, request)


class CloneKeepsTheSizeOfItsSource(MemoryPrimaryDriver):
    """A larger volume made from a source has the source's size (as linstor-csi#138)."""

    def clone(self, content: Content, size_bytes: int) -> Content:
        return content.copy()


class CloneOnlyReportsItsSize(MemoryPrimaryDriver):
    """A larger volume made from a source only says that it is larger (as kubernetes#94929)."""

    def clone(self, content: Content, size_bytes: int) -> Content:
        return content.copy()

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        answer = await super().create_volume(ctx, request)
        return msgspec.structs.replace(answer, size_bytes=self.rounded(request.size_bytes))


class SizesHaveThirtyTwoBits(MemoryPrimaryDriver):
    """Sizes are cut to 32 bits, so that 4 GiB and one block become one block."""

    def rounded(self, size_bytes: int) -> int:
        return super().rounded(size_bytes % 2**32) or _GRANULARITY


class TheLargestSizeIsRefused(MemoryPrimaryDriver):
    """The declared maximum itself cannot be had."""

    def rounded(self, size_bytes: int) -> int:
        if size_bytes >= PRIMARY_CAPABILITIES.volume.size_max_bytes:
            raise OutOfRange("the volume would be too large")
        return super().rounded(size_bytes)


class OneByteBreaksTheArithmetic(MemoryPrimaryDriver):
    """The smallest size is rounded to nothing."""

    def rounded(self, size_bytes: int) -> int:
        if size_bytes < _GRANULARITY:
            raise Internal("a volume of 0 blocks cannot be made")
        return super().rounded(size_bytes)


MUTANTS = (
    planted("SIZ-01", RoundsDown),
    planted("SIZ-01", TakesGibibytesForGigabytes),
    planted("SIZ-01", ReportsTheSizeAskedFor),
    planted("SIZ-02", GrowIsOnlyReported),
    planted("SIZ-02", GrowReportsTheOldSize),
    planted("SIZ-02", GrowsHalfWay),
    planted("SIZ-04", ShrinksWithoutBeingAsked),
    planted("SIZ-04", ShrinkLosesThePrefix),
    planted("SIZ-04", SameSizeIsRefused),
    planted("SIZ-05", CloneKeepsTheSizeOfItsSource),
    planted("SIZ-05", CloneOnlyReportsItsSize),
    planted("SIZ-07", SizesHaveThirtyTwoBits),
    planted("SIZ-07", TheLargestSizeIsRefused),
    planted("SIZ-07", OneByteBreaksTheArithmetic),
)
