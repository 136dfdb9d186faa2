"""The image store's driver: each verb is a few requests to one bucket."""

from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from holdfast import infos, requests
from holdfast.capabilities import ImageCapabilities
from holdfast.errors import DriverError, NotFound
from holdfast.handles import Handle
from holdfast.infos import HealthState, Undetermined
from holdfast.ports import ImageDriver
from holdfast.requests import CallContext
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.config import S3Config, capabilities_of
from holdfast_drivers.s3.copying import copy_object
from holdfast_drivers.s3.objects import Objects
from holdfast_drivers.s3.owned import owned
from holdfast_drivers.s3.probing import probe_image
from holdfast_drivers.s3.rows import OBJECTS, PARTS, STORE
from holdfast_drivers.s3.store import found_store, no_store, store_row
from holdfast_drivers.s3.uploads import Uploads
from holdfast_drivers.server_call import Call

T = TypeVar("T")


class S3ImageDriver(ImageDriver):
    """A driver bound to one store; it holds nothing but its connections."""

    def __init__(self, bucket: Bucket, config: S3Config) -> None:
        self._bucket = bucket
        self._config = config
        self._objects = Objects(bucket)
        self._uploads = Uploads(bucket)

    @property
    def capabilities(self) -> ImageCapabilities:
        return capabilities_of(self._config)

    async def _known(self, ctx: CallContext, subject: str = "") -> Call:
        """A call to the store that is expected; another one, or none, is refused."""
        call = Call(ctx, subject)
        if self.expected.identities:
            found = await found_store(self._bucket, call)
            if found is None:
                raise self.expected.missing(no_store(self._bucket))
            self.expected.check(found[0].info())
        return call

    async def _found(self, ctx: CallContext, verb: Awaitable[T]) -> T:
        """What a verb that moves bytes answers: only where it finds nothing is the store asked."""
        try:
            return await verb
        except NotFound:
            await self._known(ctx)
            raise

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> infos.StatsInfo:
        call = await self._known(ctx)
        entries = await self._bucket.all(call)
        if not any(entry.name == STORE for entry in entries):
            await store_row(self._bucket, call)  # a list may leave out what is there
        used = sum(entry.size_bytes for entry in entries if entry.name.startswith((OBJECTS, PARTS)))
        return infos.StatsInfo(
            total_bytes=max(used, self._config.capacity_bytes),
            used_bytes=used,
            allocated_bytes=used,
            objects=sum(entry.name.startswith(OBJECTS) for entry in entries),
        )

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> infos.HealthInfo:
        try:
            await found_store(self._bucket, await self._known(ctx))
        except DriverError as error:
            return infos.HealthInfo(
                state=HealthState.DOWN, dependency=self._bucket.server, detail=error.cause
            )
        return infos.HealthInfo(state=HealthState.UP)

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> infos.UploadInfo:
        return await self._uploads.start(await self._known(ctx, request.upload), request)

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> infos.PartInfo:
        return await self._found(ctx, self._uploads.send(Call(ctx, request.upload), request))

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> infos.ObjectInfo:
        return await self._uploads.complete(await self._known(ctx, request.upload), request)

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> infos.Gone:
        return await self._uploads.abort(await self._known(ctx, request.upload), request)

    async def get(self, ctx: CallContext, request: requests.GetObject) -> infos.ObjectData:
        return await self._found(ctx, self._objects.get(Call(ctx, request.key), request))

    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        return await self._objects.open(await self._known(ctx, request.key), request)

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> infos.ObjectInfo:
        return await self._objects.head(await self._known(ctx, request.key), request)

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> infos.ObjectPage:
        return await self._objects.list(await self._known(ctx), request)

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> infos.Gone:
        return await self._objects.delete(await self._known(ctx, request.key), request)

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> infos.ObjectInfo:
        return await copy_object(self._bucket, await self._known(ctx, request.target), request)

    async def temporary_url(
        self, ctx: CallContext, request: requests.TemporaryUrl
    ) -> infos.UrlInfo:
        return await self._objects.address(await self._known(ctx, request.key), request)

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> infos.ProbeResult:
        try:
            return await probe_image(self._uploads, await self._known(ctx), request)
        except DriverError as error:
            return Undetermined(reason=error.cause)

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[infos.OwnedThing]:
        async for thing in owned(self._uploads, await self._known(ctx)):
            yield thing
