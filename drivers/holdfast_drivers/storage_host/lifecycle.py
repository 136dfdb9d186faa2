"""The life cycle of a store on a storage host: the agent's verbs, as for its volumes."""

from holdfast.contract import requests
from holdfast.contract.answers import Gone, StoreInfo
from holdfast.contract.ports import LifeCycle
from holdfast.contract.requests import CallContext
from holdfast_drivers.storage_host.agent import Agent


class StorageHostLifeCycle(LifeCycle):
    """A folder of the storage host becomes a store and is given back; any number of hosts."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def initialize(self, ctx: CallContext, request: requests.InitializeStore) -> StoreInfo:
        return await self._agent.call(ctx, request, StoreInfo)

    async def get(self, ctx: CallContext) -> StoreInfo:
        return await self._agent.store(ctx)

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> StoreInfo:
        return await self._agent.call(ctx, request, StoreInfo)

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> StoreInfo:
        return await self._agent.call(ctx, request, StoreInfo)

    async def maintain(self, ctx: CallContext, request: requests.MaintainStore) -> StoreInfo:
        return await self._agent.call(ctx, request, StoreInfo)

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> StoreInfo:
        return await self._agent.call(ctx, request, StoreInfo)

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> StoreInfo:
        return await self._agent.call(ctx, request, StoreInfo)

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> Gone:
        return await self._agent.call(ctx, request, Gone)
