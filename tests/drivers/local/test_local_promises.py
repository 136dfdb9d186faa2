"""The sum of a bounded store's promises: always right, whatever ends a call, and never counted."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from holdfast.contract import requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Busy, Exhausted
from holdfast.contract.ports import ImageDriver, PrimaryDriver
from holdfast.contract.requests import CallContext, Role
from holdfast.files.mutations import Mutation, observe
from holdfast_drivers.local import LocalProvider
from holdfast_drivers.local.config import LocalConfig
from holdfast_drivers.local.locks import Lock, LockKind, open_locks
from holdfast_drivers.local.objects import Objects
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.local.uploads import Uploads
from holdfast_drivers.local.volumes import Volumes
from local_stores import CTX, MIB, Store, create, put, with_store

BLOCK = 4096
CAPACITY = 16 * MIB
STEP = 1 if os.environ.get("HOLDFAST_CRASH") == "full" else 4
"""Every point to die at, or one of a few."""


class Dead(BaseException):
    """The process is no more."""


class Death:
    """Ends the process before its n-th mutation; nothing happens after that."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.seen = 0

    def before(self, mutation: Mutation) -> None:
        del mutation
        self.seen += 1
        if self.at is not None and self.seen > self.at:
            raise Dead

    def after(self, mutation: Mutation) -> None:
        pass


async def live(driver: PrimaryDriver) -> None:
    """Everything that changes what a primary store has promised."""
    await create(driver, "a", 2 * MIB)
    await create(driver, "b")
    await driver.create_snapshot(CTX, requests.CreateSnapshot(key="s", volume="a"))
    await driver.resize_volume(CTX, requests.ResizeVolume(key="a", size_bytes=5 * MIB))
    await driver.delete_volume(CTX, requests.DeleteVolume(key="b"))
    await driver.revert_volume(CTX, requests.RevertVolume(key="a", snapshot="s"))
    await driver.resize_volume(CTX, requests.ResizeVolume(key="a", size_bytes=MIB, shrink=True))
    await driver.delete_snapshot(CTX, requests.DeleteSnapshot(key="s"))


async def exactly_the_rest_fits(store: Store, capacity: int = CAPACITY) -> None:
    """A new driver promises what is left to the last block, and not one more."""
    driver = await store.primary()
    figures = await driver.stats(CTX, requests.GetStats())
    rest = capacity - figures.allocated_bytes
    with pytest.raises(Exhausted):
        await create(driver, "too large", rest + BLOCK)
    if rest:
        await create(driver, "the rest", rest)
    with pytest.raises(Exhausted):
        await create(driver, "one more", BLOCK)


def mutations(root: Path, act: Callable[[Store], Awaitable[None]]) -> int:
    """How many mutations there are to die at."""
    death = Death(None)

    async def use(store: Store) -> None:
        with observe(death):
            await act(store)

    with_store(root, use, capacity_bytes=CAPACITY)
    return death.seen


async def primary_life(store: Store) -> None:
    await live(await store.primary())


@pytest.mark.slow
def test_a_death_at_any_point_leaves_a_right_sum(tmp_path: Path) -> None:
    """Whatever change to the file system was the last: what is left fits, and nothing more."""
    (tmp_path / "all").mkdir()
    total = mutations(tmp_path / "all", primary_life)
    for at in range(0, total, STEP):
        root = tmp_path / str(at)
        root.mkdir()

        async def use(store: Store, at: int = at) -> None:
            with observe(Death(at)), pytest.raises(Dead):
                await primary_life(store)
            await exactly_the_rest_fits(store)

        with_store(root, use, capacity_bytes=CAPACITY)
    assert total > 50


def image_place(store: Store) -> Uploads:
    place = Place(store.config, Role.IMAGE)
    return Uploads(place, Objects(place))


async def image_life(store: Store) -> None:
    """Everything that changes what an image store has promised."""
    driver = await store.image()
    await put(driver, "one", b"1" * 5000, upload="u1")
    await put(driver, "one", b"2" * 3000, upload="u2")  # in place of the first
    await send(driver, "u3", 1, b"3" * 7000)
    await send(driver, "u3", 1, b"4" * 2000)  # in place of the first part
    await driver.abort_upload(CTX, requests.AbortUpload(upload="u3"))
    await driver.delete(CTX, requests.DeleteObject(key="one"))


async def send(driver: ImageDriver, upload: str, number: int, data: bytes) -> None:
    start = requests.StartUpload(upload=upload, key=upload, kind=ObjectKind.ISO)
    await driver.start_upload(CTX, start)
    await driver.upload_part(CTX, requests.UploadPart(upload=upload, number=number, data=data))


