"""How two containers become a store, serve hosts, rest and are given back."""

from holdfast import requests
from holdfast.errors import Conflict, Exhausted, Internal, InUse, Unknown
from holdfast.infos import Gone, StoreInfo, StoreState
from holdfast.ports import LifeCycle
from holdfast.requests import CallContext
from holdfast.runtime import runtime
from holdfast_drivers.swift.connection import Call, Connection
from holdfast_drivers.swift.rows import decoded, encoded
from holdfast_drivers.swift.store import (
    ANCHOR,
    URL_KEY,
    Store,
    StoreRow,
    host_header,
    state_header,
)

HOSTS_MAX = 64
"""A container has at most 90 entries of metadata."""


class SwiftLifeCycle(LifeCycle):
    """The life cycle of one store."""

    def __init__(self, connection: Connection) -> None:
        self._store = Store(connection)

    async def initialize(self, ctx: CallContext, request: requests.InitializeStore) -> StoreInfo:
        call = Call(ctx)
        found = await self._store.find(call)
        if found is None:
            await self._refuse_others(call)
            found = await self._make(call, request.name)
        if found.name != request.name:
            raise Conflict(f"the container is store {found.name!r} already")
        await self._store.objects.make(call, {URL_KEY: self._store.url_key()})
        return found.info()

    async def _refuse_others(self, call: Call) -> None:
        """Refuse containers that somebody else uses."""
        objects, segments = self._store.objects, self._store.segments
        for container in (objects, segments):
            page = await container.page(call, limit=2) or []
            if any(entry.name != ANCHOR or container is objects for entry in page):
                raise Conflict(
                    f"container {container.name} holds objects that are no store's; "
                    "see setting namespace"
                )

    async def _make(self, call: Call, name: str) -> StoreRow:
        fresh = StoreRow(id=runtime().new_id("store"), name=name, operation=call.operation)
        segments = self._store.segments
        await segments.make(call, {URL_KEY: self._store.url_key()})
        meta = {"id": fresh.id, "name": encoded(name), "operation": encoded(call.operation)}
        if not await segments.put(call, ANCHOR, b"", meta, new=True):
            anchor = await segments.head(call, ANCHOR)
            if anchor is None:
                raise Unknown(f"container {segments.name} is made and removed at once")
            fresh = StoreRow(
                id=anchor.meta["id"],
                name=decoded(anchor.meta["name"]),
                operation=decoded(anchor.meta["operation"]),
            )
        await segments.describe(call, fresh.headers())
        return fresh

    async def get(self, ctx: CallContext) -> StoreInfo:
        return (await self._store.row(Call(ctx))).info()

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> StoreInfo:
        call = Call(ctx, request.host)
        row = await self._store.row(call)
        if request.host in row.hosts:
            return row.info()
        if len(row.hosts) >= HOSTS_MAX:
            raise Exhausted(f"{HOSTS_MAX} hosts are attached already", what="hosts")
        await self._describe(call, host_header(request.host, attached=True))
        return (await self._store.row(call)).info()

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> StoreInfo:
        call = Call(ctx, request.host)
        row = await self._store.row(call)
        if request.host not in row.hosts:
            return row.info()
        await self._describe(call, host_header(request.host, attached=False))
        return (await self._store.row(call)).info()

    async def maintain(self, ctx: CallContext, request: requests.MaintainStore) -> StoreInfo:
        return await self._become(Call(ctx), StoreState.MAINTENANCE)

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> StoreInfo:
        return await self._become(Call(ctx), StoreState.UP)

    async def _become(self, call: Call, state: StoreState) -> StoreInfo:
        row = await self._store.row(call)
        if row.state is state:
            return row.info()
        await self._describe(call, state_header(state))
        return (await self._store.row(call)).info()

    async def _describe(self, call: Call, headers: dict[str, str]) -> None:
        if not await self._store.segments.describe(call, headers):
            raise self._store.absent()

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> Gone:
        call = Call(ctx)
        segments = self._store.segments
        headers = await segments.look(call)
        if headers is None:
            return Gone(key="")
        row = await self._store.find(call)
        anchor = None if row else await segments.head(call, ANCHOR)
        if row is None and anchor is None:
            return await self._leave(call)
        holders = tuple(f"hosts/{host}" for host in row.hosts) if row else ()
        await self._refuse_used(call, holders)
        if not await self._store.objects.remove(call):
            raise InUse(f"container {self._store.objects.name} is in use", holders=("objects",))
        await self._refuse_used(call, holders)
        await segments.delete(call, ANCHOR)
        if not await segments.remove(call):
            raise Unknown(f"container {segments.name} was filled while it was given back")
        return Gone(key="")

    async def _leave(self, call: Call) -> Gone:
        """Give back what a call that was lost began to make or to remove, and nothing else."""
        if not await self._store.segments.page(call, limit=1):
            await self._store.segments.remove(call)
        return Gone(key="")

    async def _refuse_used(self, call: Call, holders: tuple[str, ...]) -> None:
        """``InUse`` while anything is in the store but what lost calls left, which is removed."""
        objects = await self._store.objects.page(call, limit=5) or []
        entries = await self._store.segments.all(call) or []
        rows = [entry.name for entry in entries if entry.name.startswith("u/")]
        holders += tuple(f"objects/{entry.name}" for entry in objects)
        if not objects:
            holders += tuple(f"uploads/{name}" for name in rows)
        if holders:
            raise call.failed(
                InUse(
                    f"the store is in use: {', '.join(holders[:5])}; "
                    "delete what is in it and detach its hosts first",
                    holders=holders,
                )
            )
        rest = [entry.name for entry in entries if entry.name != ANCHOR]
        if any(not name.startswith("d/") for name in rest):
            raise call.failed(
                Internal(f"container {self._store.segments.name} holds what is no store's")
            )
        if rest:
            await self._store.segments.delete_all(call, rest)
