"""The S3 server under the gateway when its disk ran full to the last byte."""

import asyncio

import pytest

from gateway_world import Running
from holdfast_drivers.servers.bounded_disk import FOLDER
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.s3 import Bucket, S3Error

pytestmark = pytest.mark.slow
# SeaweedFS spreads objects over seven volumes, and about 240 of them fill a page of an index.
BEFORE = 1500
DURING = 400


def stored(bucket: Bucket, names: list[str]) -> list[str]:
    """Which of some small objects a server that may be full took."""
    taken: list[str] = []
    for name in names:
        try:
            bucket.put_data(name, name.encode())
        except S3Error:
            continue
        taken.append(name)
    return taken


def unreadable(bucket: Bucket, names: list[str]) -> list[str]:
    """Which of some objects are not there with their bytes."""
    lost: list[str] = []
    for name in names:
        try:
            if bucket.get(name)[0] != name.encode():
                lost.append(f"{name}: other bytes")
        except S3Error as why:
            lost.append(f"{name}: {why}")
    return lost


def test_a_server_that_ran_full_serves_all_that_it_acknowledged(running: Running) -> None:
    """Objects of before and of the last free bytes are readable once there is space again."""
    gateway = running.gateway
    storage, bucket = gateway.storage, gateway.bucket
    before = [f"full/before-{number}" for number in range(BEFORE)]
    during = [f"full/during-{number}" for number in range(DURING)]

    async def story() -> tuple[list[str], list[str]]:
        assert await asyncio.to_thread(stored, bucket, before) == before
        await storage.disk.fill()
        taken = await asyncio.to_thread(stored, bucket, during)
        await storage.free()
        return taken, await asyncio.to_thread(unreadable, bucket, [*before, *taken])

    taken, lost = running.run(story())

    assert len(taken) < DURING  # the disk was full
    assert lost == []


def test_a_volume_that_was_begun_on_a_full_disk_keeps_nobody_from_the_others(
    running: Running,
) -> None:
    """SeaweedFS makes the file of a new volume first, and finds no space for its first bytes."""
    storage, bucket = running.gateway.storage, running.gateway.bucket
    names = [f"begun/{number}" for number in range(20)]

    async def story() -> list[str]:
        assert await asyncio.to_thread(stored, bucket, names) == names
        await storage.disk.fill()
        begun = f": > {FOLDER}/9001.dat; : > {FOLDER}/9001.idx; : > {FOLDER}/box_9002.dat"
        await storage.disk.run(("sh", "-c", begun))
        await storage.free()
        return await asyncio.to_thread(unreadable, bucket, names)

    assert running.run(story()) == []
