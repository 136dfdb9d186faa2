"""A storage host with nfs-ganesha whose folder is damaged, or full."""

import asyncio

import pytest

import hosted_trouble
from engines import require_simulated_hosts
from holdfast.concurrency.runtime import runtime
from holdfast.contract.testbed import Fault
from holdfast_drivers.nfs import NfsProvider
from holdfast_drivers.nfs.testbed import nfs_testbed

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _engine() -> None:
    require_simulated_hosts()


def test_what_nobody_put_there_is_set_apart() -> None:
    """Pipes, links, stray files and cut rows stop nothing else."""

    async def story() -> None:
        async with nfs_testbed(runtime().new_id("test")) as testbed:
            await hosted_trouble.strangers_are_set_apart(NfsProvider(), testbed, testbed.server)

    asyncio.run(story())


def test_a_grant_whose_record_is_damaged_is_taken_back() -> None:
    """What stands in its place goes, and with it what the server serves."""

    async def story() -> None:
        async with nfs_testbed(runtime().new_id("test")) as testbed:
            await hosted_trouble.a_damaged_grant_is_taken_back(
                NfsProvider(), testbed, testbed.server
            )

    asyncio.run(story())


def test_a_full_host_can_be_emptied() -> None:
    """Grants, volumes, hosts and the store itself go although there is no space."""

    async def story() -> None:
        async with nfs_testbed(runtime().new_id("test")) as testbed:
            if Fault.FULL not in testbed.faults:
                pytest.skip("the kernel lends no loop device for a disk that may be filled")
            await hosted_trouble.a_full_host_can_be_emptied(NfsProvider(), testbed)

    asyncio.run(story())
