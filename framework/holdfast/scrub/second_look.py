"""The second look at what was in doubt: only what two looks saw, with no work between, is true.

An operation that started, ended or was accepted between the looks changes its rows, and with them
the mark of everything around them; what it touched is left for the next scrub.
"""

import asyncio
import contextlib
from functools import partial

import msgspec

from holdfast.catalogue.port import RowDamaged, Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast.contract.errors import HoldfastError, NotFound
from holdfast.contract.requests import GetSnapshot, GetVolume, HeadObject
from holdfast.model.rows import Quarantined, VolumeGrant
from holdfast.model.state_tables import Event, ObjectState, VolumeState
from holdfast.scrub.accounts import Account, Holder, Mark, account_of, unfinished
from holdfast.scrub.comparison import PAGE, Doubt, Doubts, StoreScrub
from holdfast.scrub.findings import FindingKind, told


class _Marked(msgspec.Struct, frozen=True):
    """A thing that no row accounted for, and what the catalogue had around its name."""

    thing: OwnedThing
    mark: Mark


class _Seen(msgspec.Struct, frozen=True):
    """What the store showed of the doubtful things when it was gone through once more."""

    sizes: dict[tuple[OwnedKind, str], int]
    ids: set[tuple[OwnedKind, str, str]]
    unreadable: set[str]


async def second_look(one: StoreScrub, doubts: Doubts) -> None:
    """Settle what is in doubt: findings, marks in the rows, and the quarantine."""
    strangers, moving = await _still_strange(one, doubts.strangers)
    rows = [
        doubt
        for doubt in doubts.rows
        if doubt.is_there or doubt.row.state in (VolumeState.READY, ObjectState.READY)
    ]
    seen = _Seen({}, set(), set())
    # Looked for once more: things come and go while a store is gone through.
    if strangers or rows or doubts.grants:
        seen = await _seen_again(one, strangers, Doubts(rows, doubts.grants, []))
    quarantine = await _quarantine(one, [s for s in strangers if _identity(s.thing) in seen.ids])
    there = {
        quarantine_id(one.store.id, s.thing) for s in strangers if _identity(s.thing) in seen.ids
    }
    await _leave_quarantine(one, quarantine | there | moving)
    for doubt in rows:
        await _settle(one, doubt, seen)
    for grant in doubts.grants:
        if (OwnedKind.GRANT, "", grant.driver_id) not in seen.ids:
            await _settle_grant(one, grant)


async def _still_strange(
    one: StoreScrub, things: list[OwnedThing]
) -> tuple[list[_Marked], set[str]]:
    """Those that no row accounts for now either, with the marks of this moment.

    What an operation is at work on is for a later scrub: the ids of its rows in quarantine.
    """
    strangers: list[_Marked] = []
    moving: set[str] = set()
    for at in range(0, len(things), PAGE):
        page = things[at : at + PAGE]
        accounts = await one.catalogue.transact(partial(_accounts, one=one, page=page))
        for thing, account in zip(page, accounts, strict=True):
            if account.moving:
                moving.add(quarantine_id(one.store.id, thing))
            elif not account.known:
                strangers.append(_Marked(thing, account.mark))
    return strangers, moving


def _accounts(tx: Transaction, *, one: StoreScrub, page: list[OwnedThing]) -> list[Account]:
    work = unfinished(tx, one.damaged)
    return [account_of(tx, one.store.id, thing, work) for thing in page]


async def _seen_again(one: StoreScrub, strangers: list[_Marked], doubts: Doubts) -> _Seen:
    identities = {_identity(stranger.thing) for stranger in strangers}
    keys = {(doubt.kind, doubt.row.key) for doubt in doubts.rows}
    grants = {grant.driver_id for grant in doubts.grants}
    seen = _Seen({}, set(), set())
    async with contextlib.aclosing(one.shown()) as pages:
        async for page in pages:
            for thing in page:
                if _identity(thing) in identities:
                    seen.ids.add(_identity(thing))
                if (thing.kind, thing.key) in keys and not thing.unfinished:
                    seen.sizes[thing.kind, thing.key] = thing.size_bytes
                if thing.kind is OwnedKind.GRANT and thing.id in grants:
                    seen.ids.add((OwnedKind.GRANT, "", thing.id))
                if thing.kind is OwnedKind.UNREADABLE and thing.key:
                    seen.unreadable.add(thing.key)
    return seen


def _identity(thing: OwnedThing) -> tuple[OwnedKind, str, str]:
    return thing.kind, thing.key, thing.id


# What no row accounts for


async def _quarantine(one: StoreScrub, strangers: list[_Marked]) -> set[str]:
    """Keep the strangers with an age, and say so; returns the ids of their rows."""
    quarantine: set[str] = set()
    for at in range(0, len(strangers), PAGE):
        page = strangers[at : at + PAGE]
        now = runtime().wall_clock()
        commit = partial(_quarantine_page, one=one, page=page, now=now)
        first_seen = await one.catalogue.transact(commit)
        for stranger, since in zip(page, first_seen, strict=True):
            if since is not None:
                quarantine.add(quarantine_id(one.store.id, stranger.thing))
                _tell(one, stranger.thing, max(0.0, now - since))
    return quarantine


