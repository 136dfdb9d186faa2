"""A storage host with tgt whose folder is damaged, or full."""

import asyncio

import pytest

import hosted_trouble
from engines import require_engine
from holdfast.concurrency.runtime import runtime
from holdfast.contract.testbed import Fault
from holdfast_drivers.iscsi import IscsiProvider
from holdfast_drivers.iscsi.testbed import iscsi_testbed

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _engine() -> None:
    require_engine()


def test_what_nobody_put_there_is_set_apart() -> None:
    """Pipes, links, stray files and cut rows stop nothing else."""

    async def story() -> None:
        async with iscsi_testbed(runtime().new_id("test")) as testbed:
            await hosted_trouble.strangers_are_set_apart(IscsiProvider(), testbed, testbed.server)

    asyncio.run(story())


def test_a_grant_whose_record_is_damaged_is_taken_back() -> None:
    """Tgt itself tells what it serves under the grant, and serves it no more."""

    async def story() -> None:
        async with iscsi_testbed(runtime().new_id("test")) as testbed:
            await hosted_trouble.a_damaged_grant_is_taken_back(
                IscsiProvider(), testbed, testbed.server
            )

    asyncio.run(story())


def test_a_full_host_can_be_emptied() -> None:
    """Grants, volumes, hosts and the store itself go although there is no space."""

    async def story() -> None:
        async with iscsi_testbed(runtime().new_id("test")) as testbed:
            if Fault.FULL not in testbed.faults:
                pytest.skip("the kernel lends no loop device for a disk that may be filled")
            await hosted_trouble.a_full_host_can_be_emptied(IscsiProvider(), testbed)

    asyncio.run(story())
