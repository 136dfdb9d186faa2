"""The figures of a store beside its ledger: what it has, what is used, what its pools say."""

import asyncio

import msgspec

from holdfast.catalogue.port import Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.answers import StatsInfo
from holdfast.contract.requests import GetStats, ListPools, Role
from holdfast.model.rows import Capacity
from holdfast.scrub.comparison import StoreScrub


async def refresh_figures(one: StoreScrub) -> None:
    """Ask the driver, and keep its answers with the time; what is promised does not change.

    A store that became smaller than what it has promised refuses only who asks for more.
    """
    async with asyncio.timeout(one.patience_s):
        driver = await one.driver()
        figures = await driver.stats(one.ctx(), GetStats())
        total, used = await _physical_bytes(one, figures)
    now = runtime().wall_clock()

    def commit(tx: Transaction) -> None:
        account = tx.find(Capacity, one.store.id)
        if account is not None:
            tx.update(
                msgspec.structs.replace(
                    account,
                    total_bytes=figures.total_bytes,
                    used_bytes=figures.used_bytes,
                    physical_total_bytes=total,
                    physical_used_bytes=used,
                    refreshed_s=now,
                )
            )

    await one.catalogue.transact(commit)


async def _physical_bytes(one: StoreScrub, figures: StatsInfo) -> tuple[int, int]:
    """What the pools below a primary store have and use; of an image store, its own figures."""
    if one.store.role is not Role.PRIMARY:
        return figures.total_bytes, figures.used_bytes
    driver = await one.orchestrator.stores.primary(one.store.id)
    pools = (await driver.pools(one.ctx(), ListPools())).items
    return sum(pool.total_bytes for pool in pools), sum(pool.used_bytes for pool in pools)
