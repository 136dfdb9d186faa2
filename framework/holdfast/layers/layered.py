"""Each verb of each port under a layer: it stands here once, and goes through ``around``."""

from collections.abc import AsyncIterator

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.handles import Handle
from holdfast.contract.identity import ExpectedStore
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext
from holdfast.layers.layer import Call, GetStore, GetStoreCall, Layer, ProbeCall, StreamCall

_GET_STORE = GetStore()


class LayeredPrimary(PrimaryDriver):
    """A primary store's driver with ``layer`` around every call of it."""

    def __init__(self, driver: PrimaryDriver, layer: Layer) -> None:
        self.driver = driver
        self.layer = layer

    @property
    def capabilities(self) -> PrimaryCapabilities:
        return self.driver.capabilities

    def expect(self, store: ExpectedStore) -> None:
        super().expect(store)
        self.driver.expect(store)

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> answers.PoolList:
        call = Call(self.driver, "pools")
        answer: answers.PoolList = await self.layer.around(ctx, request, call)
        return answer

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        call = Call(self.driver, "create_volume")
        answer: answers.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> answers.VolumeInfo:
        call = Call(self.driver, "get_volume")
        answer: answers.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> answers.VolumePage:
        call = Call(self.driver, "list_volumes")
        answer: answers.VolumePage = await self.layer.around(ctx, request, call)
        return answer

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        call = Call(self.driver, "delete_volume")
        answer: answers.Gone = await self.layer.around(ctx, request, call)
        return answer

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        call = Call(self.driver, "resize_volume")
        answer: answers.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def modify_volume(
        self, ctx: CallContext, request: requests.ModifyVolume
    ) -> answers.VolumeInfo:
        call = Call(self.driver, "modify_volume")
        answer: answers.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        call = Call(self.driver, "revert_volume")
        answer: answers.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def copy_volume(
        self, ctx: CallContext, request: requests.CopyVolume
    ) -> answers.VolumeInfo:
        call = Call(self.driver, "copy_volume")
        answer: answers.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        call = Call(self.driver, "create_snapshot")
        answer: answers.SnapshotInfo = await self.layer.around(ctx, request, call)
        return answer

    async def get_snapshot(
        self, ctx: CallContext, request: requests.GetSnapshot
    ) -> answers.SnapshotInfo:
        call = Call(self.driver, "get_snapshot")
        answer: answers.SnapshotInfo = await self.layer.around(ctx, request, call)
        return answer

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        call = Call(self.driver, "list_snapshots")
        answer: answers.SnapshotPage = await self.layer.around(ctx, request, call)
        return answer

    async def delete_snapshot(
        self, ctx: CallContext, request: requests.DeleteSnapshot
    ) -> answers.Gone:
        call = Call(self.driver, "delete_snapshot")
        answer: answers.Gone = await self.layer.around(ctx, request, call)
        return answer

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        call = Call(self.driver, "grant")
        answer: answers.GrantInfo = await self.layer.around(ctx, request, call)
        return answer

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> answers.Gone:
        call = Call(self.driver, "revoke")
        answer: answers.Gone = await self.layer.around(ctx, request, call)
        return answer

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        call = Call(self.driver, "open")
        answer: Handle = await self.layer.around(ctx, request, call)
        return answer

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        call = Call(self.driver, "stats")
        answer: answers.StatsInfo = await self.layer.around(ctx, request, call)
        return answer

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        call = Call(self.driver, "health")
        answer: answers.HealthInfo = await self.layer.around(ctx, request, call)
        return answer

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        call = ProbeCall(self.driver, verb)
        answer: answers.ProbeResult = await self.layer.around(ctx, request, call)
        return answer

    def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        return self.layer.around_stream(ctx, request, StreamCall(self.driver))


class LayeredImage(ImageDriver):
    """An image store's driver with ``layer`` around every call of it."""

    def __init__(self, driver: ImageDriver, layer: Layer) -> None:
        self.driver = driver
        self.layer = layer

    @property
    def capabilities(self) -> ImageCapabilities:
        return self.driver.capabilities

    def expect(self, store: ExpectedStore) -> None:
        super().expect(store)
        self.driver.expect(store)

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        call = Call(self.driver, "start_upload")
        answer: answers.UploadInfo = await self.layer.around(ctx, request, call)
        return answer

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        call = Call(self.driver, "upload_part")
        answer: answers.PartInfo = await self.layer.around(ctx, request, call)
        return answer

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        call = Call(self.driver, "complete_upload")
        answer: answers.ObjectInfo = await self.layer.around(ctx, request, call)
        return answer

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        call = Call(self.driver, "abort_upload")
        answer: answers.Gone = await self.layer.around(ctx, request, call)
        return answer

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        call = Call(self.driver, "get")
        answer: answers.ObjectData = await self.layer.around(ctx, request, call)
        return answer

    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        call = Call(self.driver, "open_object")
        answer: Handle = await self.layer.around(ctx, request, call)
        return answer

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> answers.ObjectInfo:
        call = Call(self.driver, "head")
        answer: answers.ObjectInfo = await self.layer.around(ctx, request, call)
        return answer

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        call = Call(self.driver, "list")
        answer: answers.ObjectPage = await self.layer.around(ctx, request, call)
        return answer

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        call = Call(self.driver, "delete")
        answer: answers.Gone = await self.layer.around(ctx, request, call)
        return answer

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        call = Call(self.driver, "copy")
        answer: answers.ObjectInfo = await self.layer.around(ctx, request, call)
        return answer

    async def temporary_url(
        self, ctx: CallContext, request: requests.TemporaryUrl
    ) -> answers.UrlInfo:
        call = Call(self.driver, "temporary_url")
        answer: answers.UrlInfo = await self.layer.around(ctx, request, call)
        return answer

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        call = Call(self.driver, "stats")
        answer: answers.StatsInfo = await self.layer.around(ctx, request, call)
        return answer

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        call = Call(self.driver, "health")
        answer: answers.HealthInfo = await self.layer.around(ctx, request, call)
        return answer

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        call = ProbeCall(self.driver, verb)
        answer: answers.ProbeResult = await self.layer.around(ctx, request, call)
        return answer

    def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        return self.layer.around_stream(ctx, request, StreamCall(self.driver))


class LayeredLifeCycle(LifeCycle):
    """A store's life cycle with ``layer`` around every call of it."""

    def __init__(self, life_cycle: LifeCycle, layer: Layer) -> None:
        self.life_cycle = life_cycle
        self.layer = layer

    def expect(self, store: ExpectedStore) -> None:
        super().expect(store)
        self.life_cycle.expect(store)

    async def get(self, ctx: CallContext) -> answers.StoreInfo:
        call = GetStoreCall(self.life_cycle)
        answer: answers.StoreInfo = await self.layer.around(ctx, _GET_STORE, call)
        return answer

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        call = Call(self.life_cycle, "initialize")
        answer: answers.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        call = Call(self.life_cycle, "attach")
        answer: answers.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> answers.StoreInfo:
        call = Call(self.life_cycle, "detach")
        answer: answers.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def maintain(
        self, ctx: CallContext, request: requests.MaintainStore
    ) -> answers.StoreInfo:
        call = Call(self.life_cycle, "maintain")
        answer: answers.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> answers.StoreInfo:
        call = Call(self.life_cycle, "cancel_maintenance")
        answer: answers.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> answers.StoreInfo:
        call = Call(self.life_cycle, "adopt")
        answer: answers.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> answers.Gone:
        call = Call(self.life_cycle, "delete_store")
        answer: answers.Gone = await self.layer.around(ctx, request, call)
        return answer
