"""Stores on a running S3 server, and a client that breaks off before any of its requests."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from holdfast.contract import requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Unknown
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.config import S3Config
from holdfast_drivers.s3.testbed import S3Testbed
from races import Interruptible
from running_testbeds import Running, has_another_server

T = TypeVar("T")


KINDS = ("embedded", "container") if has_another_server() else ("embedded",)


class Breaking(Interruptible, Bucket):
    """A client whose process dies, as it were, before one of its requests, or that lets another
    call run before one.
    """

    left = 1 << 30

    async def _within(self, call: Call, operation: str, request: Coroutine[Any, Any, T]) -> T:
        self.left -= 1
        if self.left < 0:
            request.close()
            raise Unknown("the process died")
        await self.let_come()
        return await super()._within(call, operation, request)


def breaking(driver: ImageDriver) -> Breaking:
    """Another client of an open driver's store."""
    inside: Any = driver
    return Breaking(raw_client(driver), inside._config)


def raw_client(driver: ImageDriver) -> Any:
    """What an open driver speaks to its server with."""
    inside: Any = driver
    return inside._bucket._client


def context() -> CallContext:
    return CallContext(operation="test", deadline=asyncio.get_running_loop().time() + 60)


def in_store(
    bed: Running, namespace: str, work: Callable[[ImageDriver, S3Config], Awaitable[T]]
) -> T:
    """Run something with the driver of a new store, which is removed afterwards."""

    async def run() -> T:
        config = bed.testbed.config(Role.IMAGE, namespace)
        assert isinstance(config, S3Config)
        async with bed.provider.life_cycle(config, Role.IMAGE) as life_cycle:
            await life_cycle.initialize(context(), requests.InitializeStore(name=namespace))
        try:
            async with bed.provider.image(config) as driver:
                return await work(driver, config)
        finally:
            await bed.testbed.remove(Role.IMAGE, namespace)

    return bed.run(run())


async def put(driver: ImageDriver, key: str, *parts: bytes, upload: str = "") -> str:
    """Store an object in these parts; returns its id."""
    name = upload or f"upload-of-{key}"
    start = requests.StartUpload(upload=name, key=key, kind=ObjectKind.TEMPLATE)
    await driver.start_upload(context(), start)
    sent = [
        (
            await driver.upload_part(
                context(), requests.UploadPart(upload=name, number=number, data=data)
            )
        ).part
        for number, data in enumerate(parts, 1)
    ]
    whole = b"".join(parts)
    done = requests.CompleteUpload(
        upload=name,
        parts=tuple(sent),
        size_bytes=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
    )
    return (await driver.complete_upload(context(), done)).id


async def get(driver: ImageDriver, key: str) -> bytes:
    return (await driver.get(context(), requests.GetObject(key=key))).data


def client_of(bed: Running) -> Any:
    assert isinstance(bed.testbed, S3Testbed)
    return bed.testbed.client
