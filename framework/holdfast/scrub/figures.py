"""The figures of a store beside its ledger: what it has, what is used, what its pools say."""

import asyncio

import msgspec

from holdfast.catalogue.port import Transaction
from holdfast.model.rows import Capacity
from holdfast.requests import GetStats, ListPools, Role
from holdfast.runtime import runtime
from holdfast.scrub.comparison import StoreScrub


async def refresh_figures(one: StoreScrub) -> None:
    """Ask the driver, and keep its answers with the time; what is promised does not change.

    A store that became smaller than what it has promised refuses only who asks for more.
    """
    stores, store = one.orchestrator.stores, one.store.id
    async with asyncio.timeout(one.patience_s):
        driver = await one.driver()
        figures = await driver.stats(one.ctx(), GetStats())
        total, used = figures.total_bytes, figures.used_bytes
        if one.store.role is Role.PRIMARY:
            pools = (await (await stores.primary(store)).pools(one.ctx(), ListPools())).items
            total = sum(pool.total_bytes for pool in pools)
            used = sum(pool.used_bytes for pool in pools)
    now = runtime().wall_clock()

    def commit(tx: Transaction) -> None:
        account = tx.find(Capacity, store)
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
