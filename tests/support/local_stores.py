"""Stores of the local driver for tests: open, fill, look."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from holdfast.contract import requests
from holdfast.contract.answers import VolumeInfo
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.handles import FileHandle
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext, Role
from holdfast.data.whole_objects import ObjectName, put_object
from holdfast.files.mutations import Mutation, MutationKind
from holdfast_drivers.local import LocalProvider
from holdfast_drivers.local.config import LocalConfig

T = TypeVar("T")
MIB = 1 << 20
CTX = CallContext(operation="op-test", deadline=1e12)


def context() -> CallContext:
    return CTX


class Store:
    """A store in a folder; each ``primary`` or ``image`` is one more driver on it."""

    def __init__(self, config: LocalConfig, stack: AsyncExitStack) -> None:
        self.config = config
        self.folder = Path(config.root) / config.namespace
        self._stack = stack

    async def life_cycle(self, role: Role) -> LifeCycle:
        opened = LocalProvider().life_cycle(self.config, role)
        return await self._stack.enter_async_context(opened)

    async def primary(self) -> PrimaryDriver:
        return await self._stack.enter_async_context(LocalProvider().primary(self.config))

    async def image(self) -> ImageDriver:
        return await self._stack.enter_async_context(LocalProvider().image(self.config))


def with_store(
    root: Path, use: Callable[[Store], Awaitable[T]], *, capacity_bytes: int | None = None
) -> T:
    """Use a fresh store of both roles in ``root``, with one host attached."""

    async def main() -> T:
        config = LocalConfig(root=str(root), namespace="space", capacity_bytes=capacity_bytes)
        async with AsyncExitStack() as stack:
            store = Store(config, stack)
            for role in Role:
                life_cycle = await store.life_cycle(role)
                await life_cycle.initialize(CTX, requests.InitializeStore(name="store"))
                await life_cycle.attach(CTX, requests.AttachHost(host="host"))
            return await use(store)

    return asyncio.run(main())


async def create(driver: PrimaryDriver, key: str, size_bytes: int = MIB) -> VolumeInfo:
    return await driver.create_volume(CTX, requests.CreateVolume(key=key, size_bytes=size_bytes))


async def opened(driver: PrimaryDriver, key: str) -> FileHandle:
    await driver.grant(CTX, requests.Grant(volume=key, host="host"))
    handle = await driver.open(CTX, requests.Open(volume=key, host="host"))
    assert isinstance(handle, FileHandle)
    return handle


async def put(driver: ImageDriver, key: str, data: bytes, upload: str = "up") -> str:
    async def source() -> AsyncIterator[bytes]:
        yield data

    name = ObjectName(upload=upload, key=key, kind=ObjectKind.TEMPLATE)
    return (await put_object(driver, context, name, source())).sha256


class Failing:
    """Refuses one kind of mutation as a full or broken disk would."""

    def __init__(self, kind: MutationKind, number: int) -> None:
        self._kind = kind
        self._number = number

    def before(self, mutation: Mutation) -> None:
        if mutation.kind is self._kind:
            raise OSError(self._number, os.strerror(self._number), mutation.path)

    def after(self, mutation: Mutation) -> None:
        """Nothing to see."""
