"""Empties a store on a file system that is full; run by itself in a mount namespace of its own.

Usage: full_store.py KIND FOLDER; it prints what went wrong, and nothing where all is well.
"""

import asyncio
import contextlib
import errno
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from holdfast.contract import answers, requests
from holdfast.contract.answers import Done, HealthState, OwnedKind, StoreState
from holdfast.contract.capabilities import Capabilities, ObjectKind
from holdfast.contract.errors import Exhausted
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext, Role
from holdfast.data import open_block_io
from holdfast_drivers.local import LocalProvider
from holdfast_drivers.local.config import LocalConfig
from local_stores import MIB, create, opened, put

KINDS: Final[dict[str, tuple[str, ...]]] = {
    "tmpfs": ("mount", "-t", "tmpfs", "-o", "size=8M,nr_inodes=2000", "tmpfs"),
    "tmpfs-inodes": ("mount", "-t", "tmpfs", "-o", "size=64M,nr_inodes=120", "tmpfs"),
    "ext4": ("mkfs.ext4", "-q", "-m", "0"),
    "ext4-inodes": ("mkfs.ext4", "-q", "-m", "0", "-N", "128"),
    "xfs": ("mkfs.xfs", "-q"),
    "xfs-reflink": ("mkfs.xfs", "-q", "-m", "reflink=1"),
}
DISK_BYTES: Final = 320 << 20
FENCES: Final = itertools.count((1 << 32) + 1)
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def ctx() -> CallContext:
    """A call with a fence of its own, which finds its place on the full disk."""
    return CallContext(operation="op-test", fence=next(FENCES), deadline=1e12)


