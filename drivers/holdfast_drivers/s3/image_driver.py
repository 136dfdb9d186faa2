"""The image store's driver: each verb is a few requests to one bucket."""

from collections.abc import AsyncIterator

from holdfast.contract import answers, requests
from holdfast.contract.answers import HealthState, Undetermined
from holdfast.contract.capabilities import ImageCapabilities
from holdfast.contract.errors import DriverError
from holdfast.contract.handles import Handle
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext
from holdfast_drivers.object_server_call import Call, read_beside
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.config import S3Config, capabilities_of
from holdfast_drivers.s3.copying import copy_object
from holdfast_drivers.s3.enumeration import owned
from holdfast_drivers.s3.objects import Objects
from holdfast_drivers.s3.probing import probe_image
from holdfast_drivers.s3.rows import OBJECTS, PARTS, STORE
from holdfast_drivers.s3.store import found_store, no_store, store_row
from holdfast_drivers.s3.uploads import Uploads


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
            row_and_etag = await found_store(self._bucket, call)
            if row_and_etag is None:
                raise self.expected.missing(no_store(self._bucket))
            self.expected.check(row_and_etag[0].info())
        return call

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        call = await self._known(ctx)
        entries = await self._bucket.all(call)
        if not any(entry.name == STORE for entry in entries):
            await store_row(self._bucket, call)  # a list may leave out what is there
        used = sum(entry.size_bytes for entry in entries if entry.name.startswith((OBJECTS, PARTS)))
        return answers.StatsInfo(
            total_bytes=max(used, self._config.capacity_bytes),
            used_bytes=used,
            allocated_bytes=used,
            objects=sum(entry.name.startswith(OBJECTS) for entry in entries),
        )

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        try:
            await found_store(self._bucket, await self._known(ctx))
        except DriverError as error:
            return answers.HealthInfo(
                state=HealthState.DOWN, dependency=self._bucket.server, detail=error.cause
            )
        return answers.HealthInfo(state=HealthState.UP)

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        return await self._uploads.start(await self._known(ctx, request.upload), request)

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        return await self._uploads.send(await self._known(ctx, request.upload), request)

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        return await self._uploads.complete(await self._known(ctx, request.upload), request)

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        return await self._uploads.abort(await self._known(ctx, request.upload), request)

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        return await read_beside(
            self._known(ctx), self._objects.get(Call(ctx, request.key), request)
        )

    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        return await self._objects.open(await self._known(ctx, request.key), request)

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> answers.ObjectInfo:
        return await self._objects.head(await self._known(ctx, request.key), request)

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        return await self._objects.list(await self._known(ctx), request)

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        return await self._objects.delete(await self._known(ctx, request.key), request)

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        return await copy_object(self._bucket, await self._known(ctx, request.target), request)

    async def temporary_url(
        self, ctx: CallContext, request: requests.TemporaryUrl
    ) -> answers.UrlInfo:
        return await self._objects.address(await self._known(ctx, request.key), request)

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        try:
            return await probe_image(self._uploads, await self._known(ctx), request)
        except DriverError as error:
            return Undetermined(reason=error.cause)

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        async for thing in owned(self._uploads, await self._known(ctx)):
            yield thing
