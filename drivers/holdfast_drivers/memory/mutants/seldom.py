"""Defects in what few stores declare: limits of I/O, and copies of volumes made by the backend."""

from typing import ClassVar

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.capabilities import CopyCapabilities, PrimaryCapabilities, QosCapabilities
from holdfast.contract.errors import Conflict
from holdfast.contract.requests import CallContext, Qos
from holdfast_drivers.memory.backend import Backend, Store, Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class _Limiting(MemoryPrimaryDriver):
    """A driver that limits I/O, and is right."""

    _limits: ClassVar[dict[str, Qos]] = {}

    @property
    def limits(self) -> dict[str, Qos]:
        """The limits of volumes, by their ids."""
        return self._limits

    @property
    def capabilities(self) -> PrimaryCapabilities:
        qos = QosCapabilities(iops_min=100, iops_max=10_000)
        return msgspec.structs.replace(PRIMARY_CAPABILITIES, qos=qos)

    def info(self, volume: Volume) -> answers.VolumeInfo:
        return msgspec.structs.replace(super().info(volume), qos=self.limits.get(volume.id))

    async def modify_volume(
        self, ctx: CallContext, request: requests.ModifyVolume
    ) -> answers.VolumeInfo:
        volume = self.volume(self.store(), request.key)
        self.limits[volume.id] = request.qos
        return self.info(volume)


class LimitsAreOnlyReported(_Limiting):
    """Limits are in the answer of what set them, and nowhere else."""

    async def modify_volume(
        self, ctx: CallContext, request: requests.ModifyVolume
    ) -> answers.VolumeInfo:
        volume = self.volume(self.store(), request.key)
        return msgspec.structs.replace(self.info(volume), qos=request.qos)


class LimitsEndWithTheDriver(_Limiting):
    """Limits are kept in the driver's memory, and end when it is closed."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._own: dict[str, Qos] = {}

    @property
    def limits(self) -> dict[str, Qos]:
        return self._own


class GrowingForgetsTheLimits(_Limiting):
    """A volume that grew has no limits any more."""

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        super().set_size(volume, size_bytes)
        self.limits.pop(volume.id, None)


class LimitsOnlyRise(_Limiting):
    """A lower limit than the one before is not set."""

    async def modify_volume(
        self, ctx: CallContext, request: requests.ModifyVolume
    ) -> answers.VolumeInfo:
        volume = self.volume(self.store(), request.key)
        earlier = self.limits.get(volume.id)
        if earlier is not None and request.qos.iops_max < earlier.iops_max:
            return self.info(volume)
        return await super().modify_volume(ctx, request)


class _Copying(MemoryPrimaryDriver):
    """A driver that copies volumes by itself, and is right."""

    @property
    def capabilities(self) -> PrimaryCapabilities:
        return msgspec.structs.replace(PRIMARY_CAPABILITIES, copy=CopyCapabilities())

    def copied(self, content: Content) -> Content:
        """The bytes of a copy."""
        return content.copy()

    def place(self) -> Store:
        """The store that takes the copy in."""
        return self.allocating_store()

    def check_target(self, there: Volume | None, source: Volume) -> None:
        """``Conflict`` where the target's key holds another volume."""
        if there is not None and not there.content.same_as(source.content):
            raise Conflict("the key is taken by another volume", object=there.key)

    async def copy_volume(
        self, ctx: CallContext, request: requests.CopyVolume
    ) -> answers.VolumeInfo:
        store = self.place()
        source = self.volume(store, request.key)
        there = store.volumes.get(request.target)
        self.check_target(there, source)
        if there is not None:
            return self.info(there)
        content = self.copied(source.content)
        self.check_volume_limits(store, content.size_bytes)
        identifier = runtime().new_id("vol")
        copy = Volume(request.target, identifier, content, None, ctx.operation)
        store.volumes[request.target] = copy
        return self.info(copy)


class VolumeCopySharesItsBytes(_Copying):
    """What is written to a volume is seen in its copy."""

    def copied(self, content: Content) -> Content:
        return content


class VolumeCopyIsEmpty(_Copying):
    """A copy has its source's size, and nothing else of it."""

    def copied(self, content: Content) -> Content:
        return Content(content.size_bytes)


class VolumeCopyIgnoresMaintenance(_Copying):
    """A store at rest takes a copy in."""

    def place(self) -> Store:
        return self.store()


class VolumeCopyReplacesItsTarget(_Copying):
    """What is under the target's key gets the bytes of the source."""

    def check_target(self, there: Volume | None, source: Volume) -> None:
        if there is not None:
            there.content = source.content.copy()


MUTANTS = (
    planted("QOS-01", LimitsAreOnlyReported),
    planted("QOS-01", LimitsEndWithTheDriver),
    planted("QOS-01", GrowingForgetsTheLimits),
    planted("QOS-01", LimitsOnlyRise),
    planted("CPY-01", VolumeCopySharesItsBytes),
    planted("CPY-01", VolumeCopyIsEmpty),
    planted("CPY-02", VolumeCopyIgnoresMaintenance),
    planted("CPY-02", VolumeCopyReplacesItsTarget),
)
