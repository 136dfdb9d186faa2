"""Defects in what a driver declares, and in how it treats the process it runs in."""

import asyncio
import os
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.capabilities import (
    CloneCapabilities,
    ImageCapabilities,
    PrimaryCapabilities,
    ResizeCapabilities,
)
from holdfast.contract.errors import Unsupported
from holdfast.contract.ports import ImageDriver, PrimaryDriver
from holdfast.contract.requests import CallContext
from holdfast.layers import ImageGuard, PrimaryGuard
from holdfast.layers.guard import Guard, Rule
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES, PRIMARY_CAPABILITIES
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.provider import MemoryProvider


class GetVolumeTakesNoContext(MemoryPrimaryDriver):
    """A method has another signature than its port, so that every call of it fails."""

    async def get_volume(self, request: requests.GetVolume) -> answers.VolumeInfo:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] - the defect  # fmt: skip
        return self.info(self.volume(self.store(), request.key))


class ListIsNotAsynchronous(MemoryImageDriver):
    """A verb is an ordinary function where the port has an asynchronous one."""

    def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] - the defect  # fmt: skip
        return answers.ObjectPage(items=())


class CapabilitiesDrift(MemoryPrimaryDriver):
    """The capability document is another one each time it is read."""

    readings = count(1)

    @property
    def capabilities(self) -> PrimaryCapabilities:
        volume = msgspec.structs.replace(
            PRIMARY_CAPABILITIES.volume, volumes_max=64 + next(self.readings)
        )
        return msgspec.structs.replace(PRIMARY_CAPABILITIES, volume=volume)


class CapabilitiesDependOnTheProcess(MemoryImageDriver):
    """The capability document differs from process to process."""

    @property
    def capabilities(self) -> ImageCapabilities:
        upload = msgspec.structs.replace(
            IMAGE_CAPABILITIES.upload, object_max_bytes=2**20 + os.getpid()
        )
        return msgspec.structs.replace(IMAGE_CAPABILITIES, upload=upload)


class SnapshotsEndReverting(MemoryPrimaryDriver):
    """A driver stops declaring that it reverts once it holds a snapshot."""

    @property
    def capabilities(self) -> PrimaryCapabilities:
        declared = super().capabilities
        store = self.backend.stores.get((self.role, self.namespace))
        if store is None or not store.snapshots or declared.snapshot is None:
            return declared
        snapshot = msgspec.structs.replace(declared.snapshot, revert=False)
        return msgspec.structs.replace(declared, snapshot=snapshot)


class DeclaresRevertAndRefusesIt(MemoryPrimaryDriver):
    """A declared verb never works."""

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        raise Unsupported("reverting is not implemented", object=request.key)


