"""A primary store whose verbs an agent on the storage host carries out: the side of the caller."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, TypeVar

from holdfast import infos, requests
from holdfast.capabilities import PrimaryCapabilities
from holdfast.errors import Busy, DriverError
from holdfast.handles import Handle
from holdfast.identity import ANY_STORE, ExpectedStore
from holdfast.infos import Gone, HealthInfo, HealthState, StoreInfo, Undetermined
from holdfast.ports import LifeCycle, PrimaryDriver
from holdfast.remote.client import RemoteClient
from holdfast.requests import CallContext, Request, verb_of
from holdfast.runtime import runtime
from holdfast_drivers.local.features import Features
from holdfast_drivers.local.served import (
    FEATURES,
    GET_STORE,
    PROBE,
    Asked,
    ServedCall,
    ServedHandle,
)

T = TypeVar("T")

_PAUSE_S: Final = 0.005
_FEATURES_S: Final = 8.0
_PREFIXES: Final[dict[type[Request], str]] = {
    requests.CreateVolume: "vol",
    requests.ResizeVolume: "size",
    requests.RevertVolume: "rev",
    requests.CreateSnapshot: "snap",
    requests.Grant: "grant",
    requests.InitializeStore: "store",
}


class Agent:
    """The agent of one store, asked in the words of its verbs."""

    def __init__(self, client: RemoteClient) -> None:
        self._client = client
        self.expected = ANY_STORE

    @property
    def where(self) -> str:
        """What people call the storage host."""
        return self._client.where

    async def features(self) -> Features:
        """What the file system of the store can do."""
        found: Features = await self._client.call(
            FEATURES, ServedCall(), Features, deadline=runtime().now() + _FEATURES_S
        )
        return found

    async def store(self, ctx: CallContext) -> StoreInfo:
        """The store as its host knows it."""
        return await self._ask(ctx, GET_STORE, ServedCall(fence=ctx.fence), StoreInfo)

    async def probe(self, ctx: CallContext, request: Asked) -> infos.ProbeResult:
        """What became of a call; ``Undetermined`` where nobody can be asked."""
        call = ServedCall(
            operation=ctx.operation, fence=ctx.fence, request=request, expected=self.expected
        )
        try:
            return await self._ask(ctx, PROBE, call, infos.ProbeResult)
        except DriverError as error:
            return Undetermined(reason=error.cause)

    async def call(self, ctx: CallContext, request: Asked, answer: type[T] | Any) -> T:
        """Have a verb carried out."""
        prefix = _PREFIXES.get(type(request))
        fresh = runtime().new_id(prefix) if prefix else ""
        call = ServedCall(
            operation=ctx.operation,
            fresh=fresh,
            fence=ctx.fence,
            request=request,
            expected=self.expected,
        )
        return await self._ask(ctx, verb_of(request), call, answer)

    async def _ask(self, ctx: CallContext, verb: str, call: ServedCall, answer: type[T] | Any) -> T:
        while True:
            found: T | None = await self._client.call(
                verb, call, answer | None, deadline=ctx.deadline
            )
            if found is not None:
                return found
            if runtime().now() + _PAUSE_S >= ctx.deadline:
                raise Busy("other calls are promising space; try again")
            await asyncio.sleep(_PAUSE_S)


class HostedPrimaryDriver(PrimaryDriver):
    """A driver that asks an agent; it holds nothing else."""

    def __init__(self, agent: Agent, capabilities: PrimaryCapabilities) -> None:
        self._agent = agent
        self._capabilities = capabilities

    def expect(self, store: ExpectedStore) -> None:
        super().expect(store)
        self._agent.expected = store

    @property
    def capabilities(self) -> PrimaryCapabilities:
        return self._capabilities

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> infos.PoolList:
        return await self._agent.call(ctx, request, infos.PoolList)

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> infos.StatsInfo:
        return await self._agent.call(ctx, request, infos.StatsInfo)

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> HealthInfo:
        try:
            return await self._agent.call(ctx, request, HealthInfo)
        except DriverError as error:
            return HealthInfo(
                state=HealthState.DOWN,
                dependency=f"storage host {self._agent.where}",
                detail=error.cause,
            )

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> infos.VolumeInfo:
        return await self._agent.call(ctx, request, infos.VolumeInfo)

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> infos.VolumeInfo:
        return await self._agent.call(ctx, request, infos.VolumeInfo)

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> infos.VolumePage:
        return await self._agent.call(ctx, request, infos.VolumePage)

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> Gone:
        return await self._agent.call(ctx, request, Gone)

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> infos.VolumeInfo:
        return await self._agent.call(ctx, request, infos.VolumeInfo)

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> infos.VolumeInfo:
        return await self._agent.call(ctx, request, infos.VolumeInfo)

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> infos.SnapshotInfo:
        return await self._agent.call(ctx, request, infos.SnapshotInfo)

    async def get_snapshot(
        self, ctx: CallContext, request: requests.GetSnapshot
    ) -> infos.SnapshotInfo:
        return await self._agent.call(ctx, request, infos.SnapshotInfo)

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> infos.SnapshotPage:
        return await self._agent.call(ctx, request, infos.SnapshotPage)

    async def delete_snapshot(self, ctx: CallContext, request: requests.DeleteSnapshot) -> Gone:
        return await self._agent.call(ctx, request, Gone)

    async def grant(self, ctx: CallContext, request: requests.Grant) -> infos.GrantInfo:
        return await self._agent.call(ctx, request, infos.GrantInfo)

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> Gone:
        return await self._agent.call(ctx, request, Gone)

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        return await self._agent.call(ctx, request, ServedHandle)

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> infos.ProbeResult:
        if not isinstance(request, requests.PrimaryRequest):
            return Undetermined(reason=f"a {type(request).__name__} is no call to this store")
        return await self._agent.probe(ctx, request)

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[infos.OwnedThing]:
        found: list[infos.OwnedThing] = await self._agent.call(ctx, request, list[infos.OwnedThing])
        for thing in found:
            yield thing


class HostedLifeCycle(LifeCycle):
    """The life cycle of a store on a storage host."""

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
