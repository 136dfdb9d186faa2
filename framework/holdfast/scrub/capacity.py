"""The capacity ledger against itself: sums, and reservations that nothing stands behind."""

from holdfast import journal
from holdfast.catalogue.port import Transaction
from holdfast.model.rows import (
    Capacity,
    LedgerEntry,
    LedgerState,
    Snapshot,
    StoredObject,
    Volume,
)
from holdfast.scrub.findings import Finding, FindingKind


def ledger_findings(tx: Transaction) -> list[Finding]:
    """The sums of each store against its entries, and entries whose holder is gone."""
    found: list[Finding] = []
    for account in tx.select(Capacity):
        entries = tx.select(LedgerEntry, store=account.id)
        sums = dict.fromkeys(LedgerState, 0)
        for entry in entries:
            sums[entry.entry] += entry.amount_bytes
        if (sums[LedgerState.RESERVED], sums[LedgerState.COMMITTED]) != (
            account.reserved_bytes,
            account.committed_bytes,
        ):
            found.append(
                Finding(
                    kind=FindingKind.LEDGER,
                    store=account.id,
                    what="capacity",
                    key=account.id,
                    detail="the sums are not those of the entries",
                )
            )
        busy = {involved.id for one in journal.unfinished(tx) for involved in one.involved}
        found += [
            Finding(
                kind=FindingKind.LEDGER,
                store=account.id,
                what="entry",
                key=entry.holder,
                detail=f"{entry.amount_bytes} bytes are reserved for nothing that is under way",
            )
            for entry in entries
            if entry.entry is LedgerState.RESERVED
            and entry.holder not in busy
            and not _is_in_error(tx, entry.holder)
        ]
    return found


def _is_in_error(tx: Transaction, holder: str) -> bool:
    rows = (tx.find(Volume, holder), tx.find(Snapshot, holder), tx.find(StoredObject, holder))
    return any(row is not None and row.state.value == "Error" for row in rows)
