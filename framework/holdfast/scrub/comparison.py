"""The comparison of one store with the catalogue, both ways, beside whatever else is going on.

The first look finds what is in doubt: what the store shows is read once, as it comes, and then
compared with the catalogue's rows, page by page. Neither is a moment in time, so that nothing is
decided by it. The second look (``holdfast.scrub.second_look``) goes through the store once more,
for what is in doubt only.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from holdfast.catalogue.port import Transaction
from holdfast.concurrency.runtime import Lane, runtime
from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast.contract.errors import Precondition
from holdfast.contract.ports import ImageDriver, PrimaryDriver
from holdfast.contract.requests import CallContext, EnumerateOwned, Role
from holdfast.model.rows import Store, VolumeGrant
from holdfast.model.state_sets import NOT_THERE, UNSOUND
from holdfast.model.state_tables import GrantState, ObjectState, VolumeState
from holdfast.operations.orchestrator import Orchestrator
from holdfast.scrub.accounts import HOLDERS, Holder
from holdfast.scrub.findings import FindingKind, Findings
from holdfast.scrub.scratch import Scratch

PAGE = 500
"""Rows, or things, in memory at once."""

_WHOLE_STORE_S = 86_400.0
"""An enumeration may take as long as it goes on; that it does is watched page by page."""


class Doubt(msgspec.Struct, frozen=True):
    """A row whose store shows something else than it says; as the row was at the first look."""

    kind: OwnedKind
    row: Holder
    is_there: bool


class Doubts(msgspec.Struct, frozen=True):
    """What the first look could not settle."""

    rows: list[Doubt]
    grants: list[VolumeGrant]
    """Granted, and not shown by the store."""
    strangers: list[OwnedThing]
    """Shown by the store, and of no row."""

    def __bool__(self) -> bool:
        return bool(self.rows or self.grants or self.strangers)


class StoreScrub:
    """One store under comparison.

    Args:
        orchestrator: whose stores and catalogue these are.
        store: the row of the store.
        patience_s: how long one call, or the next thing of an enumeration, may take.
        damaged: the ids of rows of the catalogue that cannot be read; nothing is decided that they
            may have a part in.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        store: Store,
        patience_s: float,
        damaged: frozenset[str] = frozenset(),
    ) -> None:
        self.orchestrator = orchestrator
        self.catalogue = orchestrator.catalogue
        self.store = store
        self.patience_s = patience_s
        self.damaged = damaged
        self.findings = Findings(store.name)

    def ctx(self) -> CallContext:
        """The context of one call; it names no operation of the journal."""
        return CallContext(operation="scrub", deadline=runtime().now() + self.patience_s)

    async def driver(self) -> PrimaryDriver | ImageDriver:
        """The store's driver."""
        async with asyncio.timeout(self.patience_s):
            if self.store.role is Role.PRIMARY:
                return await self.orchestrator.stores.primary(self.store.id)
            return await self.orchestrator.stores.image(self.store.id)

    async def shown(self) -> AsyncGenerator[list[OwnedThing], None]:
        """Everything the store shows, as it comes, a page at a time.

        Raises:
            TimeoutError: nothing came for as long as the patience lasts.
            Precondition: the store says that it is another one.
        """
        driver = await self.driver()
        ctx = CallContext(operation="scrub", deadline=runtime().now() + _WHOLE_STORE_S)
        stream = driver.enumerate(ctx, EnumerateOwned())
        try:
            while page := await self._next(stream):
                for thing in page:
                    self._check_identity(thing)
                yield page
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    def _check_identity(self, thing: OwnedThing) -> None:
        expected = self.store.driver_id
        if thing.kind is OwnedKind.STORE and expected and thing.id != expected:
            raise Precondition(
                f"this is store {thing.key} ({thing.id}), {expected} was expected; nothing was "
                "compared, look at what is mounted or configured there"
            )

    async def _next(self, stream: AsyncIterator[OwnedThing]) -> list[OwnedThing]:
        page: list[OwnedThing] = []
        async with asyncio.timeout(self.patience_s):
            async for thing in stream:
                page.append(thing)
                if len(page) == PAGE:
                    break
        return page

    async def first_look(self, lane: Lane, scratch: Scratch) -> Doubts:
        """Compare what the store shows with the rows; what disagrees is in doubt."""
        async with contextlib.aclosing(self.shown()) as pages:
            async for page in pages:
                self.findings.things += len(page)
                await lane.run(scratch.add, page)
        # Read after the backend: a row is there before its bytes.
        doubts = Doubts([], [], [])
        for table, kind in HOLDERS:
            after = ""
            while rows := await self._rows(table, after):
                after = rows[-1].id
                await self._compare(lane, scratch, kind, rows, doubts)
        number = 0
        while pairs := await lane.run(scratch.unmatched, number, PAGE):
            number = pairs[-1][0]
            doubts.strangers.extend(t for _, t in pairs if t.kind is not OwnedKind.STORE)
        return doubts

    async def _rows(self, table: type[Holder], after: str) -> list[Holder]:
        store = self.store.id

        def read(tx: Transaction) -> list[Holder]:
            return list(tx.page(table, after=after, limit=PAGE, store=store))

        return await self.catalogue.transact(read)

    async def _compare(
        self, lane: Lane, scratch: Scratch, kind: OwnedKind, page: list[Holder], doubts: Doubts
    ) -> None:
        rows = [row for row in page if row.state not in NOT_THERE]
        self.findings.rows += len(rows)
        sizes = await lane.run(scratch.match, kind, [row.key for row in rows])
        for row, size_bytes in zip(rows, sizes, strict=True):
            is_lost = row.state in (VolumeState.LOST, ObjectState.LOST)
            is_ready = row.state in (VolumeState.READY, ObjectState.READY)
            if row.state in UNSOUND and not (is_lost and size_bytes is not None):
                self.findings.add(
                    FindingKind.LOST if is_lost else FindingKind.DIFFERS,
                    kind.value,
                    row.key,
                    f"the row is {row.state}; delete it",
                )
            elif is_lost or (is_ready and size_bytes != row.size_bytes):
                doubts.rows.append(Doubt(kind, row, size_bytes is not None))
        if kind is OwnedKind.VOLUME:
            await self._compare_grants(lane, scratch, rows, doubts)

    async def _compare_grants(
        self, lane: Lane, scratch: Scratch, volumes: list[Holder], doubts: Doubts
    ) -> None:
        grants = await self.catalogue.transact(
            lambda tx: [
                grant
                for volume in volumes
                for grant in tx.intact(VolumeGrant, volume=volume.id)
                if grant.state is not GrantState.REVOKED and grant.driver_id
            ]
        )
        seen = await lane.run(scratch.match_grants, [grant.driver_id for grant in grants])
        doubts.grants.extend(
            grant
            for grant, is_there in zip(grants, seen, strict=True)
            if not is_there and grant.state is GrantState.GRANTED
        )
