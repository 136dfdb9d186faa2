"""The capacity ledger: reserve at decision, commit at ready, release at delete.

All functions run inside a transaction, so that two concurrent placements never spend the same
byte. A row has one entry, under its own id; ``Capacity`` holds the sums, so that a decision reads
one row. Amounts are bytes.
"""

from holdfast.catalogue.port import Transaction
from holdfast.errors import HoldfastError
from holdfast.model.rows import Capacity, LedgerEntry, LedgerState, Store


class NoCapacity(HoldfastError):
    """A store has fewer unspoken bytes than were asked for."""


def open_account(tx: Transaction, store: str) -> None:
    """Give a new store its sums; it is unbounded until its total is known."""
    tx.insert(Capacity(id=store))


def close_account(tx: Transaction, store: str) -> None:
    """Drop the sums of a store that is no more."""
    found = tx.find(Capacity, store)
    if found is not None:
        tx.remove(found)


def reserve(tx: Transaction, *, store: str, holder: str, amount_bytes: int) -> None:
    """Speak for ``amount_bytes`` in all for a holder that may have an entry already.

    Raises:
        NoCapacity: the store has less than that left.
    """
    entry = tx.find(LedgerEntry, holder)
    if entry is None:
        _account(tx, store, reserved=amount_bytes)
        tx.insert(LedgerEntry(id=holder, store=store, holder=holder, amount_bytes=amount_bytes))
        return
    amount_bytes = max(amount_bytes, entry.amount_bytes)
    _account(tx, store, reserved=amount_bytes, without=entry)
    _replace(tx, entry, amount_bytes, LedgerState.RESERVED)


def reserve_new(tx: Transaction, *, store: str, holder: str, amount_bytes: int) -> None:
    """``reserve`` for a holder that was made in this transaction and so has no entry."""
    _account(tx, store, reserved=amount_bytes)
    tx.insert(LedgerEntry(id=holder, store=store, holder=holder, amount_bytes=amount_bytes))


def settle(tx: Transaction, *, holder: str, amount_bytes: int) -> None:
    """Commit what a holder really has; it may be more or less than was reserved."""
    entry = tx.find(LedgerEntry, holder)
    if entry is None or (
        entry.entry is LedgerState.COMMITTED and entry.amount_bytes == amount_bytes
    ):
        return
    _account(tx, entry.store, committed=amount_bytes, without=entry, bounded=False)
    _replace(tx, entry, amount_bytes, LedgerState.COMMITTED)


def release(tx: Transaction, *, holder: str) -> None:
    """Give back all that a holder has; a holder without an entry is fine."""
    entry = tx.find(LedgerEntry, holder)
    if entry is None:
        return
    _account(tx, entry.store, without=entry, bounded=False)
    tx.remove(entry)


def _replace(tx: Transaction, entry: LedgerEntry, amount_bytes: int, state: LedgerState) -> None:
    tx.update(
        LedgerEntry(
            id=entry.id,
            version=entry.version,
            store=entry.store,
            holder=entry.holder,
            amount_bytes=amount_bytes,
            entry=state,
        )
    )


def _account(
    tx: Transaction,
    store: str,
    *,
    reserved: int = 0,
    committed: int = 0,
    without: LedgerEntry | None = None,
    bounded: bool = True,
) -> None:
    """Change a store's sums: less the old entry, plus the new amount, within the total."""
    found = tx.get(Capacity, store)
    if without is not None and without.entry is LedgerState.RESERVED:
        reserved -= without.amount_bytes
    elif without is not None:
        committed -= without.amount_bytes
    spoken_for = found.reserved_bytes + found.committed_bytes
    asked = reserved + committed
    if bounded and found.total_bytes is not None and spoken_for + asked > found.total_bytes:
        known = tx.find(Store, store)
        raise NoCapacity(
            f"store {known.name if known else store} has {found.total_bytes - spoken_for} of "
            f"{found.total_bytes} bytes left, and {asked} were asked for; free some or choose "
            "another store"
        )
    tx.update(
        Capacity(
            id=found.id,
            version=found.version,
            total_bytes=found.total_bytes,
            reserved_bytes=found.reserved_bytes + reserved,
            committed_bytes=found.committed_bytes + committed,
        )
    )
