"""How a prefix becomes a store, serves hosts, rests and is given back."""

from collections.abc import Iterable, Sequence

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.answers import Gone, StoreInfo, StoreState
from holdfast.contract.errors import Conflict, InUse
from holdfast.contract.identity import check_adoptable, check_initialized
from holdfast.contract.ports import LifeCycle
from holdfast.contract.requests import CallContext
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.config import S3Config
from holdfast_drivers.s3.connecting import open_bucket
from holdfast_drivers.s3.enumeration import all_versions, copied_names, unlisted
from holdfast_drivers.s3.rows import OBJECTS, STORE, UPLOADS, StoreRow
from holdfast_drivers.s3.store import change_store, found_store, no_store
from holdfast_drivers.s3.uploads import Uploads


class S3LifeCycle(LifeCycle):
    """The life cycle of one store."""

    def __init__(self, config: S3Config) -> None:
        self._config = config

    async def initialize(self, ctx: CallContext, request: requests.InitializeStore) -> StoreInfo:
        call = Call(ctx, request.name)
        async with open_bucket(self._config) as bucket:
            row_and_etag = await found_store(bucket, call)
            if row_and_etag is None:
                row_and_etag = await _made(bucket, call, request)
        info = row_and_etag[0].info()
        check_initialized(info, name=request.name, identity=request.identity)
        return info

    async def get(self, ctx: CallContext) -> StoreInfo:
        async with open_bucket(self._config) as bucket:
            row_and_etag = await found_store(bucket, Call(ctx))
            if row_and_etag is None:
                raise no_store(bucket)
            return row_and_etag[0].info()

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> StoreInfo:
        def attached(row: StoreRow) -> StoreRow:
            hosts = {*row.hosts, request.host}
            return msgspec.structs.replace(row, hosts=tuple(sorted(hosts, key=str.encode)))

        async with open_bucket(self._config) as bucket:
            return (await change_store(bucket, Call(ctx, request.host), attached)).info()

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> StoreInfo:
        def detached(row: StoreRow) -> StoreRow:
            hosts = tuple(host for host in row.hosts if host != request.host)
            return msgspec.structs.replace(row, hosts=hosts)

        async with open_bucket(self._config) as bucket:
            return (await change_store(bucket, Call(ctx, request.host), detached)).info()

    async def maintain(self, ctx: CallContext, request: requests.MaintainStore) -> StoreInfo:
        return await self._set_state(ctx, StoreState.MAINTENANCE)

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> StoreInfo:
        return await self._set_state(ctx, StoreState.UP)

    async def _set_state(self, ctx: CallContext, state: StoreState) -> StoreInfo:
        def changed(row: StoreRow) -> StoreRow:
            return msgspec.structs.replace(row, state=state)

        async with open_bucket(self._config) as bucket:
            return (await change_store(bucket, Call(ctx), changed)).info()

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> StoreInfo:
        def adopted(row: StoreRow) -> StoreRow:
            check_adoptable(row.info(), driver_id=request.driver_id, identity=request.identity)
            return msgspec.structs.replace(row, identity=request.identity)

        async with open_bucket(self._config) as bucket:
            return (await change_store(bucket, Call(ctx), adopted)).info()

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> Gone:
        call = Call(ctx)
        async with open_bucket(self._config) as bucket:
            row_and_etag = await found_store(bucket, call)
            if row_and_etag is not None:
                await _take_down(bucket, call, row_and_etag[0])
        return Gone(key="")


async def _made(
    bucket: Bucket, call: Call, request: requests.InitializeStore
) -> tuple[StoreRow, str]:
    """The store, made now or by somebody else a moment ago."""
    row = StoreRow(
        id=runtime().new_id("store"),
        name=request.name,
        operation=call.operation,
        identity=request.identity,
    )
    etag = await bucket.put(call, STORE, msgspec.json.encode(row), new=True)
    if etag is not None:
        return row, etag
    row_and_etag = await found_store(bucket, call)
    if row_and_etag is None:
        raise Conflict("another call made and removed a store here", object=request.name)
    return row_and_etag


async def _take_down(bucket: Bucket, call: Call, row: StoreRow) -> None:
    """Remove an empty store's row, and before it what killed calls have left.

    A host that is attached keeps it: somebody made the store theirs, maybe after the caller did.
    It is looked again right before the row goes; what came meanwhile, or into the list, keeps it.
    """
    entries = await bucket.all(call)
    versions = await all_versions(bucket, call)
    things = {entry.name for entry in entries}
    things |= {version.name for version in versions if not version.is_past}
    _refuse_used(call, row, things, hosts=row.hosts)  # before a request for each thing in it
    _refuse_used(call, row, await unlisted(Uploads(bucket), call, entries))
    targets = {"", *copied_names(entries)}
    for name, join in {one for each in targets for one in await bucket.joins(call, each)}:
        await bucket.drop_join(call, name, join)
    await bucket.delete(call, [entry.name for entry in entries if entry.name != STORE])
    await bucket.drop(call, [version for version in versions if version.is_past])
    _refuse_used(call, row, {entry.name for entry in await bucket.all(call)})
    await bucket.delete(call, [STORE])


def _refuse_used(
    call: Call, row: StoreRow, names: Iterable[str], *, hosts: Sequence[str] = ()
) -> None:
    """``InUse`` while objects, uploads or hosts are in the store."""
    things = sorted(name for name in names if name.startswith((OBJECTS, UPLOADS)))
    holders = (*things, *(f"hosts/{host}" for host in hosts))
    if holders:
        raise call.failed(
            InUse(
                f"store {row.name} is in use: {', '.join(holders[:5])}; "
                "delete what is in it and detach its hosts first",
                object=row.name,
                holders=holders,
            )
        )
