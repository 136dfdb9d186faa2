"""The comparison of one store with the catalogue, both ways."""

from collections.abc import Iterable

import msgspec

from holdfast import journal
from holdfast.catalogue.port import Transaction
from holdfast.errors import NotFound
from holdfast.infos import OwnedKind, OwnedThing
from holdfast.model.rows import (
    Operation,
    Quarantined,
    Row,
    Snapshot,
    Store,
    StoredObject,
    Volume,
    VolumeGrant,
)
from holdfast.model.states import Event, GrantState
from holdfast.orchestrator import Orchestrator
from holdfast.requests import (
    CallContext,
    EnumerateOwned,
    GetSnapshot,
    GetVolume,
    HeadObject,
    Role,
)
from holdfast.runtime import runtime
from holdfast.scrub.findings import Finding, FindingKind

_DEADLINE_S = 600.0
_GONE = frozenset({"Allocated", "Expunged"})


class _Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What the catalogue says of one store."""

    store: Store
    volumes: list[Volume]
    snapshots: list[Snapshot]
    objects: list[StoredObject]
    grants: list[VolumeGrant]
    quarantined: list[Quarantined]
    unfinished: list[Operation]

    def held(self) -> Iterable[tuple[OwnedKind, Volume | Snapshot | StoredObject]]:
        """Every row that has, or may have, bytes in the store."""
        for kind, rows in (
            (OwnedKind.VOLUME, self.volumes),
            (OwnedKind.SNAPSHOT, self.snapshots),
            (OwnedKind.OBJECT, self.objects),
        ):
            for row in rows:
                if row.state.value not in _GONE:
                    yield kind, row


class StoreScrub:
    """The comparison of one store."""

    def __init__(self, orchestrator: Orchestrator, store: Store) -> None:
        self.findings: list[Finding] = []
        self.things = 0
        self.rows = 0
        self.orchestrator = orchestrator
        self.store = store

    def find(
        self, kind: FindingKind, what: str, key: str, detail: str, *, age_s: float = 0.0
    ) -> None:
        """Add a finding about this store."""
        self.findings.append(
            Finding(
                kind=kind,
                store=self.store.name,
                what=what,
                key=key,
                detail=detail,
                age_s=age_s,
            )
        )

    def ctx(self) -> CallContext:
        """The context of one call; it names no operation of the journal."""
        return CallContext(operation="scrub", deadline=runtime().now() + _DEADLINE_S)

    async def compare(self) -> None:
        """Both ways: what is there and unknown, what is known and not there."""
        driver = await (
            self.orchestrator.stores.primary(self.store.id)
            if self.store.role is Role.PRIMARY
            else self.orchestrator.stores.image(self.store.id)
        )
        owned = [thing async for thing in driver.enumerate(self.ctx(), EnumerateOwned())]
        # Read after the backend, so that what was made meanwhile is known.
        expected = await self.orchestrator.catalogue.transact(self._expected)
        self.things += len(owned)
        await self._unknown(owned, expected)
        await self._known(owned, expected)

    def _expected(self, tx: Transaction) -> _Expected:
        store = self.store.id
        volumes = tx.select(Volume, store=store)
        return _Expected(
            store=self.store,
            volumes=volumes,
            snapshots=tx.select(Snapshot, store=store),
            objects=tx.select(StoredObject, store=store),
            grants=[
                grant for volume in volumes for grant in tx.select(VolumeGrant, volume=volume.id)
            ],
            quarantined=tx.select(Quarantined, store=store),
            unfinished=journal.unfinished(tx),
        )

    async def _unknown(self, owned: list[OwnedThing], expected: _Expected) -> None:
        strangers = {_stranger_id(t): t for t in owned if not _is_known(t, expected)}
        now = runtime().wall_clock()
        store = self.store.id

        def commit(tx: Transaction) -> dict[str, Quarantined]:
            kept = {row.id: row for row in tx.select(Quarantined, store=store)}
            for row_id, row in kept.items():
                if row_id not in {f"{store}/{stranger}" for stranger in strangers}:
                    tx.remove(row)
            for stranger, thing in strangers.items():
                row_id = f"{store}/{stranger}"
                if row_id not in kept:
                    kept[row_id] = tx.insert(
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
            return kept

        if not strangers and not expected.quarantined:
            return
        kept = await self.orchestrator.catalogue.transact(commit)
        for stranger, thing in strangers.items():
            row = kept[f"{store}/{stranger}"]
            self.find(
                FindingKind.UNKNOWN,
                thing.kind.value,
                thing.key or thing.id,
                f"{thing.size_bytes} bytes that no row knows; kept in quarantine",
                age_s=max(0.0, now - row.first_seen_s),
            )

    async def _known(self, owned: list[OwnedThing], expected: _Expected) -> None:
        present = {(thing.kind, thing.key): thing for thing in owned if not thing.unfinished}
        for kind, row in expected.held():
            self.rows += 1
            thing = present.get((kind, row.key))
            if thing is None and row.state.value == "Ready":
                await self._lost(kind, row)
            elif thing is not None and row.state.value == "Lost":
                await self._fire(row, Event.RECOVERED_READY)
                self.find(FindingKind.FOUND_AGAIN, kind.value, row.key, "its bytes are back")
            elif thing is not None and row.state.value == "Ready":
                self._sized(kind, row, thing)
            elif row.state.value in ("Error", "Lost"):
                self.find(
                    FindingKind.LOST if row.state.value == "Lost" else FindingKind.DIFFERS,
                    kind.value,
                    row.key,
                    f"the row is {row.state}; delete it",
                )
        live = {thing.id for thing in owned if thing.kind is OwnedKind.GRANT}
        for grant in expected.grants:
            if grant.state is GrantState.GRANTED and grant.driver_id not in live:
                self.find(
                    FindingKind.LOST, "grant", grant.volume, f"host {grant.host} lost its grant"
                )

    def _sized(
        self, kind: OwnedKind, row: Volume | Snapshot | StoredObject, thing: OwnedThing
    ) -> None:
        if thing.size_bytes != row.size_bytes:
            self.find(
                FindingKind.DIFFERS,
                kind.value,
                row.key,
                f"{thing.size_bytes} bytes there, {row.size_bytes} in the catalogue",
            )

    async def _lost(self, kind: OwnedKind, row: Volume | Snapshot | StoredObject) -> None:
        """Ask for the thing itself before calling it lost."""
        if await self._is_there(kind, row.key):
            return
        await self._fire(row, Event.FOUND_LOST)
        self.find(FindingKind.LOST, kind.value, row.key, "the row is Ready and the bytes are gone")

    async def _fire(self, row: Row, event: Event) -> None:
        await self.orchestrator.catalogue.transact(lambda tx: tx.fire(row, event))

    async def _is_there(self, kind: OwnedKind, key: str) -> bool:
        stores, store = self.orchestrator.stores, self.store.id
        try:
            if kind is OwnedKind.OBJECT:
                image = await stores.image(store)
                await image.head(self.ctx(), HeadObject(key=key))
                return True
            primary = await stores.primary(store)
            if kind is OwnedKind.VOLUME:
                await primary.get_volume(self.ctx(), GetVolume(key=key))
            else:
                await primary.get_snapshot(self.ctx(), GetSnapshot(key=key))
        except NotFound:
            return False
        return True


def _stranger_id(thing: OwnedThing) -> str:
    return f"{thing.kind}/{thing.key}/{thing.id}"


def _is_known(thing: OwnedThing, expected: _Expected) -> bool:
    """Whether a row, or an unfinished operation, accounts for a thing."""
    if thing.kind is OwnedKind.STORE:
        return True
    for operation in expected.unfinished:
        if thing.operation == operation.id or thing.key.startswith(operation.id):
            return True
    if thing.kind is OwnedKind.GRANT:
        return any(
            grant.driver_id == thing.id
            for grant in expected.grants
            if grant.state is not GrantState.REVOKED
        )
    if thing.unfinished:
        return False
    return any(kind is thing.kind and row.key == thing.key for kind, row in expected.held())
