"""Volumes that the orchestrator grants on tgt ask the host for its secret, and get it."""

import os
from collections.abc import Iterator

import msgspec
import pytest

from engines import require_engine
from holdfast.assembly import open_orchestrator
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import Denied
from holdfast.contract.handles import BlockNodeHandle
from holdfast.contract.requests import CallContext, Open, Role, ScopeKind
from holdfast.data import open_block_io
from holdfast.model.owner_and_wish import Owner
from holdfast.model.rows import Cluster, Host, Pod, Scope, Step, Volume, Zone
from holdfast.operations.step_journal import StepJournal
from holdfast.operations.step_kind import StepContext
from holdfast.steps.content_steps import GrantedVolume, volume_content
from holdfast.storage_daemon import DataPlane, use_data_plane
from holdfast.workflows import add_store, attach_volume, create_volume, detach_volume
from running_testbeds import Backend, Running, running

pytestmark = pytest.mark.slow
SIZE = 1 << 20


@pytest.fixture(scope="module")
def bed() -> Iterator[Running]:
    require_engine()
    with running(Backend(provider="iscsi", kind="container"), f"chap-{os.getpid()}") as found:
        yield found


def context() -> CallContext:
    return CallContext(operation="test", deadline=runtime().now() + 60)


def test_an_orchestrated_volume_is_read_with_the_hosts_secret_and_not_without(
    bed: Running,
) -> None:
    """Also by a process that granted nothing itself, as recovery is."""
    host = bed.testbed.hosts[0]

    def prepare(tx: Transaction) -> None:
        tx.insert(Zone(id="zone-1", name="zone-1"))
        tx.insert(Pod(id="pod-1", zone="zone-1", name="pod-1"))
        tx.insert(Cluster(id="cluster-1", pod="pod-1", name="cluster-1"))
        tx.insert(Host(id=host, cluster="cluster-1", name=host))

    async def granted(catalogue: Catalogue) -> tuple[str, str]:
        async with open_orchestrator(catalogue) as orchestrator:
            added = add_store(
                name="chap",
                role=Role.PRIMARY,
                provider="iscsi",
                config=bed.testbed.config(Role.PRIMARY, "chap"),
                scope=Scope(ScopeKind.ZONE, "zone-1"),
                hosts=(host,),
            )
            store = (await orchestrator.run(added)).expect().subject
            made = create_volume(name="disk", store=store, size_bytes=SIZE)
            volume = (await orchestrator.run(made)).expect().subject
            attach = attach_volume(volume, host=host, mode=AccessMode.EXCLUSIVE)
            (await orchestrator.run(attach)).expect()
            return store, volume

    async def story() -> None:
        async with MemoryCatalogue().opened() as catalogue:
            await catalogue.transact(prepare)
            await used(catalogue)
        await bed.testbed.remove(Role.PRIMARY, "chap")

    async def used(catalogue: Catalogue) -> None:
        async with DataPlane(bed.testbed.place_of) as plane:
            with use_data_plane(plane):
                store, volume = await granted(catalogue)
        # Another process: its plane was told nothing.
        async with DataPlane(bed.testbed.place_of) as plane:
            with use_data_plane(plane):
                async with open_orchestrator(catalogue) as orchestrator:
                    row = await catalogue.transact(lambda tx: tx.get(Volume, volume))
                    driver = await orchestrator.stores.primary(store)
                    handle = await driver.open(context(), Open(volume=row.key, host=host))
                    assert isinstance(handle, BlockNodeHandle)
                    node = msgspec.json.decode(handle.blockdev, type=dict[str, object])
                    assert {"user", "password-secret"} <= node.keys()
                    secret = await orchestrator.stores.credential(store, host)
                    assert secret not in handle.blockdev
                    with pytest.raises(Denied, match="no secret"):
                        async with open_block_io(handle):
                            pass
                    journal = StepJournal(
                        catalogue, Owner(), Step(id="op-0.000", operation="op-0", index=0), None
                    )
                    step = StepContext(stores=orchestrator.stores, call=context, journal=journal)
                    reached = GrantedVolume(store=store, key=row.key, host=host)
                    assert await volume_content(step, reached, SIZE)
                    (await orchestrator.run(detach_volume(volume, host=host))).expect()

    bed.run(story())
