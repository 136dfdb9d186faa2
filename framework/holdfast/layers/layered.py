"""Each verb of each port under a layer: it stands here once, and goes through ``around``."""

from collections.abc import AsyncIterator

from holdfast import infos, requests
from holdfast.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.handles import Handle
from holdfast.identity import ExpectedStore
from holdfast.layers.layer import Call, GetStore, GetStoreCall, Layer, ProbeCall, StreamCall
from holdfast.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.requests import CallContext

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

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> infos.PoolList:
        call = Call(self.driver, "pools")
        answer: infos.PoolList = await self.layer.around(ctx, request, call)
        return answer

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> infos.VolumeInfo:
        call = Call(self.driver, "create_volume")
        answer: infos.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> infos.VolumeInfo:
        call = Call(self.driver, "get_volume")
        answer: infos.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> infos.VolumePage:
        call = Call(self.driver, "list_volumes")
        answer: infos.VolumePage = await self.layer.around(ctx, request, call)
        return answer

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> infos.Gone:
        call = Call(self.driver, "delete_volume")
        answer: infos.Gone = await self.layer.around(ctx, request, call)
        return answer

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> infos.VolumeInfo:
        call = Call(self.driver, "resize_volume")
        answer: infos.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def modify_volume(
        self, ctx: CallContext, request: requests.ModifyVolume
    ) -> infos.VolumeInfo:
        call = Call(self.driver, "modify_volume")
        answer: infos.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> infos.VolumeInfo:
        call = Call(self.driver, "revert_volume")
        answer: infos.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def copy_volume(self, ctx: CallContext, request: requests.CopyVolume) -> infos.VolumeInfo:
        call = Call(self.driver, "copy_volume")
        answer: infos.VolumeInfo = await self.layer.around(ctx, request, call)
        return answer

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> infos.SnapshotInfo:
        call = Call(self.driver, "create_snapshot")
        answer: infos.SnapshotInfo = await self.layer.around(ctx, request, call)
        return answer

    async def get_snapshot(
        self, ctx: CallContext, request: requests.GetSnapshot
    ) -> infos.SnapshotInfo:
        call = Call(self.driver, "get_snapshot")
        answer: infos.SnapshotInfo = await self.layer.around(ctx, request, call)
        return answer

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> infos.SnapshotPage:
        call = Call(self.driver, "list_snapshots")
        answer: infos.SnapshotPage = await self.layer.around(ctx, request, call)
        return answer

    async def delete_snapshot(
        self, ctx: CallContext, request: requests.DeleteSnapshot
    ) -> infos.Gone:
        call = Call(self.driver, "delete_snapshot")
        answer: infos.Gone = await self.layer.around(ctx, request, call)
        return answer

    async def grant(self, ctx: CallContext, request: requests.Grant) -> infos.GrantInfo:
        call = Call(self.driver, "grant")
        answer: infos.GrantInfo = await self.layer.around(ctx, request, call)
        return answer

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> infos.Gone:
        call = Call(self.driver, "revoke")
        answer: infos.Gone = await self.layer.around(ctx, request, call)
        return answer

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        call = Call(self.driver, "open")
        answer: Handle = await self.layer.around(ctx, request, call)
        return answer

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> infos.StatsInfo:
        call = Call(self.driver, "stats")
        answer: infos.StatsInfo = await self.layer.around(ctx, request, call)
        return answer

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> infos.HealthInfo:
        call = Call(self.driver, "health")
        answer: infos.HealthInfo = await self.layer.around(ctx, request, call)
        return answer

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> infos.ProbeResult:
        call = ProbeCall(self.driver, verb)
        answer: infos.ProbeResult = await self.layer.around(ctx, request, call)
        return answer

    def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[infos.OwnedThing]:
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
    ) -> infos.UploadInfo:
        call = Call(self.driver, "start_upload")
        answer: infos.UploadInfo = await self.layer.around(ctx, request, call)
        return answer

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> infos.PartInfo:
        call = Call(self.driver, "upload_part")
        answer: infos.PartInfo = await self.layer.around(ctx, request, call)
        return answer

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> infos.ObjectInfo:
        call = Call(self.driver, "complete_upload")
        answer: infos.ObjectInfo = await self.layer.around(ctx, request, call)
        return answer

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> infos.Gone:
        call = Call(self.driver, "abort_upload")
        answer: infos.Gone = await self.layer.around(ctx, request, call)
        return answer

    async def get(self, ctx: CallContext, request: requests.GetObject) -> infos.ObjectData:
        call = Call(self.driver, "get")
        answer: infos.ObjectData = await self.layer.around(ctx, request, call)
        return answer

    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        call = Call(self.driver, "open_object")
        answer: Handle = await self.layer.around(ctx, request, call)
        return answer

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> infos.ObjectInfo:
        call = Call(self.driver, "head")
        answer: infos.ObjectInfo = await self.layer.around(ctx, request, call)
        return answer

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> infos.ObjectPage:
        call = Call(self.driver, "list")
        answer: infos.ObjectPage = await self.layer.around(ctx, request, call)
        return answer

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> infos.Gone:
        call = Call(self.driver, "delete")
        answer: infos.Gone = await self.layer.around(ctx, request, call)
        return answer

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> infos.ObjectInfo:
        call = Call(self.driver, "copy")
        answer: infos.ObjectInfo = await self.layer.around(ctx, request, call)
        return answer

    async def temporary_url(
        self, ctx: CallContext, request: requests.TemporaryUrl
    ) -> infos.UrlInfo:
        call = Call(self.driver, "temporary_url")
        answer: infos.UrlInfo = await self.layer.around(ctx, request, call)
        return answer

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> infos.StatsInfo:
        call = Call(self.driver, "stats")
        answer: infos.StatsInfo = await self.layer.around(ctx, request, call)
        return answer

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> infos.HealthInfo:
        call = Call(self.driver, "health")
        answer: infos.HealthInfo = await self.layer.around(ctx, request, call)
        return answer

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> infos.ProbeResult:
        call = ProbeCall(self.driver, verb)
        answer: infos.ProbeResult = await self.layer.around(ctx, request, call)
        return answer

    def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[infos.OwnedThing]:
        return self.layer.around_stream(ctx, request, StreamCall(self.driver))


