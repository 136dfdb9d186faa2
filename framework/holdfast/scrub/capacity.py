"""The capacity ledger against what exists by its definition, and against its own sums.

The ledger says what was promised: an entry for each row that has bytes in a store, one for each
operation that still needs some, and no other. Where it does not, that is a finding, and it is put
right: row by row, in the transaction that looks, so that running work never sees a wrong one.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from holdfast.capacity import ledger
from holdfast.catalogue.port import Catalogue, RowDamaged, Transaction
from holdfast.model.rows import (
    Capacity,
    LedgerEntry,
    LedgerState,
    Operation,
    Row,
    Snapshot,
    Store,
    StoredObject,
    Volume,
)
from holdfast.model.state_sets import NOT_THERE, SETTLED, UNSOUND
from holdfast.model.state_tables import OperationState
from holdfast.operations import journal
from holdfast.scrub.accounts import HOLDERS, Holder, unfinished
from holdfast.scrub.comparison import PAGE
from holdfast.scrub.findings import Finding, FindingKind
from holdfast.stores.retirement import HELD, outlived, retire

RowT = TypeVar("RowT", bound=Row)
T = TypeVar("T")


async def dirty_holders(catalogue: Catalogue, store: str) -> list[str]:
    """The operations that left something dirty and still hold capacity in a store."""

    def read(tx: Transaction) -> list[str]:
        dirty = tx.intact(Operation, state=OperationState.FAILED_DIRTY)
        return [one.id for one in dirty if _holds(tx, one.id, store)]

    return await catalogue.transact(read)


def _holds(tx: Transaction, holder: str, store: str) -> bool:
    try:
        return tx.find(LedgerEntry, ledger.entry_id(holder, store)) is not None
    except RowDamaged:
        return False  # a finding already; what it speaks for stays spoken for


async def release_cleared(catalogue: Catalogue, store: str, holders: list[str]) -> None:
    """Give back what dirty operations hold in a store that was found without what they left.

    What an operation could not clear away is named after it. ``holders`` were dirty before the
    store was looked at.
    """

    def commit(tx: Transaction) -> None:
        for holder in holders:
            ledger.release(tx, store=store, holder=holder)

    if holders:
        await catalogue.transact(commit)


async def ledger_findings(
    catalogue: Catalogue, damaged: frozenset[str] = frozenset()
) -> list[Finding]:
    """Where the ledger of each store is not what exists; it is put right.

    Nothing is decided that one of the ``damaged`` rows may have a part in.
    """
    findings: list[Finding] = []
    for account in await catalogue.transact(lambda tx: tx.intact(Capacity)):
        with contextlib.suppress(RowDamaged):  # a finding already, and one of this store alone
            findings += await _of_account(catalogue, account.id, damaged)
    return findings


async def retire_outlived(catalogue: Catalogue, damaged: frozenset[str]) -> None:
    """Drop rows that an earlier version left of removed stores (``stores.retirement``)."""

    def commit(tx: Transaction) -> None:
        busy = unfinished(tx, damaged).rows
        for kind in HELD:
            for state in sorted(set(map(str, UNSOUND))):
                for row in tx.intact(kind, state=state):
                    with contextlib.suppress(RowDamaged):
                        if row.id not in busy and outlived(tx, row):
                            retire(tx, row)

    await catalogue.transact(commit)


async def _of_account(catalogue: Catalogue, store: str, damaged: frozenset[str]) -> list[Finding]:
    findings: list[Finding] = []
    for table, _ in HOLDERS:
        page = partial(_rows, store=store, table=table, damaged=damaged)
        findings += await _walk(catalogue, page)
    return findings + await _entries_and_sums(catalogue, store, damaged)


async def _entries_and_sums(
    catalogue: Catalogue, store: str, damaged: frozenset[str]
) -> list[Finding]:
    """Each entry for itself, and all of them against the sums of the store.

    Whatever changes an entry changes the account's version. An account that does not come to rest
    during a walk is read in one transaction, which everything else waits for.
    """
    before = await catalogue.transact(lambda tx: tx.find(Capacity, store))
    pages = await _walk(catalogue, partial(_entries, store=store, damaged=damaged))
    findings = [finding for page in pages for finding in page.findings]
    if any(ledger.entry_id("", store) in one for one in damaged):
        return findings
    now = await catalogue.transact(lambda tx: tx.find(Capacity, store))
    if now is None or (now == before and _is_right(now, _total(page.sums for page in pages))):
        return findings
    return findings + await catalogue.transact(partial(_put_sums_right, store=store))


async def _walk(catalogue: Catalogue, page: Callable[..., tuple[str, Sequence[T]]]) -> list[T]:
    """What all pages give, each in a transaction of its own."""
    results: list[T] = []
    after = ""
    while True:
        after, more = await catalogue.transact(partial(page, after=after))
        results += more
        if not after:
            return results


Sums = tuple[int, int]
"""Reserved and committed bytes."""


class _Page(msgspec.Struct, frozen=True):
    """What one page of entries came to."""

    sums: Sums
    findings: list[Finding]


def _entries(
    tx: Transaction, *, store: str, after: str, damaged: frozenset[str]
) -> tuple[str, list[_Page]]:
    """Entries that nothing stands behind, and those of another amount than was promised."""
    page = tx.page(LedgerEntry, after=after, limit=PAGE, store=store)
    holders = _holders(tx, store, [entry.holder for entry in page])
    findings: list[Finding] = []
    for entry in page:
        if entry.holder in damaged:
            continue
        problem = _of_entry(tx, entry, holders.get(entry.holder) or _holder(tx, entry.holder))
        if problem:
            findings.append(_finding(tx, store, "entry", entry.holder, problem))
    return (page[-1].id if page else ""), [_Page(_total(map(_amount, page)), findings)]


def _of_entry(tx: Transaction, entry: LedgerEntry, row: Holder | None) -> str:
    if row is None:
        operation = tx.find(Operation, entry.holder)
        if operation is not None and operation.state not in (
            OperationState.SUCCEEDED,
            OperationState.FAILED_CLEAN,
        ):
            return ""
    elif row.state not in NOT_THERE:
        if row.state not in SETTLED or row.store != entry.store:
            return _elsewhere(tx, row, entry)
        promised = ledger.promised_bytes(tx, row)
        if (entry.entry, entry.amount_bytes) == (LedgerState.COMMITTED, promised):
            return ""
        ledger.settle(tx, store=entry.store, holder=entry.holder, amount_bytes=promised)
        had = f"{entry.amount_bytes} bytes were {entry.entry}"
        return f"{had} where {promised} are promised; put right"
    ledger.drop(tx, entry)
    return f"{entry.amount_bytes} bytes were {entry.entry} for nothing that is there; given back"


def _elsewhere(tx: Transaction, row: Holder, entry: LedgerEntry) -> str:
    """A row has an entry in another store only while an operation moves it."""
    if row.store == entry.store or row.state not in SETTLED:
        return ""
    if any(row.id == involved.id for one in journal.unfinished(tx) for involved in one.involved):
        return ""
    ledger.drop(tx, entry)
    return f"{entry.amount_bytes} bytes were {entry.entry} for what is elsewhere; given back"


def _rows(
    tx: Transaction, *, store: str, table: type[Holder], after: str, damaged: frozenset[str]
) -> tuple[str, list[Finding]]:
    """Rows that have, or may have, bytes in the store and no entry."""
    page = tx.page(table, after=after, limit=PAGE, store=store)
    ids = {row.id: ledger.entry_id(row.id, store) for row in page if row.state not in NOT_THERE}
    entries = _among(tx, LedgerEntry, store, list(ids.values()))
    findings: list[Finding] = []
    for row in page:
        if row.id not in ids or ids[row.id] in entries or ids[row.id] in damaged:
            continue
        promised = ledger.promised_bytes(tx, row)
        ledger.enter(tx, store=store, holder=row.id, amount_bytes=promised)
        problem = f"the {promised} bytes promised to it were not in the ledger; put right"
        findings.append(_finding(tx, store, "entry", row.id, problem))
    return (page[-1].id if page else ""), findings


def _holders(tx: Transaction, store: str, ids: list[str]) -> dict[str, Holder]:
    """The rows of these ids in a store."""
    holders: dict[str, Holder] = {}
    for table, _ in HOLDERS:
        holders |= _among(tx, table, store, ids)
    return holders


def _among(tx: Transaction, table: type[RowT], store: str, ids: list[str]) -> dict[str, RowT]:
    """The rows of these ids, which come in order and so are near each other.

    They are paged through and not looked up: looked up, they would drive out of the catalogue's
    memory what running work needs.
    """
    if not ids:
        return {}
    rows: dict[str, RowT] = {}
    wanted, after, last = set(ids), min(ids)[:-1], max(ids)
    while after < last and (page := tx.page(table, after=after, limit=PAGE, store=store)):
        after = page[-1].id
        rows.update((row.id, row) for row in page if row.id in wanted)
    return rows


def _holder(tx: Transaction, holder: str) -> Holder | None:
    return tx.find(Volume, holder) or tx.find(Snapshot, holder) or tx.find(StoredObject, holder)


def _amount(entry: LedgerEntry) -> Sums:
    if entry.entry is LedgerState.RESERVED:
        return entry.amount_bytes, 0
    return 0, entry.amount_bytes


def _total(amounts: Iterable[Sums]) -> Sums:
    reserved = committed = 0
    for one, other in amounts:
        reserved, committed = reserved + one, committed + other
    return reserved, committed


def _is_right(account: Capacity, sums: Sums) -> bool:
    return (account.reserved_bytes, account.committed_bytes) == sums


def _put_sums_right(tx: Transaction, *, store: str) -> list[Finding]:
    account = tx.find(Capacity, store)
    reserved = committed = 0
    after = ""
    while page := tx.page(LedgerEntry, after=after, limit=PAGE, store=store):
        after = page[-1].id
        more_reserved, more_committed = _total(map(_amount, page))
        reserved, committed = reserved + more_reserved, committed + more_committed
    sums = reserved, committed
    if account is None or _is_right(account, sums):
        return []
    tx.update(msgspec.structs.replace(account, reserved_bytes=reserved, committed_bytes=committed))
    problem = (
        f"the sums were {account.reserved_bytes} reserved and {account.committed_bytes} committed "
        f"bytes, the entries have {reserved} and {committed}; put right"
    )
    return [_finding(tx, store, "capacity", store, problem)]


def _finding(tx: Transaction, store: str, what: str, key: str, detail: str) -> Finding:
    known = tx.find(Store, store)
    return Finding(
        kind=FindingKind.LEDGER,
        store=known.name if known else store,
        what=what,
        key=key,
        detail=detail,
    )
