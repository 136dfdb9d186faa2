"""The capacity ledger: is there room; reserve at decision, commit at ready, release at delete.

All functions run inside a transaction, so that two concurrent placements never spend the same
byte. There is an entry for each holder and store; ``Capacity`` holds the sums, so that a decision
reads one row. Amounts are bytes, and they are *allocated* bytes: what was promised. A volume and an
object count with their size, a snapshot too where its store copies for it; a native snapshot shares
its volume's blocks and was promised none.
"""

from functools import lru_cache

import msgspec

from holdfast.catalogue.port import Transaction
from holdfast.contract.capabilities import Capabilities, PrimaryCapabilities
from holdfast.contract.errors import HoldfastError
from holdfast.model.rows import (
    Capacity,
    LedgerEntry,
    LedgerState,
    Snapshot,
    Store,
    StoredObject,
    Volume,
)

DEFINITION = 1
"""By what accounts are kept; ``holdfast.capacity.ledger_upgrade`` brings older ones here."""

_capabilities = msgspec.json.Decoder(Capabilities | None)


class NoCapacity(HoldfastError):
    """A store has fewer unspoken bytes than were asked for."""


def promised_bytes(tx: Transaction, row: Volume | Snapshot | StoredObject) -> int:
    """What a row's store was promised to hold for it."""
    if isinstance(row, Snapshot) and is_native(tx.get(Store, row.store)):
        return 0
    return row.size_bytes


def rounded_bytes(store: Store, size_bytes: int) -> int:
    """What a volume of this size takes of a store that makes volumes of whole granules."""
    declared = _declared(bytes(store.capabilities))
    if declared is None:
        return size_bytes
    granule = max(1, declared.volume.size_granularity_bytes)
    return -(-size_bytes // granule) * granule


def is_native(store: Store) -> bool:
    """Whether snapshots in this store share the blocks of their volumes."""
    declared = _declared(bytes(store.capabilities))
    return declared is not None and declared.snapshot is not None and declared.snapshot.native


@lru_cache(maxsize=256)
def _declared(document: bytes) -> PrimaryCapabilities | None:
    found = _capabilities.decode(document)
    return found if isinstance(found, PrimaryCapabilities) else None


def entry_id(holder: str, store: str) -> str:
    """The id of the entry of a holder in a store."""
    return f"{holder}/{store}"


def open_account(tx: Transaction, store: str) -> None:
    """Give a new store its sums; it is unbounded until its total is known."""
    tx.insert(Capacity(id=store, definition=DEFINITION))


def close_account(tx: Transaction, store: str) -> None:
    """Drop the sums of a store that is no more, and what was spoken for in it: lost things, and
    leftovers of dirty operations, went with the store.
    """
    for entry in tx.intact(LedgerEntry, store=store):
        tx.remove(entry)
    found = tx.find(Capacity, store)
    if found is not None:
        tx.remove(found)


def reserve(tx: Transaction, *, store: str, holder: str, amount_bytes: int) -> None:
    """Speak for ``amount_bytes`` in all for a holder that may have an entry already.

    Raises:
        NoCapacity: the store has less than that left.
    """
    entry = tx.find(LedgerEntry, entry_id(holder, store))
    if entry is None:
        reserve_new(tx, store=store, holder=holder, amount_bytes=amount_bytes)
        return
    amount_bytes = max(amount_bytes, entry.amount_bytes)
    _account(tx, store, reserved=amount_bytes, without=entry)
    _replace(tx, entry, amount_bytes, LedgerState.RESERVED)


def reserve_new(tx: Transaction, *, store: str, holder: str, amount_bytes: int) -> None:
    """``reserve`` for a holder that was made in this transaction and so has no entry."""
    _account(tx, store, reserved=amount_bytes)
    tx.insert(_entry(store, holder, amount_bytes))


def settle(tx: Transaction, *, store: str, holder: str, amount_bytes: int) -> None:
    """Commit what a holder really has; it may be more or less than was reserved."""
    entry = tx.find(LedgerEntry, entry_id(holder, store))
    if entry is None or (
        entry.entry is LedgerState.COMMITTED and entry.amount_bytes == amount_bytes
    ):
        return
    _account(tx, entry.store, committed=amount_bytes, without=entry, bounded=False)
    _replace(tx, entry, amount_bytes, LedgerState.COMMITTED)


def enter(tx: Transaction, *, store: str, holder: str, amount_bytes: int) -> None:
    """Commit what a holder has that never had an entry, whether it fits or not."""
    _account(tx, store, committed=amount_bytes, bounded=False)
    tx.insert(_entry(store, holder, amount_bytes, LedgerState.COMMITTED))


def release(tx: Transaction, *, store: str, holder: str) -> None:
    """Give back all that a holder has in a store; a holder without an entry is fine."""
    drop(tx, tx.find(LedgerEntry, entry_id(holder, store)))


def release_all(tx: Transaction, *, holder: str) -> None:
    """Give back all that a holder has, in whatever store."""
    for entry in tx.select(LedgerEntry, holder=holder):
        drop(tx, entry)


def drop(tx: Transaction, entry: LedgerEntry | None) -> None:
    """Give back what is spoken for by one entry."""
    if entry is not None:
        _account(tx, entry.store, without=entry, bounded=False)
        tx.remove(entry)


def _entry(
    store: str, holder: str, amount_bytes: int, state: LedgerState = LedgerState.RESERVED
) -> LedgerEntry:
    return LedgerEntry(
        id=entry_id(holder, store),
        store=store,
        holder=holder,
        amount_bytes=amount_bytes,
        entry=state,
    )


def _replace(tx: Transaction, entry: LedgerEntry, amount_bytes: int, state: LedgerState) -> None:
    tx.update(msgspec.structs.replace(entry, amount_bytes=amount_bytes, entry=state))


def _account(
    tx: Transaction,
    store: str,
    *,
    reserved: int = 0,
    committed: int = 0,
    without: LedgerEntry | None = None,
    bounded: bool = True,
) -> None:
    """Change a store's sums: less the old entry, plus the new amount, within the total.

    Who asks for no more than before is never refused, however little the store has.
    """
    found = tx.get(Capacity, store)
    if without is not None and without.entry is LedgerState.RESERVED:
        reserved -= without.amount_bytes
    elif without is not None:
        committed -= without.amount_bytes
    spoken_for = found.reserved_bytes + found.committed_bytes
    asked = reserved + committed
    total = found.total_bytes
    if bounded and total is not None and asked > 0 and spoken_for + asked > total:
        known = tx.find(Store, store)
        raise NoCapacity(
            f"store {known.name if known else store} has {max(0, total - spoken_for)} of {total} "
            f"bytes left, and {asked} were asked for; free some or choose another store"
        )
    tx.update(
        msgspec.structs.replace(
            found,
            reserved_bytes=found.reserved_bytes + reserved,
            committed_bytes=found.committed_bytes + committed,
        )
    )
