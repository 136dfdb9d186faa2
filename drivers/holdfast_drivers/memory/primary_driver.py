"""The primary store's driver: volumes as rows of the backend's tables, and all verbs together."""

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import Conflict, Exhausted, InUse, Invalid, OutOfRange
from holdfast.contract.requests import CallContext
from holdfast.data import open_block_io
from holdfast_drivers.listing import page_of
from holdfast_drivers.memory.backend import Store, Volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES, TOTAL_BYTES
from holdfast_drivers.memory.content import Content, content_of
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.grants import AccessVerbs
from holdfast_drivers.memory.probing import probe_primary
from holdfast_drivers.memory.snapshots import SnapshotVerbs


class MemoryPrimaryDriver(SnapshotVerbs, AccessVerbs):
    """The primary driver: its volume verbs, recovery, and what it inherits."""

    def rounded(self, size_bytes: int) -> int:
        """A size rounded up to the granularity."""
        granularity = PRIMARY_CAPABILITIES.volume.size_granularity_bytes
        return -(-size_bytes // granularity) * granularity

    def compatible(self, volume: Volume, request: requests.CreateVolume) -> bool:
        """Whether creating again under the same key asks for what is there."""
        same_size = volume.content.size_bytes == self.rounded(request.size_bytes)
        return same_size and volume.source == request.source

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        """The answer where the key is taken: the same volume, or ``Conflict``."""
        volume = store.volumes.get(self.row_key(request.key))
        if volume is None:
            return None
        if not self.compatible(volume, request):
            raise Conflict("the key is taken by another volume", object=request.key)
        return self.info(volume)

    def check_source_size(self, size_bytes: int, request: requests.CreateVolume) -> None:
        """``OutOfRange`` where the source is larger than the volume asked for."""
        if size_bytes > self.rounded(request.size_bytes):
            raise OutOfRange(f"the source has {size_bytes} bytes, the new volume fewer")

    def clone(self, content: Content, size_bytes: int) -> Content:
        """A volume's own copy of its source's bytes, continued with zeroes."""
        return content.copy(size_bytes)

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        """What a new volume starts with."""
        size_bytes = self.rounded(request.size_bytes)
        match request.source:
            case None:
                return Content(size_bytes)
            case requests.SnapshotSource(key):
                source = self.snapshot(store, key).content
            case requests.VolumeSource(key):
                source = self.volume(store, key).content
            case requests.DataSource(handle, length):
                self.check_source_size(length, request)
                async with open_block_io(handle) as opened:
                    if length > opened.size_bytes:
                        raise Invalid(f"the source has only {opened.size_bytes} of {length} bytes")
                    return (await content_of(opened, length)).copy(size_bytes)
        self.check_source_size(source.size_bytes, request)
        return self.clone(source, size_bytes)

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        """``Exhausted`` when the store has no slot or no space left."""
        volumes_max = PRIMARY_CAPABILITIES.volume.volumes_max
        if volumes_max is not None and len(store.volumes) >= volumes_max:
            raise Exhausted(f"the store has {volumes_max} volumes already", what="volumes")
        if self.allocated_bytes(store) + size_bytes > TOTAL_BYTES:
            raise Exhausted(f"the store has no {size_bytes} bytes left", what="space")

    def enter_create(self, store: Store, ctx: CallContext, request: requests.CreateVolume) -> None:
        """Refuse a creation that comes after a later call on the volume, or on its source."""
        store.fences.enter(Fenced.VOLUME, request.key, ctx.fence)
        if isinstance(request.source, requests.VolumeSource):
            store.fences.compare(Fenced.VOLUME, request.source.volume, ctx.fence)

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        store = self.allocating_store()
        self.enter_create(store, ctx, request)
        existing = self.existing_volume(store, request)
        if existing is not None:
            return existing
        content = await self.first_content(store, request)
        # Reading a source may have let another call in: look again, from here on without a pause.
        self.enter_create(store, ctx, request)
        existing = self.existing_volume(store, request)
        if existing is not None:
            return existing
        self.check_volume_limits(store, content.size_bytes)
        key = self.row_key(request.key)
        volume = Volume(
            request.key, runtime().new_id("vol"), content, request.source, ctx.operation
        )
        store.volumes[key] = volume
        return self.info(volume)

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> answers.VolumeInfo:
        return self.info(self.volume(self.store(), request.key))

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        """One page of keys in byte order, and the next page's token."""
        page = page_of(sorted(rows), scope, token=token, limit=limit)
        return list(page.names), page.token

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> answers.VolumePage:
        store = self.store()
        keys, token = self.page(store.volumes, f"{store.id} volumes", request.token, request.limit)
        return answers.VolumePage(
            items=tuple(self.info(store.volumes[key]) for key in keys), token=token
        )

    def refuse_with_snapshots(self, store: Store, key: str) -> None:
        """``InUse`` while snapshots of the volume live, as the declared lifetime says."""
        holders = tuple(row.key for row in self.snapshots_of(store, key))
        if holders:
            raise InUse(
                f"the volume has the snapshots {', '.join(holders)}; delete them first",
                object=key,
                holders=holders,
            )

    def remove_volume(self, store: Store, key: str) -> None:
        """Take the volume's row out."""
        del store.volumes[self.row_key(key)]

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        store = self.store()
        store.fences.enter(Fenced.VOLUME, request.key, ctx.fence)
        if self.row_key(request.key) in store.volumes:
            self.refuse_in_use(store, request.key)
            self.refuse_with_snapshots(store, request.key)
            self.remove_volume(store, request.key)
        return answers.Gone(key=request.key)

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        """Cut the volume off, or continue it with zeroes."""
        volume.content.resize(size_bytes)

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        store = self.store()
        store.fences.enter(Fenced.VOLUME, request.key, ctx.fence)
        volume = self.volume(store, request.key)
        size_bytes = self.rounded(request.size_bytes)
        growth = size_bytes - volume.content.size_bytes
        if growth > 0:
            store = self.allocating_store()
        if growth > 0 and self.allocated_bytes(store) + growth > TOTAL_BYTES:
            raise Exhausted(f"the store has no {growth} bytes left", what="space")
        if growth > 0 or request.shrink:
            self.set_size(volume, size_bytes)
        return self.info(volume)

    # Recovery

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        if self.backend.down:
            return answers.Undetermined(reason=f"memory space {self.backend.name} is down")
        return probe_primary(self, self.store(), request, ctx.fence)
