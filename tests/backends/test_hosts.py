"""What two hosts see of one volume, on bytes: moves of a grant, fencing, and reuse of names."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from fault_world import World, context
from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.errors import Corrupt, DriverError
from holdfast.contract.handles import BlockNodeHandle, FileHandle
from holdfast.contract.requests import Role
from holdfast.storage_daemon import DataPlane, Disk, Guest, use_data_plane
from running_testbeds import Running

pytestmark = pytest.mark.slow
BLOCKS = 8
_numbers = itertools.count()


class Site:
    """A store, its two hosts, and the guests on them.

    Args:
        world: the open store, attached to both hosts.
        plane: the hosts' storage daemons.
    """

    def __init__(self, world: World, plane: DataPlane) -> None:
        self.world = world
        self.plane = plane
        self.first, self.second = world.testbed.hosts[:2]

    async def grant(self, volume: str, host: str) -> BlockNodeHandle | FileHandle:
        """Let a host use a volume, and tell its daemon the secret."""
        secret = f"{runtime().random.getrandbits(60):015x}"
        mode = self.world.primary.capabilities.access.modes[0]
        request = requests.Grant(volume=volume, host=host, mode=mode, secret=secret)
        await self.world.primary.grant(context("grant"), request)
        await self.plane.granted(host, volume, secret)
        opened = requests.Open(volume=volume, host=host)
        handle = await self.world.primary.open(context("open"), opened)
        assert isinstance(handle, BlockNodeHandle | FileHandle)
        return handle

    async def revoke(self, volume: str, host: str) -> None:
        """Take the grant back at the storage only: the host's daemon is not asked to stop."""
        request = requests.Revoke(volume=volume, host=host)
        await self.world.primary.revoke(context("revoke"), request)
        self.plane.grant_ended(host, volume)

    @asynccontextmanager
    async def disk(self, host: str, volume: str) -> AsyncIterator[Disk]:
        """A volume in the guest on a host, from grant to revoke."""
        handle = await self.grant(volume, host)
        async with Guest(self.plane, host).disk(handle, volume) as disk:
            yield disk
        await self.revoke(volume, host)


def play(place: Running, story: Callable[[Site], Awaitable[None]]) -> None:
    """Play a story on a new store of a running testbed, and give everything back."""

    async def whole() -> None:
        testbed = place.testbed
        world = World(place.provider, testbed, Role.PRIMARY, f"hosts-{next(_numbers)}")
        async with world, DataPlane(testbed.place_of) as plane:
            with use_data_plane(plane):
                await world.open()
                request = requests.AttachHost(host=testbed.hosts[1])
                await world.life_cycle.attach(context("prepare"), request)
                await story(Site(world, plane))
                await world.clear()

    place.run(whole())


async def refused(work: Awaitable[None]) -> DriverError | None:
    """Why the storage refused; nothing where it did as asked, and wrong bytes are no refusal."""
    try:
        await work
    except Corrupt:
        raise
    except DriverError as error:
        return error
    return None


def test_bytes_move_with_the_grant(primary_place: Running) -> None:
    """What a guest on one host wrote is what a guest on another reads after the grant moved."""

    async def story(site: Site) -> None:
        await site.world.create("volume")
        async with site.disk(site.first, "volume") as disk:
            await disk.write("first", 0, BLOCKS)
        async with site.disk(site.second, "volume") as disk:
            await disk.verify("first", 0, BLOCKS)
            await disk.write("second", BLOCKS, BLOCKS)
        async with site.disk(site.first, "volume") as disk:
            await disk.verify("first", 0, BLOCKS)
            await disk.verify("second", BLOCKS, BLOCKS)

    play(primary_place, story)


def test_a_host_is_fenced_before_the_next_one_is_let_in(primary_place: Running) -> None:
    """Once revoke returned, the old host's write fails, and the new host never sees it."""

    async def story(site: Site) -> None:
        await site.world.create("volume")
        handle = await site.grant("volume", site.first)
        async with Guest(site.plane, site.first).disk(handle, "volume") as fenced:
            await fenced.write("owner", 0, BLOCKS)
            await site.revoke("volume", site.first)
            assert await refused(fenced.write("late", 0, BLOCKS)) is not None
            async with site.disk(site.second, "volume") as disk:
                assert await refused(fenced.write("later", 0, BLOCKS)) is not None
                assert await refused(fenced.verify("owner", 0, BLOCKS)) is not None
                await disk.verify("owner", 0, BLOCKS)

    play(primary_place, story)


def test_a_reused_name_never_shows_another_volumes_bytes(primary_place: Running) -> None:
    """A volume of the same key starts empty, and handles of its predecessor do not reach it."""

    async def story(site: Site) -> None:
        await site.world.create("volume")
        old = await site.grant("volume", site.first)
        async with Guest(site.plane, site.first).disk(old, "volume") as before:
            await before.write("predecessor", 0, BLOCKS)
            await site.revoke("volume", site.first)
            delete = requests.DeleteVolume(key="volume")
            await site.world.primary.delete_volume(context("delete"), delete)
            await site.world.create("volume")
            async with site.disk(site.second, "volume") as disk:
                assert await disk.zeroes(0, BLOCKS)
                await disk.write("successor", 0, BLOCKS)
                assert await refused(before.verify("successor", 0, BLOCKS)) is not None
                assert await refused(before.write("ghost", 0, BLOCKS)) is not None
                await disk.verify("successor", 0, BLOCKS)
        async with site.disk(site.first, "volume") as disk:
            await disk.verify("successor", 0, BLOCKS)

    play(primary_place, story)


def test_a_host_without_a_grant_is_refused_by_the_server(primary_place: Running) -> None:
    """Knowing how another host reaches a volume is not enough to reach it."""

    async def story(site: Site) -> None:
        await site.world.create("volume")
        handle = await site.grant("volume", site.first)
        async with Guest(site.plane, site.first).disk(handle, "volume") as disk:
            await disk.write("owner", 0, BLOCKS)
        stolen = handle
        if isinstance(handle, BlockNodeHandle):
            stolen = BlockNodeHandle(
                blockdev=handle.blockdev,
                size_bytes=handle.size_bytes,
                host=site.second,
                volume=handle.volume,
            )

        async def steal() -> None:
            async with Guest(site.plane, site.second).disk(stolen, "volume") as disk:
                await disk.verify("owner", 0, BLOCKS)

        assert await refused(steal()) is not None
        await site.revoke("volume", site.first)

    play(primary_place, story)
