"""A primary store that every host of its testbed uses, each in its own place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.ports import PrimaryDriver, Provider
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import Testbed
from holdfast.storage_daemon import DataPlane, use_data_plane


def context(seconds: float = 60.0, operation: str = "operation") -> CallContext:
    """A call with some time."""
    return CallContext(operation=operation, deadline=runtime().now() + seconds)


@asynccontextmanager
async def used_by_hosts(
    provider: Provider, testbed: Testbed, config: msgspec.Struct
) -> AsyncIterator[tuple[PrimaryDriver, DataPlane]]:
    """A new store with hosts attached, its driver, and the hosts' data plane, which is in use."""
    async with provider.life_cycle(config, Role.PRIMARY) as life_cycle:
        await life_cycle.initialize(context(), requests.InitializeStore(name="volumes"))
        for host in testbed.hosts:
            await life_cycle.attach(context(), requests.AttachHost(host=host))
    async with provider.primary(config) as driver, DataPlane(testbed.place_of) as plane:
        with use_data_plane(plane):
            yield driver, plane