@pytest.mark.slow
def test_a_death_at_any_point_leaves_a_right_sum_of_objects(tmp_path: Path) -> None:
    """The same for objects and the parts of uploads, to the last byte."""
    (tmp_path / "all").mkdir()
    total = mutations(tmp_path / "all", image_life)
    for at in range(0, total, STEP):
        root = tmp_path / str(at)
        root.mkdir()

        async def use(store: Store, at: int = at) -> None:
            with observe(Death(at)), pytest.raises(Dead):
                await image_life(store)
            rest = CAPACITY - image_place(store).used_bytes()
            driver = await store.image()
            with pytest.raises(Exhausted):
                await send(driver, "full", 1, b"x" * (rest + 1))
            await send(driver, "full", 1, b"x" * rest)
            with pytest.raises(Exhausted):
                await send(driver, "full", 2, b"x")

        with_store(root, use, capacity_bytes=CAPACITY)
    assert total > 50


def test_a_call_reads_no_other_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is counted once, by the first call on a store; then never, by no driver."""
    counted: list[str] = []

    def spy(kind: type[Volumes] | type[Uploads], name: str) -> None:
        inner = getattr(kind, name)

        def count(self: object) -> int:
            counted.append(name)
            answer: int = inner(self)
            return answer

        monkeypatch.setattr(kind, name, count)

    spy(Volumes, "promised_bytes")
    spy(Uploads, "parts_bytes")

    async def use(store: Store) -> None:
        for _ in range(3):
            await primary_life(store)
            await image_life(store)
            driver = await store.primary()
            await driver.delete_volume(CTX, requests.DeleteVolume(key="a"))

    with_store(tmp_path, use, capacity_bytes=CAPACITY)

    assert sorted(counted) == ["parts_bytes", "promised_bytes"]


def test_a_delete_waits_for_nobody_and_the_sum_is_right(tmp_path: Path) -> None:
    """While another call promises space a delete is done at once; a sum from before is void."""

    async def use(store: Store) -> None:
        driver = await store.primary()
        await create(driver, "a", 8 * MIB)
        await create(driver, "b", 8 * MIB)
        with open_locks(store.folder / Role.PRIMARY / "lock") as other:
            other.take(Lock(LockKind.SPACE))
            await driver.delete_volume(CTX, requests.DeleteVolume(key="a"))
        await exactly_the_rest_fits(store)

    with_store(tmp_path, use, capacity_bytes=CAPACITY)


def test_deletes_beside_creates_keep_the_sum(tmp_path: Path) -> None:
    """Many drivers create and delete at once; in the end what is left fits, and nothing more."""

    async def use(store: Store) -> None:
        async def client(number: int) -> None:
            driver = await store.primary()
            for turn in range(6):
                key = f"{number}-{turn}"
                await retried(partial(create, driver, key, MIB))
                if turn % 3:
                    delete = requests.DeleteVolume(key=key)
                    await retried(partial(driver.delete_volume, CTX, delete))

        async def retried(act: Callable[[], Awaitable[object]]) -> None:
            while True:
                try:
                    await act()
                except Busy:
                    await asyncio.sleep(0)
                else:
                    return

        await asyncio.gather(*(client(number) for number in range(5)))
        await exactly_the_rest_fits(store)

    with_store(tmp_path, use, capacity_bytes=CAPACITY)


def test_a_bound_that_comes_and_goes_counts_again(tmp_path: Path) -> None:
    """What was done without a capacity, or under another one, is in the sum."""

    async def use(store: Store) -> None:
        await create(await store.primary(), "a", MIB)
        free = LocalConfig(root=store.config.root, namespace=store.config.namespace)
        async with LocalProvider().primary(free) as unbounded:
            await create(unbounded, "b", 32 * MIB)
            await unbounded.delete_volume(CTX, requests.DeleteVolume(key="a"))
        driver = await store.primary()
        with pytest.raises(Exhausted, match=f"{32 * MIB} of {CAPACITY} bytes are promised"):
            await create(driver, "c", BLOCK)
        # It has more than it may: what gives back, or needs no more, is done all the same.
        shrink = requests.ResizeVolume(key="b", size_bytes=20 * MIB, shrink=True)
        await driver.resize_volume(CTX, shrink)
        await driver.delete_volume(CTX, requests.DeleteVolume(key="b"))
        await exactly_the_rest_fits(store)

    with_store(tmp_path, use, capacity_bytes=CAPACITY)


def test_a_lock_file_that_was_written_by_others_is_counted_again(tmp_path: Path) -> None:
    """Noise where the sum should be is no sum."""

    async def use(store: Store) -> None:
        await create(await store.primary(), "a", MIB)
        lock = store.folder / Role.PRIMARY / "lock"
        for noise in (b"", b"promised", b"\xff" * 600, b"promised" + bytes(600)):
            lock.write_bytes(noise)
            driver = await store.primary()
            with pytest.raises(Exhausted, match=f"{MIB} of"):
                await create(driver, "b", CAPACITY)
        late = CallContext(operation="op-late", deadline=1e12)
        await driver.create_volume(late, requests.CreateVolume(key="c", size_bytes=MIB))
        await exactly_the_rest_fits(store)

    with_store(tmp_path, use, capacity_bytes=CAPACITY)