def _tell(one: StoreScrub, thing: OwnedThing, age_s: float) -> None:
    if thing.kind is OwnedKind.UNREADABLE:
        detail = f"{thing.reason or 'it cannot be read'}; it is set apart, all else was compared"
        one.findings.add(FindingKind.UNREADABLE, "entry", thing.id, detail, age_s=age_s)
    else:
        detail = f"{thing.size_bytes} bytes that no row knows; kept in quarantine"
        key = thing.key or thing.id
        one.findings.add(FindingKind.UNKNOWN, thing.kind.value, key, detail, age_s=age_s)


def _quarantine_page(
    tx: Transaction, *, one: StoreScrub, page: list[_Marked], now: float
) -> list[float | None]:
    """Since when each is a stranger; ``None`` where something was done to its name meanwhile."""
    # Once more, in the transaction that writes: the store was gone through since.
    accounts = _accounts(tx, one=one, page=[stranger.thing for stranger in page])
    return [
        None
        if account.known or account.moving or account.mark != stranger.mark
        else _first_seen(tx, one.store.id, stranger.thing, account, now)
        for stranger, account in zip(page, accounts, strict=True)
    ]


def _first_seen(
    tx: Transaction, store: str, thing: OwnedThing, account: Account, now: float
) -> float:
    if account.named:
        return now  # a damaged part of what a row has: that is no stranger, whatever its age
    row_id = quarantine_id(store, thing)
    try:
        entry = tx.find(Quarantined, row_id)
    except RowDamaged:
        return now  # a finding already, and no reason to say nothing of all the others
    row = entry or tx.insert(
        Quarantined(
            id=row_id,
            store=store,
            kind=thing.kind.value,
            key=thing.key,
            driver_id=thing.id,
            size_bytes=thing.size_bytes,
            first_seen_s=now,
        )
    )
    return row.first_seen_s


def quarantine_id(store: str, thing: OwnedThing) -> str:
    """The id of the row of a stranger."""
    return f"{store}/{thing.kind}/{thing.key}/{thing.id}"


async def _leave_quarantine(one: StoreScrub, stays: set[str]) -> None:
    """Drop the rows of what is gone, or is known now; what only moves keeps its age."""
    store = one.store.id
    after = ""

    def drop(tx: Transaction, after: str) -> str:
        page = tx.page(Quarantined, after=after, limit=PAGE, store=store)
        for row in page:
            if row.id not in stays:
                tx.remove(row)
        return page[-1].id if page else ""

    while after := await one.catalogue.transact(partial(drop, after=after)):
        pass


# What a row says, and the store does not show


async def _settle(one: StoreScrub, doubt: Doubt, seen: _Seen) -> None:
    row, kind = doubt.row, doubt.kind
    size_bytes = seen.sizes.get((kind, row.key))
    if row.state in (VolumeState.LOST, ObjectState.LOST):
        if size_bytes is not None and await _unchanged(one, row, Event.RECOVERED_READY):
            one.findings.add(FindingKind.FOUND_AGAIN, kind.value, row.key, "its bytes are back")
    elif size_bytes is None:
        await _missing(one, kind, row, seen)
    elif doubt.is_there and size_bytes != row.size_bytes and await _unchanged(one, row):
        detail = f"{size_bytes} bytes there, {row.size_bytes} in the catalogue"
        one.findings.add(FindingKind.DIFFERS, kind.value, row.key, detail)


async def _missing(one: StoreScrub, kind: OwnedKind, row: Holder, seen: _Seen) -> None:
    """Ask for the thing itself before calling it lost."""
    if row.key in seen.unreadable:
        return  # that is a finding of its own, and says why
    try:
        await _ask(one, kind, row.key)
    except NotFound:
        if await _unchanged(one, row, Event.FOUND_LOST):
            detail = "the row is Ready and the bytes are gone"
            one.findings.add(FindingKind.LOST, kind.value, row.key, detail)
    except (HoldfastError, TimeoutError) as problem:
        if await _unchanged(one, row):
            detail = f"it was not shown, and asking for it fails: {told(problem)}"
            one.findings.add(FindingKind.UNREADABLE, kind.value, row.key, detail)


async def _ask(one: StoreScrub, kind: OwnedKind, key: str) -> None:
    stores, store = one.orchestrator.stores, one.store.id
    async with asyncio.timeout(one.patience_s):
        if kind is OwnedKind.OBJECT:
            await (await stores.image(store)).head(one.ctx(), HeadObject(key=key))
        elif kind is OwnedKind.VOLUME:
            await (await stores.primary(store)).get_volume(one.ctx(), GetVolume(key=key))
        else:
            await (await stores.primary(store)).get_snapshot(one.ctx(), GetSnapshot(key=key))


async def _unchanged(one: StoreScrub, row: Holder, event: Event | None = None) -> bool:
    """Whether nothing was done to a row since the first look; if so, it is moved by ``event``."""

    def look(tx: Transaction) -> bool:
        now = tx.find(type(row), row.id)
        if now is None or now.version != row.version:
            return False
        if event is not None:
            tx.fire(now, event)
        return True

    return await one.catalogue.transact(look)


async def _settle_grant(one: StoreScrub, grant: VolumeGrant) -> None:
    if await one.catalogue.transact(lambda tx: tx.find(VolumeGrant, grant.id) == grant):
        detail = f"host {grant.host} lost its grant"
        one.findings.add(FindingKind.LOST, "grant", grant.volume, detail)
