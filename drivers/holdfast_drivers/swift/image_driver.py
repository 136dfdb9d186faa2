"""The image store's driver: each verb is a few requests, within the verb's deadline."""

from collections.abc import AsyncIterator
from typing import Final

from holdfast.contract import answers, requests
from holdfast.contract.answers import HealthInfo, HealthState
from holdfast.contract.capabilities import ImageCapabilities
from holdfast.contract.errors import DriverError
from holdfast.contract.handles import Handle
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext
from holdfast_drivers.object_server_call import Call, read_beside
from holdfast_drivers.swift.config import capabilities_of
from holdfast_drivers.swift.connection import Connection
from holdfast_drivers.swift.copying import Copies
from holdfast_drivers.swift.enumeration import owned_by
from holdfast_drivers.swift.objects import Objects
from holdfast_drivers.swift.probing import probe, settled
from holdfast_drivers.swift.store import Store
from holdfast_drivers.swift.uploads import Uploads

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
            row = await self._store.find(call)
            if row is None:
                raise self.expected.missing(self._store.absent())
            self.expected.check(row.info())
        return call

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        call = await self._known(ctx)
        row = await self._store.row(call)
        objects = await self._store.objects.all(call)
        if objects is None:
            raise self._store.absent()
        account = await self._connection.ask(call, "HEAD", "", accept=(200, 204))
        quota = account.headers.get("x-account-meta-quota-bytes", "")
        total = int(quota) if quota.isdecimal() else _BOUNDLESS_BYTES
        return answers.StatsInfo(
            total_bytes=max(total, row.size_bytes),
            used_bytes=row.size_bytes,
            allocated_bytes=row.size_bytes,
            objects=len(objects),
        )

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
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
        return (
            await self._objects.get_row(await self._known(ctx, request.key), request.key)
        ).info()

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        return await self._objects.listed(await self._known(ctx), request)

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        return await self._objects.delete(await self._known(ctx, request.key), request.key)

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        return await self._copies.copy(await self._known(ctx, request.target), request)

    async def temporary_url(
        self, ctx: CallContext, request: requests.TemporaryUrl
    ) -> answers.UrlInfo:
        return await self._objects.address(await self._known(ctx, request.key), request)

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        async def look() -> answers.ProbeResult:
            return await probe(await self._known(ctx), self._uploads, self._copies, request)

        return await settled(look)

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        async for thing in owned_by(await self._known(ctx), self._uploads):
            yield thing


def _down(dependency: str, error: DriverError) -> HealthInfo:
    return HealthInfo(state=HealthState.DOWN, dependency=dependency, detail=error.cause)
