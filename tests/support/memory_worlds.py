"""A store of the reference driver that is ready for use, with all its ports open."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import Inspected
from holdfast.data import BLOCK_BYTES, open_block_io
from holdfast.layers import LifeCycleGuard, PrimaryGuard
from holdfast.stores.open_store import open_life_cycle, open_primary
from holdfast_drivers.memory import MemoryProvider
from holdfast_drivers.memory.backend import Backend
from holdfast_drivers.memory.config import MemoryConfig
from holdfast_drivers.memory.testbed import MemoryTestbed, start_backend
from worlds import tell_in

CTX = CallContext(operation="op-1", deadline=1e9)
BLOCK = BLOCK_BYTES


class World(NamedTuple):
    """A primary store in memory, its life cycle and its testbed."""

    driver: PrimaryGuard
    life_cycle: LifeCycleGuard
    testbed: MemoryTestbed
    config: MemoryConfig

    async def create(
        self, key: str, size: int = BLOCK, source: requests.Source | None = None
    ) -> answers.VolumeInfo:
        request = requests.CreateVolume(key=key, size_bytes=size, source=source)
        return await self.driver.create_volume(CTX, request)

    async def snapshot(self, key: str, volume: str) -> answers.SnapshotInfo:
        return await self.driver.create_snapshot(
            CTX, requests.CreateSnapshot(key=key, volume=volume)
        )

    async def grant(
        self, volume: str, host: str = "host-a", mode: AccessMode = AccessMode.EXCLUSIVE
    ) -> answers.GrantInfo:
        return await self.driver.grant(CTX, requests.Grant(volume=volume, host=host, mode=mode))

    async def revoke(self, volume: str, host: str = "host-a") -> answers.Gone:
        return await self.driver.revoke(CTX, requests.Revoke(volume=volume, host=host))

    async def write(self, volume: str, block: int, fill: bytes, host: str = "host-a") -> None:
        handle = await self.driver.open(CTX, requests.Open(volume=volume, host=host))
        async with open_block_io(handle) as content:
            await content.write_at(block * BLOCK, fill * BLOCK)
            await content.flush()

    async def read(self, volume: str, block: int, host: str = "host-a") -> bytes:
        handle = await self.driver.open(CTX, requests.Open(volume=volume, host=host))
        async with open_block_io(handle) as content:
            return await content.read_at(block * BLOCK, BLOCK)

    async def delete(self, key: str) -> answers.Gone:
        return await self.driver.delete_volume(CTX, requests.DeleteVolume(key=key))

    async def resize(self, key: str, size: int, *, shrink: bool = False) -> answers.VolumeInfo:
        request = requests.ResizeVolume(key=key, size_bytes=size, shrink=shrink)
        return await self.driver.resize_volume(CTX, request)

    async def revert(self, key: str, snapshot: str) -> answers.VolumeInfo:
        return await self.driver.revert_volume(
            CTX, requests.RevertVolume(key=key, snapshot=snapshot)
        )

    async def stats(self) -> answers.StatsInfo:
        return await self.driver.stats(CTX, requests.GetStats())

    async def things(self) -> tuple[Inspected, ...]:
        return (await self.testbed.inspector(Role.PRIMARY, "ns").inventory()).things

    async def digest(self, key: str) -> str:
        return next(thing.digest for thing in await self.things() if thing.key == key)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    provider = MemoryProvider()
    testbed = MemoryTestbed(start_backend(Backend, "test"))
    config = testbed.config(Role.PRIMARY, "ns")
    async with (
        open_life_cycle(provider, config, Role.PRIMARY) as life_cycle,
        open_primary(provider, config) as driver,
    ):
        await life_cycle.initialize(CTX, requests.InitializeStore(name="store"))
        for host in ("host-a", "host-b"):
            await life_cycle.attach(CTX, requests.AttachHost(host=host))
        yield World(driver, life_cycle, testbed, config)


def tell(story: Callable[[World], Awaitable[None]]) -> None:
    tell_in(world(), story)
