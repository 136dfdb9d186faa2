"""How a folder becomes a shelf and ceases to be one."""

from acme_shelf.config import HOSTS_MAX
from acme_shelf.shelf import Shelf, store_info
from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.answers import Gone, StoreInfo
from holdfast.contract.errors import Exhausted, InUse, NotFound
from holdfast.contract.identity import check_initialized
from holdfast.contract.ports import LifeCycle
from holdfast.contract.requests import CallContext


class ShelfLifeCycle(LifeCycle):
    """The life cycle of one shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def initialize(self, ctx: CallContext, request: requests.InitializeStore) -> StoreInfo:
        fresh = runtime().new_id("shelf")
        return await runtime().run_blocking(self._initialize, request, fresh)

    def _initialize(self, request: requests.InitializeStore, fresh: str) -> StoreInfo:
        self._shelf.check()
        if not self._shelf.database.exists():
            self._shelf.build(fresh, request.name, request.identity)
        found = self._get()
        check_initialized(found, name=request.name, identity=request.identity)
        return found

    async def get(self, ctx: CallContext) -> StoreInfo:
        return await runtime().run_blocking(self._get)

    def _get(self) -> StoreInfo:
        with self._shelf.transaction() as database:
            return store_info(database)

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> StoreInfo:
        return await runtime().run_blocking(self._attach, request.host)

    def _attach(self, host: str) -> StoreInfo:
        with self._shelf.transaction() as database:
            hosts = {row[0] for row in database.execute("select name from hosts")}
            if host not in hosts and len(hosts) >= HOSTS_MAX:
                raise Exhausted(f"a shelf serves {HOSTS_MAX} hosts", what="hosts")
            database.execute("insert or ignore into hosts values (?)", (host,))
        return self._get()

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> StoreInfo:
        return await runtime().run_blocking(self._detach, request.host)

    def _detach(self, host: str) -> StoreInfo:
        with self._shelf.transaction() as database:
            query = "select volume from grants where host = ?"
            holders = tuple(row[0] for row in database.execute(query, (host,)))
            if holders:
                raise InUse(f"host {host} still has {', '.join(holders)}", holders=holders)
            database.execute("delete from hosts where name = ?", (host,))
        return self._get()

    async def maintain(self, ctx: CallContext, request: requests.MaintainStore) -> StoreInfo:
        return await runtime().run_blocking(self._rest, True)

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> StoreInfo:
        return await runtime().run_blocking(self._rest, False)

    def _rest(self, rests: bool) -> StoreInfo:
        with self._shelf.transaction() as database:
            database.execute("update store set maintenance = ?", (rests,))
        return self._get()

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> Gone:
        return await runtime().run_blocking(self._delete)

    def _delete(self) -> Gone:
        try:
            with self._shelf.transaction() as database:
                holders = tuple(row[0] for row in database.execute("select key from volumes"))
        except NotFound:
            return Gone(key="")
        if holders:
            raise InUse(f"the shelf holds {', '.join(holders[:5])}", holders=holders)
        self._shelf.remove()
        return Gone(key="")
