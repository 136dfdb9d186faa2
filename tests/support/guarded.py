"""Guards around drivers that answer what a test tells them to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from holdfast.contract import requests
from holdfast.contract.capabilities import (
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    PrimaryCapabilities,
    QosCapabilities,
    RangeCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    UploadCapabilities,
    UrlCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.handles import FileHandle
from holdfast.contract.requests import CallContext, PartReference, Request, verb_of
from holdfast.layers import (
    ImageGuard,
    PrimaryGuard,
    guard_image,
    guard_primary,
)

CTX = CallContext(operation="op-1", deadline=1e9)
BARE = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=4096, size_max_bytes=40960, size_granularity_bytes=4096
    ),
    access=AccessCapabilities(modes=(AccessMode.EXCLUSIVE,)),
)
FULL = msgspec.structs.replace(
    BARE,
    resize=ResizeCapabilities(shrink=False),
    snapshot=SnapshotCapabilities(),
    clone=CloneCapabilities(from_snapshot=True),
    qos=QosCapabilities(iops_min=10, iops_max=100),
)
BARE_IMAGE = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=100,
        part_min_bytes=10,
        part_max_bytes=40,
        parts_max=3,
        kinds=(ObjectKind.ISO,),
    ),
    list=ListCapabilities(page_max=5, delimiter=False),
)
FULL_IMAGE = msgspec.structs.replace(
    BARE_IMAGE,
    range=RangeCapabilities(suffix=False),
    url=UrlCapabilities(expires_max_s=60.0),
)


class Scripted:
    """A driver that answers every verb with one thing, and counts how often it was asked."""

    def __init__(self, capabilities: Any, answer: Any = None) -> None:
        self.capabilities = capabilities
        self.asked: list[str] = []
        self._answer = answer

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        async def called(*_: object) -> Any:
            self.asked.append(verb)
            if isinstance(self._answer, BaseException):
                raise self._answer
            return self._answer

        return called


def primary(driver: Any) -> PrimaryGuard:
    return guard_primary(driver)


def image(driver: Any) -> ImageGuard:
    return guard_image(driver)


def call(guard: Any, request: Request) -> Any:
    return asyncio.run(getattr(guard, verb_of(request))(CTX, request))


def part(number: int, size_bytes: int) -> PartReference:
    return PartReference(number=number, size_bytes=size_bytes, tag="t")


def completing(*parts: PartReference, sha256: str = "0" * 64) -> Request:
    return requests.CompleteUpload(upload="u", parts=parts, size_bytes=1, sha256=sha256)


QOS = requests.Qos(iops_min=20, iops_max=50)
HANDLE = FileHandle(path="/x", size_bytes=1)
