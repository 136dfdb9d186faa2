"""Local volumes that are used through the host's storage daemon, as guests use them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from daemons import require_plane
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import Denied
from holdfast.contract.handles import BlockNodeHandle
from holdfast.contract.requests import CallContext, Open, Role
from holdfast.data import open_block_io
from holdfast.model.rows import Volume
from holdfast.operations.orchestrator import Orchestrator
from holdfast.storage_daemon import Guest, data_plane
from holdfast.workflows import attach_volume, create_volume, detach_volume
from holdfast_drivers.local import LocalProvider
from zones import HOST, Zone, disagreements

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _plane_can_work() -> None:
    require_plane()


def on_zone(body: Callable[[Zone], Awaitable[None]]) -> None:
    """Run a test on a zone whose one host uses volumes through its storage daemon."""

    async def run() -> None:
        start = LocalProvider().testbed_variants()["embedded:daemon"]
        async with (
            start(runtime().new_id("zone")) as testbed,
            MemoryCatalogue().opened() as catalogue,
        ):
            zone = Zone(testbed, catalogue, "local")
            await zone.prepare()
            await body(zone)

    asyncio.run(run())


async def new_volume(zone: Zone, orchestrator: Orchestrator) -> Volume:
    """A volume in a new store."""
    store = await zone.add(orchestrator, "disks", Role.PRIMARY)
    made = await orchestrator.run(create_volume(name="disk", store=store, size_bytes=4 * MIB))
    subject = made.expect().subject
    return await orchestrator.catalogue.transact(lambda tx: tx.get(Volume, subject))


async def opened(orchestrator: Orchestrator, volume: Volume) -> BlockNodeHandle:
    """The handle of a granted volume."""
    driver = await orchestrator.stores.primary(volume.store)
    ctx = CallContext(operation="test", deadline=runtime().now() + 60)
    handle = await driver.open(ctx, Open(volume=volume.key, host=HOST))
    assert isinstance(handle, BlockNodeHandle)
    return handle


def test_a_program_that_keeps_a_volume_open_is_stopped_when_it_is_detached() -> None:
    """Once a volume is detached from its host, what had it open is refused; attached again, it
    holds what was written.
    """

    async def body(zone: Zone) -> None:
        async with zone.orchestrator() as orchestrator:
            volume = await new_volume(zone, orchestrator)
            plane = data_plane()
            assert plane is not None
            (await orchestrator.run(attach_volume(volume.id, host=HOST))).expect()
            async with Guest(plane, HOST).disk(await opened(orchestrator, volume)) as disk:
                await disk.write("one", 10, 5)
                (await orchestrator.run(detach_volume(volume.id, host=HOST))).expect()
                with pytest.raises(Denied):
                    await disk.verify("one", 10, 5)
            (await orchestrator.run(attach_volume(volume.id, host=HOST))).expect()
            async with Guest(plane, HOST).disk(await opened(orchestrator, volume)) as disk:
                await disk.verify("one", 10, 5)
            (await orchestrator.run(detach_volume(volume.id, host=HOST))).expect()
        assert await disagreements(zone) == []

    on_zone(body)


def test_a_handle_of_an_ended_grant_cannot_be_opened_again() -> None:
    """The handle of an earlier grant does not open a volume that was granted anew."""

    async def body(zone: Zone) -> None:
        async with zone.orchestrator() as orchestrator:
            volume = await new_volume(zone, orchestrator)
            (await orchestrator.run(attach_volume(volume.id, host=HOST))).expect()
            first = await opened(orchestrator, volume)
            (await orchestrator.run(detach_volume(volume.id, host=HOST))).expect()
            (await orchestrator.run(attach_volume(volume.id, host=HOST))).expect()
            with pytest.raises(Denied):
                async with open_block_io(first):
                    pass
            async with open_block_io(await opened(orchestrator, volume)) as content:
                assert await content.read_at(0, MIB) == bytes(MIB)

    on_zone(body)
