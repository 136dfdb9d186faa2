"""A primary store whose verbs an agent on the storage host carries out: the side of the caller."""

from collections.abc import AsyncIterator

from holdfast.contract import answers, requests
from holdfast.contract.answers import Gone, HealthInfo, HealthState, Undetermined
from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.errors import DriverError
from holdfast.contract.handles import Handle
from holdfast.contract.identity import ExpectedStore
from holdfast.contract.ports import PrimaryDriver
from holdfast.contract.requests import CallContext
from holdfast_drivers.storage_host.agent import Agent
from holdfast_drivers.storage_host.calls import GrantHandle


class StorageHostDriver(PrimaryDriver):
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

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> answers.PoolList:
        return await self._agent.call(ctx, request, answers.PoolList)

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        return await self._agent.call(ctx, request, answers.StatsInfo)

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
    ) -> answers.VolumeInfo:
        return await self._agent.call(ctx, request, answers.VolumeInfo)

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> answers.VolumeInfo:
        return await self._agent.call(ctx, request, answers.VolumeInfo)

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> answers.VolumePage:
        return await self._agent.call(ctx, request, answers.VolumePage)

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> Gone:
        return await self._agent.call(ctx, request, Gone)

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        return await self._agent.call(ctx, request, answers.VolumeInfo)

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        return await self._agent.call(ctx, request, answers.VolumeInfo)

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        return await self._agent.call(ctx, request, answers.SnapshotInfo)

    async def get_snapshot(
        self, ctx: CallContext, request: requests.GetSnapshot
    ) -> answers.SnapshotInfo:
        return await self._agent.call(ctx, request, answers.SnapshotInfo)

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        return await self._agent.call(ctx, request, answers.SnapshotPage)

    async def delete_snapshot(self, ctx: CallContext, request: requests.DeleteSnapshot) -> Gone:
        return await self._agent.call(ctx, request, Gone)

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        return await self._agent.call(ctx, request, answers.GrantInfo)

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> Gone:
        return await self._agent.call(ctx, request, Gone)

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        return await self._agent.call(ctx, request, GrantHandle)

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        if not isinstance(request, requests.PrimaryRequest):
            return Undetermined(reason=f"a {type(request).__name__} is no call to this store")
        return await self._agent.probe(ctx, request)

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        found: list[answers.OwnedThing] = await self._agent.call(
            ctx, request, list[answers.OwnedThing]
        )
        for thing in found:
            yield thing
