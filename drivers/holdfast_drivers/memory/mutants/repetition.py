"""Defects that show when a request is repeated."""

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.errors import NotFound, Precondition
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Store, Upload
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class SecondDeleteOfASnapshotFails(MemoryPrimaryDriver):
    """Deleting a snapshot again fails."""

    def remove_snapshot(self, store: Store, key: str) -> None:
        self.snapshot(store, key)
        super().remove_snapshot(store, key)


class ShrinkAgainShrinksMore(MemoryPrimaryDriver):
    """Shrinking to the size that a volume has takes another block away."""

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        volume = self.volume(self.store(), request.key)
        size_bytes = volume.content.size_bytes
        if request.shrink and size_bytes == self.rounded(request.size_bytes) > 4096:
            request = msgspec.structs.replace(request, size_bytes=size_bytes - 4096)
        return await super().resize_volume(ctx, request)


class MaintainAgainEndsMaintenance(MemoryLifeCycle):
    """Maintenance is a switch: asking for it twice ends it."""

    async def maintain(
        self, ctx: CallContext, request: requests.MaintainStore
    ) -> answers.StoreInfo:
        store = self.store(self.backend())
        resting = store.state is StoreState.MAINTENANCE
        self.set_state(store, StoreState.UP if resting else StoreState.MAINTENANCE)
        return self.info(store)


class DetachAgainFails(MemoryLifeCycle):
    """Detaching a host again fails."""

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> answers.StoreInfo:
        if request.host not in self.store(self.backend()).hosts:
            raise NotFound("the host is not attached", object=request.host)
        return await super().detach(ctx, request)


class AttachAgainFails(MemoryLifeCycle):
    """Attaching a host again fails."""

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        if request.host in self.store(self.backend()).hosts:
            raise Precondition("the host is attached already", object=request.host)
        return await super().attach(ctx, request)


class CompleteAgainFails(MemoryImageDriver):
    """Completing an upload again finds no upload, although its object is there."""

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        self.upload(self.store(), request.upload)
        return await super().complete_upload(ctx, request)


class StartAgainDropsTheParts(MemoryImageDriver):
    """Starting an upload again drops the parts that were sent (as minio/minio#11681)."""

    def same_upload(self, upload: Upload, request: requests.StartUpload) -> bool:
        upload.parts.clear()
        return super().same_upload(upload, request)


class AbortAgainFails(MemoryImageDriver):
    """Aborting an upload again fails."""

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        self.upload(self.store(), request.upload)
        return await super().abort_upload(ctx, request)


MUTANTS = (
    planted("IDM-01", SecondDeleteOfASnapshotFails),
    planted("IDM-01", ShrinkAgainShrinksMore),
    planted("IDM-01", MaintainAgainEndsMaintenance),
    planted("IDM-01", DetachAgainFails),
    planted("IDM-01", AttachAgainFails),
    planted("IDM-01", CompleteAgainFails),
    planted("IDM-01", StartAgainDropsTheParts),
    planted("IDM-01", AbortAgainFails),
)
