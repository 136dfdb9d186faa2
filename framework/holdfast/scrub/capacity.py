"""The capacity ledger against itself: sums, and reservations that nothing stands behind."""

from collections.abc import Collection

from holdfast import journal, ledger
from holdfast.catalogue.port import Transaction
from holdfast.model.rows import (
    Capacity,
    LedgerEntry,
    LedgerState,
    Operation,
    Quarantined,
    Snapshot,
    StoredObject,
    Volume,
)
from holdfast.model.states import OperationState
from holdfast.scrub.findings import Finding, FindingKind


def release_cleared(tx: Transaction, compared: Collection[str]) -> None:
    """Give back what dirty operations hold in stores that were compared and found without it.

    What an operation could not clear away is named after it, and in quarantine while it is there.
    """
    for store in compared:
        left = [row.key for row in tx.select(Quarantined, store=store)]
        for entry in tx.select(LedgerEntry, store=store):
            operation = tx.find(Operation, entry.holder)
            if operation is None or operation.state is not OperationState.FAILED_DIRTY:
                continue
            if not any(key.startswith(operation.id) for key in left):
                ledger.release(tx, holder=entry.holder)


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
