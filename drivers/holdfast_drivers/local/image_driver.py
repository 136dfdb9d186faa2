"""The image store's driver: each verb is one blocking function, run where blocking is allowed."""

from collections.abc import AsyncIterator
from itertools import islice

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ImageCapabilities
from holdfast.contract.handles import Handle
from holdfast.contract.identity import ExpectedStore
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext
from holdfast_drivers.local.enumeration import THINGS_AT_ONCE, owned_by_image
from holdfast_drivers.local.errors import attempt
from holdfast_drivers.local.folder_usage import figures_of, health_of, space_of
from holdfast_drivers.local.locks import with_space
from holdfast_drivers.local.objects import Objects
from holdfast_drivers.local.probing import probe_image, settled
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.local.uploads import Uploads


class LocalImageDriver(ImageDriver):
    """A driver bound to one store's folder; it holds nothing else."""

    def __init__(self, place: Place, capabilities: ImageCapabilities) -> None:
        self._place = place
        self._objects = Objects(place)
        self._uploads = Uploads(place, self._objects)
        self._capabilities = capabilities

    def expect(self, store: ExpectedStore) -> None:
        super().expect(store)
        self._place.expected = store

    @property
    def capabilities(self) -> ImageCapabilities:
        return self._capabilities

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        return await runtime().run_blocking(attempt, "", self._stats)

    def _stats(self) -> answers.StatsInfo:
        self._place.row()
        return space_of(self._place, [figures_of(one) for one in self._objects.shelf.statuses()])

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        return await runtime().run_blocking(health_of, self._place)

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        fresh = runtime().new_id("up")
        return await runtime().run_blocking(
            attempt, request.upload, self._uploads.start, request, ctx.operation, fresh, ctx.fence
        )

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        return await with_space(ctx, request.upload, self._uploads.send, request, ctx.fence)

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        fresh = runtime().new_id("obj")
        return await with_space(
            ctx, request.upload, self._uploads.complete, request, ctx.operation, fresh, ctx.fence
        )

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        return await runtime().run_blocking(
            attempt, request.upload, self._uploads.abort, request, ctx.fence
        )

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        return await runtime().run_blocking(attempt, request.key, self._objects.get, request)

    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        return await runtime().run_blocking(attempt, request.key, self._objects.open, request)

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> answers.ObjectInfo:
        return await runtime().run_blocking(attempt, request.key, self._objects.head, request)

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        return await runtime().run_blocking(attempt, "", self._objects.list, request)

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        return await runtime().run_blocking(
            attempt, request.key, self._objects.delete, request, ctx.fence
        )

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        return await runtime().run_blocking(
            settled, lambda: probe_image(self._uploads, request, ctx.fence)
        )

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        things = owned_by_image(self._uploads)
        while page := await runtime().run_blocking(
            attempt, "", lambda: list(islice(things, THINGS_AT_ONCE))
        ):
            for thing in page:
                yield thing