class DeclaresClonesAndRefusesThem(MemoryPrimaryDriver):
    """A declared kind of source never works."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        if isinstance(request.source, requests.VolumeSource):
            raise Unsupported("cloning is not implemented", object=request.key)
        return await super().create_volume(ctx, request)


class _LeakyGuard(Guard):
    """A guard that lets the undeclared through."""

    def admit(self, rule: Rule, request: requests.Request) -> None:
        try:
            super().admit(rule, request)
        except Unsupported:
            return


class _NoShrink(MemoryPrimaryDriver):
    @property
    def capabilities(self) -> PrimaryCapabilities:
        resize = ResizeCapabilities(shrink=False, online=True)
        return msgspec.structs.replace(PRIMARY_CAPABILITIES, resize=resize)


class _NoVolumeSource(MemoryPrimaryDriver):
    @property
    def capabilities(self) -> PrimaryCapabilities:
        clone = CloneCapabilities(from_snapshot=True, from_volume=False, from_data=True)
        return msgspec.structs.replace(PRIMARY_CAPABILITIES, clone=clone)


class _NoRange(MemoryImageDriver):
    @property
    def capabilities(self) -> ImageCapabilities:
        return msgspec.structs.replace(IMAGE_CAPABILITIES, range=None)


class ShrinksAlthoughUndeclared(MemoryProvider):
    """Shrinking is not declared, and a request to shrink does so all the same."""

    primary_type = _NoShrink

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        async with super().primary(config) as driver:
            yield PrimaryGuard(driver, guard=_LeakyGuard)


class ClonesAlthoughUndeclared(MemoryProvider):
    """Volumes as a source are not declared, and work (as in kubernetes-csi/csi-test#564)."""

    primary_type = _NoVolumeSource

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        async with super().primary(config) as driver:
            yield PrimaryGuard(driver, guard=_LeakyGuard)


class ReadsRangesAlthoughUndeclared(MemoryProvider):
    """Ranges are not declared, and work (as the features of ceph/ceph-csi#2015)."""

    image_type = _NoRange

    @asynccontextmanager
    async def image(self, config: msgspec.Struct) -> AsyncIterator[ImageDriver]:
        async with super().image(config) as driver:
            yield ImageGuard(driver, guard=_LeakyGuard)


class HealthIsAlwaysUp(MemoryPrimaryDriver):
    """A backend that is down is reported as up."""

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        return answers.HealthInfo(state=answers.HealthState.UP)


class HealthNamesNothing(MemoryImageDriver):
    """A backend that is down is reported without saying what failed."""

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        info = await super().health(ctx, request)
        return msgspec.structs.replace(info, dependency="", detail="")


class HealthWaitsForTheBackend(MemoryPrimaryDriver):
    """The question for health waits for the backend that is down (as apache/cloudstack#2890)."""

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        if self.backend.down:
            await asyncio.sleep(max(0.0, ctx.deadline - runtime().now()) + 0.2)
        return await super().health(ctx, request)


class PrintsToStdout(MemoryPrimaryDriver):
    """A driver prints to standard output, where results belong."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        print(f"creating {request.key}")  # noqa: T201 - this is the defect
        return await super().create_volume(ctx, request)


class ForksTheProcess(MemoryPrimaryDriver):
    """A driver forks the process that it is a guest in."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)  # noqa: ASYNC222 - the defect itself
        return await super().create_volume(ctx, request)


class ExitsTheProcess(MemoryPrimaryDriver):
    """A driver ends the process that it is a guest in."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        os._exit(3)


class RaisesSystemExit(MemoryImageDriver):
    """A driver asks the interpreter to end."""

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        raise SystemExit("the configuration is wrong")


class HangsForEver(MemoryPrimaryDriver):
    """A driver blocks the event loop and never comes back."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        while True:
            select.select([], [], [], 1.0)  # noqa: ASYNC210, RUF100 - this is the defect


class LeavesATaskRunning(MemoryImageDriver):
    """A driver starts a task that outlives the call that started it."""

    running: set[asyncio.Task[None]] = set()  # noqa: RUF012 - shared on purpose, as the defect is

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        self.running.add(asyncio.create_task(asyncio.sleep(3600)))
        return await super().start_upload(ctx, request)


MUTANTS = (
    planted("CAP-01", GetVolumeTakesNoContext),
    planted("CAP-01", ListIsNotAsynchronous),
    planted("CAP-02", CapabilitiesDrift),
    planted("CAP-02", CapabilitiesDependOnTheProcess),
    planted("CAP-02", SnapshotsEndReverting),
    planted("CAP-03", DeclaresRevertAndRefusesIt),
    planted("CAP-03", DeclaresClonesAndRefusesThem),
    planted("CAP-04", ShrinksAlthoughUndeclared),
    planted("CAP-04", ClonesAlthoughUndeclared),
    planted("CAP-04", ReadsRangesAlthoughUndeclared),
    planted("CAP-06", HealthIsAlwaysUp),
    planted("CAP-06", HealthNamesNothing),
    planted("CAP-06", HealthWaitsForTheBackend),
    planted("CAP-07", PrintsToStdout),
    planted("CAP-07", ForksTheProcess),
    planted("CAP-07", ExitsTheProcess),
    planted("CAP-07", RaisesSystemExit),
    planted("CAP-07", HangsForEver),
    planted("CAP-07", LeavesATaskRunning),
)
