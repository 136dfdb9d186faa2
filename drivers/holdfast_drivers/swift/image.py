"""The image store's driver: each verb is a few requests, within the verb's deadline."""

from collections.abc import AsyncIterator, Awaitable
from typing import Final, TypeVar

from holdfast import infos, requests
from holdfast.capabilities import ImageCapabilities
from holdfast.errors import DriverError, NotFound
from holdfast.handles import Handle
from holdfast.infos import HealthInfo, HealthState
from holdfast.ports import ImageDriver
from holdfast.requests import CallContext
from holdfast_drivers.server_call import Call
from holdfast_drivers.swift.config import capabilities_of
from holdfast_drivers.swift.connection import Connection
from holdfast_drivers.swift.copying import Copies
from holdfast_drivers.swift.objects import Objects
from holdfast_drivers.swift.owned import owned_by
from holdfast_drivers.swift.probing import probe, settled
from holdfast_drivers.swift.store import Store
from holdfast_drivers.swift.uploads import Uploads

T = TypeVar("T")
_BOUNDLESS_BYTES: Final = 1 << 60
"""What is told as the store's size where the account has no quota: Swift tells no other."""


class SwiftImageDriver(ImageDriver):
    """A driver bound to one store; it keeps nothing but a token."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._store = Store(connection)
        self._objects = Objects(self._store)
        self._uploads = Uploads(self._store, self._objects)
        self._copies = Copies(self._store, self._objects)

    @property
    def capabilities(self) -> ImageCapabilities:
        return capabilities_of(self._connection.config)

    async def _known(self, ctx: CallContext, subject: str = "") -> Call:
        """A call to the store that is expected; another one, or none, is refused."""
        call = Call(ctx, subject)
        if self.expected.identities:
            found = await self._store.find(call)
            if found is None:
                raise self.expected.missing(self._store.absent())
            self.expected.check(found.info())
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
        row = await self._store.row(call)
        objects = await self._store.objects.all(call)
        if objects is None:
            raise self._store.absent()
        account = await self._connection.ask(call, "HEAD", "", accept=(200, 204))
        quota = account.headers.get("x-account-meta-quota-bytes", "")
        total = int(quota) if quota.isdecimal() else _BOUNDLESS_BYTES
        return infos.StatsInfo(
            total_bytes=max(total, row.size_bytes),
            used_bytes=row.size_bytes,
            allocated_bytes=row.size_bytes,
            objects=len(objects),
        )

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> infos.HealthInfo:
        call = Call(ctx)
        try:
            await self._connection.session(call)
        except DriverError as error:
            return _down(self._connection.server, error)
        try:
            await self._store.row(await self._known(ctx))
        except DriverError as error:
            return _down(f"container {self._store.segments.name}", error)
        return HealthInfo(state=HealthState.UP)

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
        return (
            await self._objects.get_row(await self._known(ctx, request.key), request.key)
        ).info()

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> infos.ObjectPage:
        return await self._objects.listed(await self._known(ctx), request)

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> infos.Gone:
        return await self._objects.delete(await self._known(ctx, request.key), request.key)

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> infos.ObjectInfo:
        return await self._copies.copy(await self._known(ctx, request.target), request)

    async def temporary_url(
        self, ctx: CallContext, request: requests.TemporaryUrl
    ) -> infos.UrlInfo:
        return await self._objects.address(await self._known(ctx, request.key), request)

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> infos.ProbeResult:
        async def look() -> infos.ProbeResult:
            return await probe(await self._known(ctx), self._uploads, self._copies, request)

        return await settled(look)

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[infos.OwnedThing]:
        async for thing in owned_by(await self._known(ctx), self._uploads):
            yield thing


def _down(dependency: str, error: DriverError) -> HealthInfo:
    return HealthInfo(state=HealthState.DOWN, dependency=dependency, detail=error.cause)
