"""From a catalogue to the orchestrator that owns it: parts put together, and taken apart again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.capacity.ledger_upgrade import upgrade_ledger
from holdfast.catalogue.port import Catalogue
from holdfast.concurrency.owned import undisturbed
from holdfast.concurrency.runtime import runtime
from holdfast.model.owner_and_wish import Owner
from holdfast.operations.lease import LeaseDamaged, renew_lease, take_lease
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.step_registry import Registry
from holdfast.operations.step_retries import Attempts, Policy
from holdfast.steps.builtin import builtin_registry
from holdfast.storage_daemon import DataPlane, data_plane, use_data_plane
from holdfast.stores.kept_stores import Opener, OpenStores, PluginOpener
from holdfast.stores.store_secrets import settle


@asynccontextmanager
async def open_orchestrator(
    catalogue: Catalogue,
    *,
    opener: Opener | None = None,
    registry: Registry | None = None,
    policy: Policy | None = None,
    renewing_lease: bool = False,
) -> AsyncIterator[Orchestrator]:
    """Own a catalogue and run workflows on it.

    Args:
        catalogue: is owned until the context ends.
        opener: opens the stores' drivers; by default with the installed providers.
        registry: the kinds of step; by default those of the framework.
        policy: how long and how often steps are tried.
        renewing_lease: make a new lease where the catalogue's cannot be read; without that, such a
            catalogue is opened for what only reads.
    """
    runtime().adopt_loop()
    lease = await _owned(catalogue, renewing_lease=renewing_lease)
    owner = lease if isinstance(lease, Owner) else Owner()
    stores = OpenStores(catalogue, opener or PluginOpener())
    attempts = Attempts(stores, fence=owner.fence, policy=policy)
    kinds = registry or builtin_registry()
    failed: Exception | None = None
    async with _hosts():
        try:
            async with asyncio.TaskGroup() as tasks:
                orchestrator = Orchestrator(
                    catalogue, kinds, attempts, stores, owner=owner, tasks=tasks
                )
                if isinstance(lease, LeaseDamaged):
                    orchestrator.refuse_work(lease)
                try:
                    yield orchestrator
                except Exception as failure:  # noqa: BLE001 - raised below, not wrapped in a group
                    failed = failure
                    orchestrator.stop()
        finally:
            try:
                await undisturbed(_quiet(attempts))
            finally:
                try:
                    await undisturbed(stores.aclose())
                except Exception:
                    if failed is None:  # else the first failure is the one to be told
                        raise
    if failed is not None:
        raise failed


async def _owned(catalogue: Catalogue, *, renewing_lease: bool) -> Owner | LeaseDamaged:
    """Become a catalogue's owner, and finish what an earlier version or owner left half done in it.

    Returns:
        The owner, or why it can have no fence.
    """
    owner = runtime().new_id("orchestrator")
    if renewing_lease:
        now_s = runtime().wall_clock()
        await catalogue.transact(lambda tx: renew_lease(tx, now_s))
    fence = await catalogue.transact(lambda tx: take_lease(tx, owner))
    await upgrade_ledger(catalogue)
    await settle(catalogue)
    return Owner(owner, fence) if isinstance(fence, int) else fence


@asynccontextmanager
async def _hosts() -> AsyncIterator[None]:
    """A data plane for handles that need one, unless the caller has one; unused, it costs nothing.

    Every host is this machine then.
    """
    if data_plane() is not None:
        yield
        return
    async with DataPlane() as plane:
        with use_data_plane(plane):
            yield


async def _quiet(attempts: Attempts) -> None:
    """No driver call that was cut off acts any more.

    Who owns the catalogue next decides by what the backend shows; it must not change after that.
    """
    await attempts.quiet()
    await runtime().drained()