def mount(kind: str, folder: Path) -> Path:
    """A new file system; it is gone with this process's namespace."""
    made = folder / "disk"
    made.mkdir()
    command = KINDS[kind]
    if command[0] != "mount":
        image = folder / "image"
        with image.open("wb") as file:
            file.truncate(DISK_BYTES if "xfs" in kind else DISK_BYTES // 20)
        subprocess.run((*command, str(image)), check=True)
        command = ("mount", "-o", "loop", str(image))
    subprocess.run((*command, str(made)), check=True)
    shutil.rmtree(made / "lost+found", ignore_errors=True)
    return made


class Filling:
    """Takes whatever there is of a file system, again and again."""

    def __init__(self, disk: Path) -> None:
        self._bytes = disk / "filling"
        self._inodes = disk / "inodes"
        self._inodes.mkdir()
        self._count = 0

    def fill(self) -> None:
        """Take the last byte and the last inode; what was freed is there once that is durable."""
        for _ in range(2):
            self._fill_bytes()  # first: what is left holds few inodes
            while not self._fails(self._one_inode):
                pass
            self._fill_bytes()

    def _fill_bytes(self) -> None:
        if not self._bytes.exists() and self._fails(self._bytes.touch):
            return
        with self._bytes.open("ab") as file:
            for bits in range(22, -1, -1):
                while not self._fails(partial(_append, file.fileno(), 1 << bits)):
                    pass
            os.fsync(file.fileno())

    def _fails(self, take: Callable[[], object]) -> bool:
        try:
            take()
        except OSError as error:
            if error.errno not in FULL:
                raise
            return True
        return False

    def _one_inode(self) -> None:
        self._count += 1
        (self._inodes / str(self._count)).touch()


def _append(fd: int, size: int) -> None:
    if os.write(fd, b"x" * size) < size:
        raise OSError(errno.ENOSPC, "some of it was written")


@asynccontextmanager
async def drivers(
    config: LocalConfig,
) -> AsyncIterator[tuple[PrimaryDriver, ImageDriver, LifeCycle, LifeCycle]]:
    """Everything opened anew."""
    provider = LocalProvider()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        yield (
            await enter(provider.primary(config)),
            await enter(provider.image(config)),
            await enter(provider.life_cycle(config, Role.PRIMARY)),
            await enter(provider.life_cycle(config, Role.IMAGE)),
        )


async def prepare(config: LocalConfig) -> tuple[Capabilities, Capabilities]:
    """Two stores with something of each kind in them."""
    async with AsyncExitStack() as stack:
        for role in Role:
            life_cycle = await stack.enter_async_context(LocalProvider().life_cycle(config, role))
            await life_cycle.initialize(ctx(), requests.InitializeStore(name="store"))
            for host in ("host",) if role is Role.PRIMARY else ("host", "other"):
                await life_cycle.attach(ctx(), requests.AttachHost(host=host))
    async with drivers(config) as (primary, image, _, _):
        for key in ("one", "two", "three"):
            await create(primary, key)
            await primary.create_snapshot(
                ctx(), requests.CreateSnapshot(key=f"of {key}", volume=key)
            )
        async with open_block_io(await opened(primary, "one")) as content:
            await content.write_at(0, b"written")
            await content.flush()
        await put(image, "object", b"object" * 1000, upload="done")
        await image.start_upload(
            ctx(), requests.StartUpload(upload="open", key="later", kind=ObjectKind.ISO)
        )
        await image.upload_part(
            ctx(), requests.UploadPart(upload="open", number=1, data=b"part" * 1000)
        )
        return primary.capabilities, image.capabilities


async def read(config: LocalConfig, declared: tuple[Capabilities, Capabilities]) -> None:
    """All that only looks."""
    async with drivers(config) as (primary, image, primaries, images):
        assert (primary.capabilities, image.capabilities) == declared
        for life_cycle in (primaries, images):
            assert (await life_cycle.get(ctx())).name == "store"
        for driver in (primary, image):
            assert (await driver.health(ctx(), requests.CheckHealth())).state is HealthState.UP
            await driver.stats(ctx(), requests.GetStats())
            found = [t async for t in driver.enumerate(ctx(), requests.EnumerateOwned())]
            assert not [t for t in found if t.kind is OwnedKind.TEMPORARY], found
        volumes = await primary.list_volumes(ctx(), requests.ListVolumes())
        assert len(volumes.items) == 3
        await primary.get_snapshot(ctx(), requests.GetSnapshot(key="of one"))
        handle = await primary.open(ctx(), requests.Open(volume="one", host="host"))
        async with open_block_io(handle) as content:
            assert await content.read_at(0, 7) == b"written"
        assert len((await image.get(ctx(), requests.GetObject(key="object"))).data) == 6000
        resize = requests.ResizeVolume(key="one", size_bytes=MIB)
        assert isinstance(await primary.probe(ctx(), "resize_volume", resize), Done)


async def refuse(config: LocalConfig) -> None:
    """What needs space is refused, and nothing of it is left."""
    async with drivers(config) as (primary, image, primaries, _):
        calls: list[Awaitable[object]] = [
            create(primary, "new"),
            primary.create_snapshot(ctx(), requests.CreateSnapshot(key="new", volume="one")),
            image.start_upload(
                ctx(), requests.StartUpload(upload="new", key="new", kind=ObjectKind.ISO)
            ),
            image.upload_part(
                ctx(), requests.UploadPart(upload="open", number=2, data=b"part" * 1000)
            ),
        ]
        for call in calls:
            try:
                await call
            except Exhausted:
                continue
            raise AssertionError(f"{call} found space")
        await primaries.maintain(ctx(), requests.MaintainStore())


def _delete_volume(key: str, driver: PrimaryDriver) -> Awaitable[object]:
    return driver.delete_volume(ctx(), requests.DeleteVolume(key=key))


def _delete_snapshot(key: str, driver: PrimaryDriver) -> Awaitable[object]:
    return driver.delete_snapshot(ctx(), requests.DeleteSnapshot(key=key))


def frees(config: LocalConfig) -> list[Callable[[], Awaitable[object]]]:
    """All calls that free something, in an order that is possible."""

    def primary(
        call: Callable[[PrimaryDriver], Awaitable[object]],
    ) -> Callable[[], Awaitable[object]]:
        async def run() -> object:
            async with drivers(config) as (driver, _, _, _):
                return await call(driver)

        return run

    def image(call: Callable[[ImageDriver], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
        async def run() -> object:
            async with drivers(config) as (_, driver, _, _):
                return await call(driver)

        return run

    def store(call: Callable[[LifeCycle], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
        async def run() -> object:
            async with drivers(config) as (_, _, primaries, images):
                for life_cycle in (primaries, images):
                    await call(life_cycle)
            return None

        return run

    return [
        store(lambda s: s.maintain(ctx(), requests.MaintainStore())),
        store(lambda s: s.cancel_maintenance(ctx(), requests.CancelMaintenance())),
        store(lambda s: s.maintain(ctx(), requests.MaintainStore())),
        primary(lambda d: d.delete_snapshot(ctx(), requests.DeleteSnapshot(key="of one"))),
        primary(lambda d: d.revoke(ctx(), requests.Revoke(volume="one", host="host"))),
        primary(
            lambda d: d.resize_volume(
                ctx(), requests.ResizeVolume(key="one", size_bytes=8192, shrink=True)
            )
        ),
        *(primary(partial(_delete_volume, key)) for key in ("one", "two", "three")),
        *(primary(partial(_delete_snapshot, key)) for key in ("of two", "of three")),
        image(lambda d: d.abort_upload(ctx(), requests.AbortUpload(upload="open"))),
        image(lambda d: d.delete(ctx(), requests.DeleteObject(key="object"))),
        store(lambda s: s.detach(ctx(), requests.DetachHost(host="other"))),
        store(lambda s: s.cancel_maintenance(ctx(), requests.CancelMaintenance())),
        store(lambda s: s.detach(ctx(), requests.DetachHost(host="host"))),
    ]


async def emptied(config: LocalConfig, filling: Filling) -> None:
    """Free one thing after another, and each time let somebody else take what was freed."""
    for free in frees(config):
        await free()
        filling.fill()
    async with drivers(config) as (primary, image, primaries, images):
        for driver in (primary, image):
            left = [t.kind async for t in driver.enumerate(ctx(), requests.EnumerateOwned())]
            assert left == [OwnedKind.STORE], left
        for life_cycle in (primaries, images):
            assert (await life_cycle.get(ctx())).state is StoreState.UP
            assert await life_cycle.delete_store(ctx(), requests.DeleteStore()) == answers.Gone(
                key=""
            )
            filling.fill()


async def main(kind: str, folder: Path) -> None:
    """One whole life of two stores."""
    disk = mount(kind, folder)
    filling = Filling(disk)
    config = LocalConfig(root=str(disk), namespace="space")
    declared = await prepare(config)
    filling.fill()
    await read(config, declared)
    await refuse(config)
    await read(config, declared)
    await emptied(config, filling)
    with contextlib.suppress(FileNotFoundError):
        assert not list((disk / "space").iterdir())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
