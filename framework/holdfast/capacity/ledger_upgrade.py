"""Accounts kept by an older definition are brought to the one of ``holdfast.capacity.ledger``.

Until then an entry was named after its holder alone, and a native snapshot was entered with the
size of its volume, for which nothing was ever promised. Done once, by whoever opens an orchestrator
on the catalogue, before anything is reserved; a page of entries is one commit, and a crash between
two of them is gone on with at the next opening.
"""

import contextlib
from functools import partial

import msgspec

from holdfast.capacity import ledger
from holdfast.catalogue.port import Catalogue, RowDamaged, Transaction
from holdfast.model.rows import Capacity, LedgerEntry, LedgerState, Snapshot, Store

_PAGE = 500


async def upgrade_ledger(catalogue: Catalogue) -> None:
    """Bring every account to today's definition; those that have it cost nothing.

    That of a store whose own row is damaged waits until it is restored: nobody can use it before.
    """
    for store in await catalogue.transact(_outdated):
        with contextlib.suppress(RowDamaged):
            after = ""
            while after := await catalogue.transact(partial(_page, store=store, after=after)):
                pass


def _outdated(tx: Transaction) -> list[str]:
    return [account.id for account in tx.intact(Capacity) if account.definition < ledger.DEFINITION]


def _page(tx: Transaction, *, store: str, after: str) -> str:
    """Rewrite the next entries of a store; returns the last one's id, or nothing at the end."""
    account = tx.get(Capacity, store)
    found = tx.find(Store, store)
    native = found is not None and ledger.is_native(found)
    entries = tx.page(LedgerEntry, after=after, limit=_PAGE, store=store)
    sums = {
        LedgerState.RESERVED: account.reserved_bytes,
        LedgerState.COMMITTED: account.committed_bytes,
    }
    for entry in entries:
        amount = 0 if native and _is_snapshot(tx, entry.holder) else entry.amount_bytes
        sums[entry.entry] += amount - entry.amount_bytes
        new_id = ledger.entry_id(entry.holder, store)
        if entry.id == new_id:
            tx.update(msgspec.structs.replace(entry, amount_bytes=amount))
        else:
            tx.remove(entry)
            tx.insert(msgspec.structs.replace(entry, id=new_id, amount_bytes=amount))
    tx.update(
        msgspec.structs.replace(
            account,
            reserved_bytes=sums[LedgerState.RESERVED],
            committed_bytes=sums[LedgerState.COMMITTED],
            definition=account.definition if entries else ledger.DEFINITION,
        )
    )
    return entries[-1].id if entries else ""


def _is_snapshot(tx: Transaction, holder: str) -> bool:
    try:
        return tx.find(Snapshot, holder) is not None
    except RowDamaged:
        return True
