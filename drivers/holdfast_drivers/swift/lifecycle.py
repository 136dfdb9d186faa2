"""How a container becomes a store, serve hosts, rest and are given back."""

from collections.abc import Sequence

import msgspec

from holdfast.concurrency.fan_out import several
from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.answers import Gone, StoreInfo, StoreState
from holdfast.contract.errors import Conflict, Exhausted, Internal, InUse, Unknown
from holdfast.contract.identity import check_adoptable, check_initialized
from holdfast.contract.ports import LifeCycle
from holdfast.contract.requests import CallContext
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.connection import Connection
from holdfast_drivers.swift.containers import Container, Entry
from holdfast_drivers.swift.names import PARTS_AREA
from holdfast_drivers.swift.rows import decoded, encoded
from holdfast_drivers.swift.store import (
    ANCHOR,
    URL_KEY,
    Store,
    StoreRow,
    begun,
    fresh_key,
    host_header,
    identity_header,
    is_begun,
    state_header,
)

HOSTS_MAX = 64
"""A container has at most 90 entries of metadata."""
_NAMED = 5
"""How many objects a refusal names."""
_IDENTITY = "identity"
_KEY = "url-key"
"""Beside the anchor: the key of temporary addresses that was made with the store."""


class SwiftLifeCycle(LifeCycle):
    """The life cycle of one store."""

    def __init__(self, connection: Connection) -> None:
        self._store = Store(connection)

    async def initialize(self, ctx: CallContext, request: requests.InitializeStore) -> StoreInfo:
        call = Call(ctx)
        headers = await self._store.place.look(call)
        row = None if headers is None else StoreRow.of(headers)
        if headers is not None and row is None:
            await self._refuse_others(call)
        if row is None:
            row = await self._make(call, request)
        check_initialized(row.info(), name=request.name, identity=request.identity)
        if not row.signs:
            await self._describe(call, {URL_KEY: await self._url_key(call)})
        return row.info()

    async def _refuse_others(self, call: Call) -> None:
        """Refuse a container that somebody else uses."""
        page = await self._store.place.page(call, limit=2) or []
        if any(entry.name != f"{PARTS_AREA}{ANCHOR}" for entry in page):
            raise Conflict(
                f"container {self._store.place.name} holds objects that are no store's; "
                "see setting namespace"
            )

    async def _make(self, call: Call, request: requests.InitializeStore) -> StoreRow:
        fresh = StoreRow(
            id=runtime().new_id("store"),
            name=request.name,
            operation=call.operation,
            identity=request.identity,
        )
        place, segments = self._store.place, self._store.segments
        await place.make(call, begun(call.operation))
        meta = {
            "id": fresh.id,
            "name": encoded(fresh.name),
            "operation": encoded(call.operation),
            **({_IDENTITY: encoded(fresh.identity)} if fresh.identity else {}),
            _KEY: fresh_key(),
        }
        if not await segments.put(call, ANCHOR, b"", meta, new=True):
            anchor = await segments.head(call, ANCHOR)
            if anchor is None:
                raise Unknown(f"container {place.name} is made and removed at once")
            meta = {_KEY: fresh_key(), **anchor.meta}
            fresh = StoreRow(
                id=meta["id"],
                name=decoded(meta["name"]),
                operation=decoded(meta["operation"]),
                identity=decoded(meta.get(_IDENTITY, "")),
            )
        key = {} if URL_KEY in (await place.look(call) or {}) else {URL_KEY: meta[_KEY]}
        await place.describe(call, fresh.headers() | key)
        return msgspec.structs.replace(fresh, signs=True)

    async def _url_key(self, call: Call) -> str:
        """The key that was made with the store, or a new one where that is lost."""
        anchor = await self._store.segments.head(call, ANCHOR)
        key = anchor.meta.get(_KEY) if anchor is not None else None
        return key or fresh_key()

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
        return row.with_host(request.host).info()

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> StoreInfo:
        call = Call(ctx, request.host)
        row = await self._store.row(call)
        if request.host not in row.hosts:
            return row.info()
        await self._describe(call, host_header(request.host, attached=False))
        return row.without_host(request.host).info()

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
        return msgspec.structs.replace(row, state=state).info()

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> StoreInfo:
        call = Call(ctx)
        row = await self._store.row(call)
        check_adoptable(row.info(), driver_id=request.driver_id, identity=request.identity)
        await self._describe(call, identity_header(request.identity))
        return msgspec.structs.replace(row, identity=request.identity).info()

    async def _describe(self, call: Call, headers: dict[str, str]) -> None:
        if not await self._store.place.describe(call, headers):
            raise self._store.absent()

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> Gone:
        call = Call(ctx)
        place, segments = self._store.place, self._store.segments
        headers = await place.look(call)
        if headers is None:
            return Gone(key="")
        row = StoreRow.of(headers)
        anchor = None if row else await segments.head(call, ANCHOR)
        if row is None and anchor is None:
            return await self._leave(call, ours=is_begun(headers))
        await self._refuse_used(call, tuple(f"hosts/{host}" for host in row.hosts) if row else ())
        await segments.delete(call, ANCHOR)
        if not await place.remove(call):
            raise Unknown(f"container {place.name} was filled while it was given back")
        return Gone(key="")

    async def _leave(self, call: Call, *, ours: bool) -> Gone:
        """Give back what a call that was lost began to make or to remove, and nothing else."""
        if ours and not await self._store.place.page(call, limit=1):
            await self._store.place.remove(call)
        return Gone(key="")

    async def _refuse_used(self, call: Call, holders: tuple[str, ...]) -> None:
        """``InUse`` while anything is in the store but what lost calls left, which is removed.

        An object that is listed keeps the store even where Swift does not find it: a part of Swift
        may be away. Of uploads, what is listed and gone is deleted again, which takes it off the
        list.
        """
        segments, objects = self._store.segments, self._store.objects
        there = [entry.name for entry in await objects.page(call, limit=_NAMED) or []]
        holders += tuple(f"objects/{name}" for name in there)
        entries = await segments.all(call) or []
        if not there:
            rows = [entry for entry in entries if entry.name.startswith("u/")]
            holders += tuple(f"uploads/{name}" for name in await _there(call, segments, rows))
        if holders:
            raise call.failed(
                InUse(
                    f"the store is in use: {', '.join(holders[:5])}; "
                    "delete what is in it and detach its hosts first",
                    holders=holders,
                )
            )
        rest = [entry.name for entry in entries if entry.name != ANCHOR]
        if any(not name.startswith(("d/", "u/")) for name in rest):
            raise call.failed(
                Internal(f"container {self._store.place.name} holds what is no store's")
            )
        await segments.delete_all(call, rest)


async def _there(call: Call, container: Container, entries: Sequence[Entry]) -> list[str]:
    """The names of what is listed and there."""
    names = [entry.name for entry in entries]
    heads = await several(names, lambda name: container.head(call, name))
    return [name for name, one in zip(names, heads, strict=True) if one is not None]
