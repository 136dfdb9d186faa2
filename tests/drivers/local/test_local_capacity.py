"""The local driver's capacity: what is promised is bounded, and nobody waits too long for it."""

import asyncio
from pathlib import Path

import pytest

from holdfast.contract import requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Busy, Exhausted
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.local.locks import Lock, LockKind, open_locks
from local_stores import CTX, MIB, Store, create, with_store


def test_a_promise_beyond_the_capacity_is_exhausted(tmp_path: Path) -> None:
    """With a capacity nothing beyond it is promised, by eight drivers at once neither."""

    async def use(store: Store) -> tuple[int, int, int]:
        drivers = [await store.primary() for _ in range(8)]
        keys = [f"v{n}" for n in range(len(drivers))]
        answers = await asyncio.gather(*map(create, drivers, keys), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Exhausted)]
        figures = await drivers[0].stats(CTX, requests.GetStats())
        told = zip(keys, answers, strict=True)
        made = [key for key, answer in told if not isinstance(answer, Exception)]
        for key in made[:2]:
            await drivers[0].delete_volume(CTX, requests.DeleteVolume(key=key))
        await create(drivers[0], "afterwards")
        return len(refused), figures.allocated_bytes, figures.total_bytes

    assert with_store(tmp_path, use, capacity_bytes=3 * MIB) == (5, 3 * MIB, 3 * MIB)


def test_nobody_waits_past_the_deadline_to_promise_space(tmp_path: Path) -> None:
    """While another call promises space a call is ``Busy`` at its deadline and did nothing."""

    async def use(store: Store) -> list[str]:
        driver, image = await store.primary(), await store.image()
        await image.start_upload(
            CTX, requests.StartUpload(upload="up", key="key", kind=ObjectKind.ISO)
        )
        now = asyncio.get_running_loop().time()
        late = CallContext(operation="op-late", deadline=now)
        part = requests.UploadPart(upload="up", number=1, data=b"one")
        for role, call in (
            (Role.IMAGE, lambda: image.upload_part(late, part)),
            (
                Role.PRIMARY,
                lambda: driver.create_volume(
                    late, requests.CreateVolume(key="one", size_bytes=MIB)
                ),
            ),
        ):
            with open_locks(store.folder / role / "lock") as other:
                other.take(Lock(LockKind.SPACE))
                with pytest.raises(Busy):
                    await call()
        left = [path.name for path in store.folder.glob("*/staging/*")]
        await image.upload_part(CTX, part)
        await create(driver, "one")
        return left

    assert with_store(tmp_path, use, capacity_bytes=3 * MIB) == []


def test_a_capacity_bounds_growth_and_snapshots(tmp_path: Path) -> None:
    """Growing and snapshots promise space too."""

    async def use(store: Store) -> None:
        driver = await store.primary()
        assert driver.capabilities.volume.thin is False
        await create(driver, "one", 2 * MIB)
        with pytest.raises(Exhausted):
            await driver.create_snapshot(CTX, requests.CreateSnapshot(key="s", volume="one"))
        resize = requests.ResizeVolume(key="one", size_bytes=4 * MIB)
        with pytest.raises(Exhausted):
            await driver.resize_volume(CTX, resize)

    with_store(tmp_path, use, capacity_bytes=3 * MIB)
