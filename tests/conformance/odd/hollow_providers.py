"""Drivers with nothing in them, over the reference driver's own testbed and life cycle."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, cast

import msgspec

from holdfast.contract import answers
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.ports import ImageDriver, PrimaryDriver
from holdfast.contract.requests import CallContext, PartReference
from holdfast_drivers.memory.provider import MemoryProvider


class Hollow(MemoryProvider):
    """Yields whatever ``driver_type`` makes, in both roles."""

    driver_type: ClassVar[type[Any]] = object

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        async with super().primary(config) as real:
            yield cast("PrimaryDriver", self._hollow(real))

    @asynccontextmanager
    async def image(self, config: msgspec.Struct) -> AsyncIterator[ImageDriver]:
        async with super().image(config) as real:
            yield cast("ImageDriver", self._hollow(real))

    def _hollow(self, real: PrimaryDriver | ImageDriver) -> Any:
        driver = self.driver_type()
        if self.driver_type is not object:
            driver.capabilities = real.capabilities
        return driver


class OnlyObject(Hollow):
    """Its driver is ``object()``."""


async def _nothing(self: object, ctx: CallContext, request: Any) -> None:
    pass


async def _nothing_probed(self: object, ctx: CallContext, verb: str, request: Any) -> None:
    pass


async def _no_things(self: object, ctx: CallContext, request: Any) -> AsyncIterator[Any]:
    return
    yield


def _filled(name: str, method: Any) -> type[Any]:
    verbs = {
        verb: method
        for port in (PrimaryDriver, ImageDriver)
        for verb in dir(port)
        if not verb.startswith("_") and verb != "capabilities"
    }
    return type(name, (), {**verbs, "probe": _nothing_probed, "enumerate": _no_things})


class OnlyPass(Hollow):
    """Every method of its driver is ``pass``."""

    driver_type = _filled("PassDriver", _nothing)


async def _success(self: object, ctx: CallContext, request: Any) -> Any:
    """The most pleasing answer to a request, with nothing behind it."""
    return _PLEASING.get(request.__struct_config__.tag, _volume)(request)


def _volume(request: Any) -> answers.VolumeInfo:
    key = getattr(request, "target", request.key)
    size_bytes = getattr(request, "size_bytes", 4096)
    return answers.VolumeInfo(key=key, id=f"id-{key}", size_bytes=size_bytes)


def _snapshot(request: Any) -> answers.SnapshotInfo:
    volume = getattr(request, "volume", "v")
    return answers.SnapshotInfo(key=request.key, id=request.key, volume=volume, size_bytes=4096)


def _gone(request: Any) -> answers.Gone:
    names = (getattr(request, name, "") for name in ("key", "volume", "upload"))
    return answers.Gone(key=next(filter(None, names)))


def _part(request: Any) -> answers.PartInfo:
    part = PartReference(number=request.number, size_bytes=len(request.data), tag="t")
    return answers.PartInfo(part=part)


_PLEASING: dict[str, Callable[[Any], object]] = {
    "delete_volume": _gone,
    "delete_snapshot": _gone,
    "revoke": _gone,
    "abort_upload": _gone,
    "delete": _gone,
    "grant": lambda r: answers.GrantInfo(id="g", volume=r.volume, host=r.host, mode=r.mode),
    "create_snapshot": _snapshot,
    "get_snapshot": _snapshot,
    "start_upload": lambda r: answers.UploadInfo(upload=r.upload, key=r.key),
    "upload_part": _part,
    "open": lambda _: ExtentHandle(space="nowhere", token="t", size_bytes=4096),
    "open_object": lambda _: ExtentHandle(space="nowhere", token="t", size_bytes=4096),
    "stats": lambda _: answers.StatsInfo(
        total_bytes=1 << 40, used_bytes=0, allocated_bytes=0, objects=0
    ),
    "health": lambda _: answers.HealthInfo(state=answers.HealthState.UP),
    "pools": lambda _: answers.PoolList(items=()),
    "list_volumes": lambda _: answers.VolumePage(items=()),
    "list_snapshots": lambda _: answers.SnapshotPage(items=()),
    "list": lambda _: answers.ObjectPage(items=()),
}


class OnlyYes(Hollow):
    """Its driver answers every call with success and does nothing."""

    driver_type = _filled("YesDriver", _success)


async def _exit(self: object, ctx: CallContext, request: Any) -> None:
    os._exit(7)


class OnlyExit(Hollow):
    """Every method of its driver ends the process."""

    driver_type = _filled("ExitDriver", _exit)
