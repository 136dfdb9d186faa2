"""Volumes that the orchestrator grants on tgt ask the host for its secret, and get it."""

import os
from collections.abc import Iterator

import msgspec
import pytest

from engines import require_engine
from holdfast.capabilities import AccessMode
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Transaction
from holdfast.data import open_block_io
from holdfast.dataplane import DataPlane, use_data_plane
from holdfast.errors import Denied
from holdfast.handles import BlockNodeHandle
from holdfast.model.rows import Cluster, Host, Pod, Scope, Volume, Zone
from holdfast.orchestrator import open_orchestrator
from holdfast.requests import CallContext, Open, Role, ScopeKind
from holdfast.runtime import runtime
from holdfast.steps.contents import GrantedVolume, volume_content
from holdfast.steps.kind import StepContext
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
    catalogue = MemoryCatalogue()

    def prepare(tx: Transaction) -> None:
        tx.insert(Zone(id="zone-1", name="zone-1"))
        tx.insert(Pod(id="pod-1", zone="zone-1", name="pod-1"))
        tx.insert(Cluster(id="cluster-1", pod="pod-1", name="cluster-1"))
        tx.insert(Host(id=host, cluster="cluster-1", name=host))

    async def granted() -> tuple[str, str]:
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
        await catalogue.transact(prepare)
        async with DataPlane(bed.testbed.place_of) as plane:
            with use_data_plane(plane):
                store, volume = await granted()
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
                    step = StepContext(stores=orchestrator.stores, call=context)
                    reached = GrantedVolume(store=store, key=row.key, host=host)
                    assert await volume_content(step, reached, SIZE)
                    (await orchestrator.run(detach_volume(volume, host=host))).expect()
        await bed.testbed.remove(Role.PRIMARY, "chap")

    bed.run(story())
