"""The primary store's driver: each verb is one blocking function, run where blocking is allowed."""

from collections.abc import AsyncIterator
from itertools import islice

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.capabilities import AccessMode, PrimaryCapabilities
from holdfast.contract.errors import Corrupt, Denied
from holdfast.contract.handles import BlockNodeHandle, FileHandle, Handle
from holdfast.contract.identity import ExpectedStore
from holdfast.contract.ports import PrimaryDriver
from holdfast.contract.requests import CallContext
from holdfast.data.locked_file import inode_of
from holdfast_drivers.local.config import Attach
from holdfast_drivers.local.enumeration import THINGS_AT_ONCE, owned_by_primary
from holdfast_drivers.local.errors import attempt
from holdfast_drivers.local.folder_usage import health_of
from holdfast_drivers.local.locks import with_space
from holdfast_drivers.local.probing import probe_primary, settled
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.local.views import pools_of, snapshot_page, stats_of, volume_page
from holdfast_drivers.local.volumes import Volumes


class LocalPrimaryDriver(PrimaryDriver):
    """A driver bound to one store's folder; it holds nothing else."""

    def __init__(
        self, place: Place, capabilities: PrimaryCapabilities, attach: Attach = Attach.FILE
    ) -> None:
        self._attach = attach
        self._place = place
        self._volumes = Volumes(place)
        self._capabilities = capabilities

    def expect(self, store: ExpectedStore) -> None:
        super().expect(store)
        self._place.expected = store

    @property
    def capabilities(self) -> PrimaryCapabilities:
        return self._capabilities

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> answers.PoolList:
        return await runtime().run_blocking(attempt, "", pools_of, self._volumes)

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        return await runtime().run_blocking(
            attempt, request.volume, stats_of, self._volumes, request
        )

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        return await runtime().run_blocking(health_of, self._place)

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        fresh = runtime().new_id("vol")
        return await with_space(
            ctx, request.key, self._volumes.create, request, ctx.operation, fresh, ctx.fence
        )

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> answers.VolumeInfo:
        return await runtime().run_blocking(attempt, request.key, self._volumes.get, request)

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> answers.VolumePage:
        return await runtime().run_blocking(attempt, "", volume_page, self._volumes, request)

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        return await runtime().run_blocking(
            attempt, request.key, self._volumes.delete, request, ctx.fence
        )

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        fresh = runtime().new_id("size")
        return await with_space(ctx, request.key, self._volumes.resize, request, fresh, ctx.fence)

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        fresh = runtime().new_id("rev")
        return await with_space(
            ctx, request.key, self._volumes.revert, request, ctx.operation, fresh, ctx.fence
        )

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        fresh = runtime().new_id("snap")
        return await with_space(
            ctx,
            request.key,
            self._volumes.create_snapshot,
            request,
            ctx.operation,
            fresh,
            ctx.fence,
        )

    async def get_snapshot(
        self, ctx: CallContext, request: requests.GetSnapshot
    ) -> answers.SnapshotInfo:
        return await runtime().run_blocking(
            attempt, request.key, self._volumes.get_snapshot, request
        )

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        return await runtime().run_blocking(attempt, "", snapshot_page, self._volumes, request)

    async def delete_snapshot(
        self, ctx: CallContext, request: requests.DeleteSnapshot
    ) -> answers.Gone:
        return await runtime().run_blocking(
            attempt, request.key, self._volumes.delete_snapshot, request, ctx.fence
        )

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        fresh = runtime().new_id("grant")
        return await runtime().run_blocking(
            attempt, request.volume, self._volumes.grant, request, ctx.operation, fresh, ctx.fence
        )

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> answers.Gone:
        return await runtime().run_blocking(
            attempt, request.volume, self._volumes.revoke, request, ctx.fence
        )

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        return await runtime().run_blocking(attempt, request.volume, self._open, request)

    def _open(self, request: requests.Open) -> Handle:
        self._place.row()
        shelf = self._volumes.volumes
        shelf.get(request.volume)
        grant = self._volumes.grants.find(request.volume, request.host)
        if grant is None:
            raise Denied(
                f"host {request.host} has no grant; grant the volume first", object=request.volume
            )
        try:
            status = grant.path.regular()
            data = shelf.describe(request.volume, lambda row: shelf.data(row).regular())
            if inode_of(status) != inode_of(data) and grant.path.regular():
                raise Corrupt(f"{grant.path} is not the volume's file", object=request.volume)
        except FileNotFoundError:
            raise Denied("the grant was taken back", object=request.volume) from None
        size_bytes = status.st_size
        read_only = grant.mode is AccessMode.READ_ONLY
        path = str(grant.path)
        if self._attach is Attach.FILE:
            return FileHandle(
                path=path,
                size_bytes=size_bytes,
                read_only=read_only,
                below=str(self._place.root),
            )
        node = {"driver": "raw", "file": {"driver": "file", "filename": path}}
        return BlockNodeHandle(
            blockdev=msgspec.json.encode(node).decode(),
            size_bytes=size_bytes,
            read_only=read_only,
            host=request.host,
            volume=request.volume,
        )

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        return await runtime().run_blocking(
            settled, lambda: probe_primary(self._volumes, ctx.operation, request, ctx.fence)
        )

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        things = owned_by_primary(self._volumes)
        while page := await runtime().run_blocking(
            attempt, "", lambda: list(islice(things, THINGS_AT_ONCE))
        ):
            for thing in page:
                yield thing
