"""Scrub beside running work on real files: no false finding, no failure, and every true one."""

import asyncio
from pathlib import Path

from holdfast.concurrency.runtime import runtime
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import CallContext, CreateVolume, DeleteVolume, Role
from holdfast.operations.orchestrator import Orchestrator
from holdfast.scrub import FindingKind, ScrubReport, scrub
from holdfast.scrub.capacity import ledger_findings
from holdfast.workflows import (
    attach_volume,
    create_backup,
    create_snapshot,
    create_volume,
    create_volume_from_template,
    delete_backup,
    delete_snapshot,
    delete_volume,
    detach_volume,
    register_template,
    resize_volume,
    restore_backup,
    revert_volume,
)
from stories import IMAGE_BYTES, write_image
from zones import HOST, local_zone

SCRUBS = 40
CLIENTS = 6


def behind_our_back() -> CallContext:
    return CallContext(operation="elsewhere", deadline=runtime().now() + 60)


class Work:
    """Clients that use every workflow of volumes, snapshots, backups and grants, until told."""

    def __init__(self, orchestrator: Orchestrator, primary: str, images: str) -> None:
        self.orchestrator = orchestrator
        self.primary = primary
        self.images = images
        self.ended = False
        self.lives = 0

    async def done(self, workflow: object) -> str:
        outcome = await self.orchestrator.run(workflow)  # type: ignore[arg-type]  # any workflow
        return outcome.expect().subject

    async def client(self, number: int, template: str) -> None:
        while not self.ended:
            await self.life(f"{number}-{self.lives}", template)
            self.lives += 1

    async def life(self, name: str, template: str) -> None:
        """A volume from a template or empty, and everything that can be done to it, to its end."""
        if self.lives % 2:
            made = create_volume(name=name, store=self.primary, size_bytes=IMAGE_BYTES)
        else:
            made = create_volume_from_template(name=name, store=self.primary, template=template)
        volume = await self.done(made)
        snapshot = await self.done(create_snapshot(volume, name=f"s-{name}"))
        await self.done(resize_volume(volume, size_bytes=IMAGE_BYTES * 2))
        await self.done(attach_volume(volume, host=HOST, mode=AccessMode.EXCLUSIVE))
        await self.done(detach_volume(volume, host=HOST))
        await self.done(revert_volume(volume, snapshot=snapshot))
        backup = await self.done(create_backup(snapshot, name=f"b-{name}", store=self.images))
        restored = await self.done(restore_backup(backup, name=f"r-{name}", store=self.primary))
        await self.done(delete_snapshot(snapshot))
        await self.done(delete_backup(backup))
        await self.done(delete_volume(volume))
        await self.done(delete_volume(restored))


async def beside_work(image: Path, *, plant: bool) -> tuple[list[ScrubReport], int, dict[str, str]]:
    """So many scrubs, one after another, while the clients work; their reports."""
    async with local_zone() as zone, zone.orchestrator() as orchestrator:
        primary = await zone.add(orchestrator, "primary", Role.PRIMARY)
        images = await zone.add(orchestrator, "images", Role.IMAGE)
        work = Work(orchestrator, primary, images)
        template = await work.done(
            register_template(name="t", store=images, path=str(image), size_bytes=IMAGE_BYTES)
        )
        lost = await work.done(create_volume(name="lost", store=primary, size_bytes=4096))
        if plant:
            driver = await orchestrator.stores.primary(primary)
            ctx = behind_our_back()
            await driver.create_volume(ctx, CreateVolume(key="stranger", size_bytes=4096))
            await driver.delete_volume(ctx, DeleteVolume(key=lost))
        reports: list[ScrubReport] = []
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(work.client(number, template))
            for _ in range(SCRUBS):
                reports.append(await scrub(orchestrator, deep=len(reports) % 4 == 0))
                assert await ledger_findings(orchestrator.catalogue) == []
            work.ended = True
        reports.append(await scrub(orchestrator, deep=True))
        return reports, work.lives, {"lost": lost}


def test_scrub_beside_running_work_finds_nothing_that_is_not_so(tmp_path: Path) -> None:
    """Creates, deletes, snapshots, backups, reverts and grants never look like damage."""
    reports, lives, _ = asyncio.run(beside_work(write_image(tmp_path), plant=False))

    assert [one for report in reports for one in report.findings] == []
    assert lives >= CLIENTS
    assert sum(report.digests for report in reports) > 0


def test_scrub_beside_running_work_finds_all_that_is_so(tmp_path: Path) -> None:
    """A stranger and a lost volume are found by each scrub, and nothing else is."""
    reports, _, ids = asyncio.run(beside_work(write_image(tmp_path), plant=True))

    for report in reports:
        assert sorted((one.kind, one.key) for one in report.findings) == [
            (FindingKind.LOST, ids["lost"]),
            (FindingKind.UNKNOWN, "stranger"),
        ]
