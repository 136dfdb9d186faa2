"""Scrub: compares catalogue and backends both ways; nothing unknown is deleted.

Bytes without a row go to quarantine with an age; Ready rows without bytes become Lost, which is an
alert. It runs beside other work: what an operation is at work on is left for a later scrub. What
was interrupted is reported as unfinished: recovery comes first. Each store, each entry and each
object fails for itself.
"""

import asyncio

from holdfast.catalogue.port import Damage, RowDamaged, Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.model.owner_and_wish import Wish
from holdfast.model.rows import Lease, Operation, Store
from holdfast.model.state_tables import OperationState, StoreState
from holdfast.operations import journal
from holdfast.operations.orchestrator import Orchestrator
from holdfast.scrub.capacity import dirty_holders, ledger_findings, release_cleared, retire_outlived
from holdfast.scrub.comparison import StoreScrub
from holdfast.scrub.findings import Finding, FindingKind, Findings, ScrubReport
from holdfast.scrub.object_content import read_objects
from holdfast.scrub.scratch import Scratch
from holdfast.scrub.second_look import second_look
from holdfast.scrub.store_usage import refresh_figures

__all__ = ["PATIENCE_S", "Finding", "FindingKind", "ScrubReport", "scrub"]

PATIENCE_S = 600.0
STORES_AT_ONCE = 16


async def scrub(
    orchestrator: Orchestrator, *, deep: bool = False, patience_s: float = PATIENCE_S
) -> ScrubReport:
    """Compare every store that is in service with the catalogue; ``deep`` reads objects too.

    What is found changes the catalogue: unknown things are put into quarantine, lost rows are
    marked, what has returned is Ready again, the ledger is put right, and the
    stores' figures are as new. The catalogue itself is
    read whole; what needs a row of it that is damaged is not compared.

    Args:
        orchestrator: whose stores and catalogue are compared.
        deep: read every object back.
        patience_s: how long a store may say nothing before it counts as unreachable.
    """
    damage = await orchestrator.catalogue.check()
    damaged = frozenset(one.key for one in damage)
    findings = [_of_damage(one) for one in damage]
    if orchestrator.unfit is not None and not any(one.what == Lease.__name__ for one in damage):
        gone = Damage(what=Lease.__name__, key=orchestrator.unfit.row_id, detail="it is not there")
        findings.append(_of_damage(gone))
    stores = await orchestrator.catalogue.transact(lambda tx: tx.intact(Store))
    served = [store for store in stores if store.state in (StoreState.UP, StoreState.MAINTENANCE)]
    if "" in damaged:
        served = []  # a whole table cannot be read: nobody can say what it accounts for
    gate = asyncio.Semaphore(STORES_AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        looks = [
            tasks.create_task(
                _one_store(StoreScrub(orchestrator, store, patience_s, damaged), gate, deep=deep)
            )
            for store in served
        ]
    looked = [look.result() for look in looks]
    findings += await _interrupted(orchestrator)
    findings += [_in_error(store) for store in stores if store.state is StoreState.ERROR]
    findings += [finding for one in looked for finding in one.found]
    await retire_outlived(orchestrator.catalogue, damaged)
    findings += await ledger_findings(orchestrator.catalogue, damaged)
    return ScrubReport(
        stores=len(served),
        things=sum(one.things for one in looked),
        rows=sum(one.rows for one in looked),
        digests=sum(one.digests for one in looked),
        findings=tuple(findings),
    )


async def _one_store(one: StoreScrub, gate: asyncio.Semaphore, *, deep: bool) -> Findings:
    """Everything about one store; whatever goes wrong with it is a finding about it alone."""
    async with gate:
        try:
            await _compare(one)
            if deep:
                await read_objects(one)
            await refresh_figures(one)
        except RowDamaged:
            pass  # it is among the findings already
        except Exception as problem:  # noqa: BLE001 - the other stores are to be compared
            one.findings.unreachable(problem)
    return one.findings


async def _compare(one: StoreScrub) -> None:
    dirty = await dirty_holders(one.catalogue, one.store.id)
    lane = runtime().open_lane()
    try:
        scratch = await lane.run(Scratch)
        try:
            doubts = await one.first_look(lane, scratch)
            cleared = [holder for holder in dirty if not await lane.run(scratch.has_prefix, holder)]
        finally:
            await lane.run(scratch.close)
    finally:
        lane.close()
    await second_look(one, doubts)
    await release_cleared(one.catalogue, one.store.id, cleared)


def _of_damage(one: Damage) -> Finding:
    remedy = "restore the catalogue from a copy. What needs this was not compared"
    if one.what == Lease.__name__:
        remedy = "nothing is done in any store until holdfast recover --renew-lease"
    return Finding(
        kind=FindingKind.DAMAGED,
        store="",
        what=one.what,
        key=one.key,
        detail=f"{one.detail}; {remedy}",
    )


def _in_error(store: Store) -> Finding:
    return Finding(
        kind=FindingKind.DIFFERS,
        store=store.name,
        what="store",
        key=store.id,
        detail=f"the store is {store.state} and was not compared; remove it",
    )


def _waits(operation: Operation) -> bool:
    """Whether a person let it wait; who wanted it cancelled has been forgotten."""
    return operation.state is OperationState.PAUSED and operation.wish is not Wish.CANCEL


async def _interrupted(orchestrator: Orchestrator) -> list[Finding]:
    """Operations without an outcome that nobody works on; what is paused waits on purpose."""

    def read(tx: Transaction) -> list[Operation]:
        # Looked at inside the transaction: one that ends meanwhile is still active here.
        return [
            one
            for one in journal.unfinished(tx)
            if one.id not in orchestrator.active and not _waits(one)
        ]

    return [
        Finding(
            kind=FindingKind.UNFINISHED,
            store="",
            what="operation",
            key=operation.id,
            detail=f"{operation.kind} of {operation.subject} is {operation.state}; run recover",
        )
        for operation in await orchestrator.catalogue.transact(read)
    ]
