"""Scrub: compares catalogue and backends both ways; nothing unknown is deleted.

Bytes without a row go to quarantine with an age; Ready rows without bytes become Lost, which is an
alert. What an unfinished operation holds is reported as unfinished: recovery comes first.
"""

from holdfast import journal
from holdfast.errors import DriverError
from holdfast.model.rows import Store
from holdfast.model.states import StoreState
from holdfast.orchestrator import Orchestrator
from holdfast.scrub.capacity import ledger_findings, release_cleared
from holdfast.scrub.comparison import StoreScrub
from holdfast.scrub.contents import read_objects
from holdfast.scrub.findings import Finding, FindingKind, ScrubReport

__all__ = ["Finding", "FindingKind", "ScrubReport", "scrub"]


async def scrub(orchestrator: Orchestrator, *, deep: bool = False) -> ScrubReport:
    """Compare every store that is in service with the catalogue; ``deep`` reads objects too.

    What is found changes the catalogue: unknown things are put into quarantine, lost rows are
    marked, and what has returned is Ready again.
    """
    stores = await orchestrator.catalogue.transact(lambda tx: tx.select(Store))
    findings = await _unfinished(orchestrator)
    findings += [_in_error(store) for store in stores if store.state is StoreState.ERROR]
    things = rows = digests = 0
    compared: list[str] = []
    served = [store for store in stores if store.state in (StoreState.UP, StoreState.MAINTENANCE)]
    for store in served:
        one = StoreScrub(orchestrator, store)
        try:
            await one.compare()
            compared.append(store.id)
            if deep:
                digests += await read_objects(one)
        except DriverError as problem:
            one.find(FindingKind.UNREACHABLE, "store", store.name, str(problem))
        findings += one.findings
        things, rows = things + one.things, rows + one.rows
    await orchestrator.catalogue.transact(lambda tx: release_cleared(tx, compared))
    findings += await orchestrator.catalogue.transact(ledger_findings)
    return ScrubReport(
        stores=len(served), things=things, rows=rows, digests=digests, findings=tuple(findings)
    )


def _in_error(store: Store) -> Finding:
    return Finding(
        kind=FindingKind.DIFFERS,
        store=store.name,
        what="store",
        key=store.id,
        detail=f"the store is {store.state} and was not compared; remove it",
    )


async def _unfinished(orchestrator: Orchestrator) -> list[Finding]:
    found = await orchestrator.catalogue.transact(journal.unfinished)
    return [
        Finding(
            kind=FindingKind.UNFINISHED,
            store="",
            what="operation",
            key=operation.id,
            detail=f"{operation.kind} of {operation.subject} is {operation.state}; run recover",
        )
        for operation in found
    ]
