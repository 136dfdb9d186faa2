"""The image store's driver: each verb is one blocking function, run on the store's connection."""

from collections.abc import AsyncIterator, Callable
from typing import Concatenate, ParamSpec, TypeVar

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import HealthInfo, HealthState
from holdfast.contract.capabilities import ImageCapabilities
from holdfast.contract.errors import DriverError
from holdfast.contract.handles import Handle
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext
from holdfast_drivers.nfs.config import IMAGE_CAPABILITIES
from holdfast_drivers.nfs.enumeration import owned
from holdfast_drivers.nfs.libnfs import Client
from holdfast_drivers.nfs.objects import Objects
from holdfast_drivers.nfs.probing import probe
from holdfast_drivers.nfs.session import Session
from holdfast_drivers.nfs.uploads import Uploads

P = ParamSpec("P")
T = TypeVar("T")


class NfsImageDriver(ImageDriver):
    """A driver bound to one store of an export; it holds a connection and nothing else."""

    def __init__(self, session: Session, uploads: Uploads) -> None:
        self._session = session
        self._uploads = uploads
        self._objects: Objects = uploads.objects

    async def _run(
        self,
        ctx: CallContext,
        key: str,
        verb: Callable[Concatenate[Client, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Carry out a verb in the store that is expected; another one, or none, is refused."""

        def recognized(client: Client) -> T:
            self._uploads.shelves.recognize(client, self.expected)
            return verb(client, *args, **kwargs)

        return await self._session.run(ctx, key, recognized)

    @property
    def capabilities(self) -> ImageCapabilities:
        return IMAGE_CAPABILITIES

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        return await self._run(ctx, "", self._objects.stats)

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> HealthInfo:
        try:
            await self._run(ctx, "", self._uploads.shelves.row)
        except DriverError as error:
            return HealthInfo(
                state=HealthState.DOWN, dependency=self._session.name, detail=error.cause
            )
        return HealthInfo(state=HealthState.UP)

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        fresh = runtime().new_id("up")
        return await self._run(
            ctx, request.upload, self._uploads.start, request, ctx.operation, fresh, ctx.fence
        )

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        fresh = runtime().new_id("part")
        return await self._run(ctx, request.upload, self._uploads.send, request, fresh, ctx.fence)

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        fresh = runtime().new_id("new")
        return await self._run(
            ctx, request.upload, self._uploads.complete, request, ctx.operation, fresh, ctx.fence
        )

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        return await self._run(ctx, request.upload, self._uploads.abort, request, ctx.fence)

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        return await self._run(ctx, request.key, self._objects.get, request)

    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        return await self._run(ctx, request.key, self._objects.open, request)

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> answers.ObjectInfo:
        return await self._run(ctx, request.key, self._objects.head, request)

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        return await self._run(ctx, "", self._objects.list, request)

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        return await self._run(ctx, request.key, self._objects.delete, request, ctx.fence)

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        def look(client: Client) -> answers.ProbeResult:
            return probe(client, self._uploads, request, ctx.fence)

        try:
            return await self._run(ctx, "", look)
        except DriverError as error:
            return answers.Undetermined(reason=str(error))

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        def look(client: Client) -> list[answers.OwnedThing]:
            return list(owned(client, self._uploads))

        for thing in await self._run(ctx, "", look):
            yield thing