class LayeredLifeCycle(LifeCycle):
    """A store's life cycle with ``layer`` around every call of it."""

    def __init__(self, life_cycle: LifeCycle, layer: Layer) -> None:
        self.life_cycle = life_cycle
        self.layer = layer

    def expect(self, store: ExpectedStore) -> None:
        super().expect(store)
        self.life_cycle.expect(store)

    async def get(self, ctx: CallContext) -> infos.StoreInfo:
        call = GetStoreCall(self.life_cycle)
        answer: infos.StoreInfo = await self.layer.around(ctx, _GET_STORE, call)
        return answer

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> infos.StoreInfo:
        call = Call(self.life_cycle, "initialize")
        answer: infos.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> infos.StoreInfo:
        call = Call(self.life_cycle, "attach")
        answer: infos.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> infos.StoreInfo:
        call = Call(self.life_cycle, "detach")
        answer: infos.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def maintain(self, ctx: CallContext, request: requests.MaintainStore) -> infos.StoreInfo:
        call = Call(self.life_cycle, "maintain")
        answer: infos.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> infos.StoreInfo:
        call = Call(self.life_cycle, "cancel_maintenance")
        answer: infos.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> infos.StoreInfo:
        call = Call(self.life_cycle, "adopt")
        answer: infos.StoreInfo = await self.layer.around(ctx, request, call)
        return answer

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> infos.Gone:
        call = Call(self.life_cycle, "delete_store")
        answer: infos.Gone = await self.layer.around(ctx, request, call)
        return answer
