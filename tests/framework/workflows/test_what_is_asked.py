"""What is asked for is what is made, or it is refused before anything is done."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from holdfast.contract import requests
from holdfast.contract.errors import Precondition
from holdfast.contract.requests import CallContext, Role
from holdfast.model.rows import Volume, VolumeGrant
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.workflow import Workflow
from holdfast.workflows import (
    Refused,
    attach_volume,
    create_backup,
    create_snapshot,
    create_volume,
    create_volume_from_template,
    delete_volume,
    detach_volume,
    maintain_store,
    register_template,
    resize_volume,
    restore_backup,
    revert_volume,
)
from zones import HOST, Zone, local_zone, memory_zone, run_inline

KIB = 1 << 10


class Small:
    """A zone with a volume of 64 KiB, its snapshot and backup, and a template of that size."""

    def __init__(self, zone: Zone, orchestrator: Orchestrator) -> None:
        self.zone = zone
        self.orchestrator = orchestrator
        self.ids: dict[str, str] = {}

    async def done(self, workflow: Workflow) -> str:
        return (await self.orchestrator.run(workflow)).expect().subject

    async def build(self, folder: Path) -> None:
        ids = self.ids
        image = folder / "disk.raw"
        image.write_bytes(b"x" * 64 * KIB)
        for role in Role:
            ids[role] = await self.zone.add(self.orchestrator, role.value, role)
        ids["template"] = await self.done(
            register_template(name="disk", store=ids["image"], path=str(image), size_bytes=64 * KIB)
        )
        ids["volume"] = await self.done(
            create_volume(name="v", store=ids["primary"], size_bytes=64 * KIB)
        )
        ids["snapshot"] = await self.done(create_snapshot(ids["volume"], name="s"))
        ids["backup"] = await self.done(
            create_backup(ids["snapshot"], name="b", store=ids["image"])
        )

    async def refused(self, workflow: Workflow, says: str) -> None:
        """The workflow is refused before there is an operation of it."""
        before = await self.zone.rows(Volume), await self.zone.rows(VolumeGrant)
        with pytest.raises(Refused, match=says):
            await self.orchestrator.run(workflow)
        assert (await self.zone.rows(Volume), await self.zone.rows(VolumeGrant)) == before

    async def size(self, volume: str) -> int:
        return (await self.zone.catalogue.transact(lambda tx: tx.get(Volume, volume))).size_bytes


def in_small_zone(folder: Path, story: Callable[[Small], Awaitable[None]]) -> None:
    async def main() -> None:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            small = Small(zone, orchestrator)
            await small.build(folder)
            await story(small)

    run_inline(main())


def test_a_volume_smaller_than_its_template_is_refused(tmp_path: Path) -> None:
    """A template does not fit into fewer bytes; of its own size or more is what was asked for."""

    async def story(small: Small) -> None:
        def made(size_bytes: int | None) -> Workflow:
            return create_volume_from_template(
                name=f"r{size_bytes}",
                store=small.ids["primary"],
                template=small.ids["template"],
                size_bytes=size_bytes,
            )

        for size_bytes in (1, 32 * KIB, 64 * KIB - 1):
            await small.refused(made(size_bytes), "template disk has 65536 bytes")
        assert await small.size(await small.done(made(None))) == 64 * KIB
        for true in (64 * KIB, 128 * KIB):
            assert await small.size(await small.done(made(true))) == true

    in_small_zone(tmp_path, story)


def test_a_volume_becomes_smaller_only_where_that_is_said(tmp_path: Path) -> None:
    """Fewer bytes without shrink are refused, not answered with the size that is there."""

    async def story(small: Small) -> None:
        volume = small.ids["volume"]
        await small.refused(resize_volume(volume, size_bytes=32 * KIB), "ask it to shrink")
        await small.done(resize_volume(volume, size_bytes=64 * KIB))
        await small.done(resize_volume(volume, size_bytes=32 * KIB, shrink=True))
        assert await small.size(volume) == 32 * KIB

    in_small_zone(tmp_path, story)


def test_nothing_is_allocated_in_a_store_at_rest(tmp_path: Path) -> None:
    """In maintenance no volume grows, and none is made, granted, kept or restored; what frees goes
    on.
    """

    async def story(small: Small) -> None:
        ids, volume = small.ids, small.ids["volume"]
        granted = await small.done(
            create_volume(name="granted", store=ids["primary"], size_bytes=64 * KIB)
        )
        await small.done(attach_volume(granted, host=HOST))
        await small.done(resize_volume(volume, size_bytes=32 * KIB, shrink=True))
        for role in Role:
            await small.done(maintain_store(ids[role]))
        image = str(tmp_path / "disk.raw")
        for workflow in (
            resize_volume(volume, size_bytes=128 * KIB),
            revert_volume(volume, snapshot=ids["snapshot"]),
            create_volume(name="n", store=ids["primary"], size_bytes=64 * KIB),
            create_volume_from_template(name="n", store=ids["primary"], template=ids["template"]),
            create_snapshot(volume, name="n"),
            create_backup(ids["snapshot"], name="n", store=ids["image"]),
            restore_backup(ids["backup"], name="n", store=ids["primary"]),
            attach_volume(volume, host=HOST),
            register_template(name="n", store=ids["image"], path=image, size_bytes=64 * KIB),
        ):
            await small.refused(workflow, "is Maintenance, and this needs it Up")
        await small.done(resize_volume(volume, size_bytes=16 * KIB, shrink=True))
        await small.done(detach_volume(granted, host=HOST))
        await small.done(delete_volume(granted))

    in_small_zone(tmp_path, story)


@pytest.mark.parametrize("opened", [memory_zone, local_zone])
def test_a_driver_grows_nothing_in_a_store_at_rest(
    opened: Callable[[], AbstractAsyncContextManager[Zone]],
) -> None:
    """A growth that was decided before the store came to rest is refused by the driver."""

    async def main() -> None:
        async with opened() as zone, zone.orchestrator() as orchestrator:
            store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            driver = await orchestrator.stores.primary(store)
            ctx = CallContext(operation="op", deadline=asyncio.get_running_loop().time() + 60)
            made = requests.CreateVolume(key="v", size_bytes=64 * KIB)
            before = await driver.create_volume(ctx, made)
            (await orchestrator.run(maintain_store(store))).expect()
            with pytest.raises(Precondition, match="in maintenance"):
                await driver.resize_volume(
                    ctx, requests.ResizeVolume(key="v", size_bytes=128 * KIB)
                )
            assert await driver.get_volume(ctx, requests.GetVolume(key="v")) == before
            shrink = requests.ResizeVolume(key="v", size_bytes=4 * KIB, shrink=True)
            assert (await driver.resize_volume(ctx, shrink)).size_bytes == 4 * KIB

    run_inline(main())
