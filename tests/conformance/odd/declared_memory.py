"""The reference driver, made to be what it declares: whatever that is, it really behaves so.

What few stores declare is as right as what many do. The families of such drivers are in
``unusual_primary`` and ``unusual_image``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.capabilities import (
    DeleteInUse,
    ImageCapabilities,
    Lifetime,
    PrimaryCapabilities,
)
from holdfast.contract.errors import Conflict, Exhausted, InUse, Invalid
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext, Qos, Role
from holdfast.layers import Layer, LayeredImage, LayeredLifeCycle, LayeredPrimary
from holdfast_drivers.memory.backend import Backend, Snapshot, Store, Volume
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES, PRIMARY_CAPABILITIES, TOTAL_BYTES
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.provider import MemoryProvider


class DeclaredBackend(Backend):
    """A backend that keeps what the reference driver has no need of, by the driver's ids."""

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self.limits: dict[str, Qos] = {}
        self.copies: set[str] = set()
        self.origins: dict[str, str] = {}
        """The volume that each snapshot was taken of."""


class DeclaredVolumes(MemoryPrimaryDriver):
    """Keeps the limits that it declares, of sizes, counts and lifetimes."""

    declared: PrimaryCapabilities = PRIMARY_CAPABILITIES

    @property
    def capabilities(self) -> PrimaryCapabilities:
        return self.declared

    @property
    def notes(self) -> DeclaredBackend:
        assert isinstance(self.backend, DeclaredBackend)
        return self.backend

    def rounded(self, size_bytes: int) -> int:
        granularity = self.declared.volume.size_granularity_bytes
        return -(-size_bytes // granularity) * granularity

    def check_volume_limits(self, store: Store, size_bytes: int) -> None:
        most = self.declared.volume.volumes_max
        if most is not None and len(store.volumes) >= most:
            raise Exhausted(f"the store has {most} volumes already", what="volumes")
        if self.allocated_bytes(store) + size_bytes > TOTAL_BYTES:
            raise Exhausted(f"the store has no {size_bytes} bytes left", what="space")

    # Snapshots, each of one life of its volume

    def snapshots_of(self, store: Store, volume: str) -> list[Snapshot]:
        row = store.volumes.get(volume)
        rows = super().snapshots_of(store, volume)
        return [one for one in rows if row and self.notes.origins.get(one.id) == row.id]

    def existing_snapshot(
        self, store: Store, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo | None:
        answer = super().existing_snapshot(store, request)
        volume = store.volumes.get(request.volume)
        if answer and (volume is None or self.notes.origins.get(answer.id) != volume.id):
            raise Conflict("the key is taken by a snapshot of what was here", object=request.key)
        return answer

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        answer = await super().create_snapshot(ctx, request)
        self.notes.origins[answer.id] = self.volume(self.store(), request.volume).id
        return answer

    def check_snapshot_limits(self, store: Store, volume: Volume) -> None:
        declared = self.declared.snapshot
        most = declared.snapshots_per_volume_max if declared else None
        if most is not None and len(self.snapshots_of(store, volume.key)) >= most:
            raise Exhausted(f"the volume has {most} snapshots already", what="snapshots")

    async def delete_snapshot(
        self, ctx: CallContext, request: requests.DeleteSnapshot
    ) -> answers.Gone:
        self.refuse_with_clones(self.store(), requests.SnapshotSource(request.key))
        return await super().delete_snapshot(ctx, request)

    def restore(self, volume: Volume, snapshot: Snapshot) -> None:
        store, declared = self.store(), self.declared.snapshot
        ages = [row.id for row in store.snapshots.values()]
        newer = tuple(
            row.key
            for row in self.snapshots_of(store, volume.key)
            if ages.index(row.id) > ages.index(snapshot.id)
        )
        if newer and declared is not None and not declared.revert_keeps_newer:
            raise InUse("newer snapshots live", object=volume.key, holders=newer)
        if self.notes.origins.get(snapshot.id) != volume.id:
            raise Invalid("the snapshot is of an earlier volume", object=snapshot.key)
        super().restore(volume, snapshot)

    # Deleting

    def refuse_with_clones(self, store: Store, source: requests.Source) -> None:
        """``InUse`` while clones live that were made of this, where that is declared."""
        clone = self.declared.clone
        holders = tuple(row.key for row in store.volumes.values() if row.source == source)
        if holders and clone is not None and clone.lifetime is Lifetime.BLOCKS_DELETE:
            key = getattr(source, "volume", "") or getattr(source, "snapshot", "")
            raise InUse("clones of it live", object=key, holders=holders)

    def refuse_with_snapshots(self, store: Store, key: str) -> None:
        declared = self.declared.snapshot
        if declared is not None and declared.lifetime is Lifetime.BLOCKS_DELETE:
            super().refuse_with_snapshots(store, key)
        self.refuse_with_clones(store, requests.VolumeSource(key))

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        store = self.store()
        if self.declared.volume.delete_in_use is DeleteInUse.CALLER_GUARDS:
            if request.key in store.volumes:
                self.refuse_with_snapshots(store, request.key)
            for row in self.grants_of(store, request.key):
                self.take_back(store, request.key, row.host)
        return await super().delete_volume(ctx, request)


class DeclaredDriver(DeclaredVolumes):
    """The rest of a driver's verbs: sizes, copies and limits of I/O."""

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        store, declared = self.store(), self.declared.resize
        volume = self.volume(store, request.key)
        size_bytes = self.rounded(request.size_bytes)
        changes = size_bytes > volume.content.size_bytes or (
            request.shrink and size_bytes < volume.content.size_bytes
        )
        if changes and declared is not None and not declared.online:
            self.refuse_in_use(store, request.key)
        return await super().resize_volume(ctx, request)

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        cut_bytes = volume.content.size_bytes - size_bytes
        if cut_bytes > 0:
            volume.content.discard(size_bytes, cut_bytes)
        super().set_size(volume, size_bytes)

    def volume_stats(self, volume: Volume) -> answers.StatsInfo:
        info = super().volume_stats(volume)
        return msgspec.structs.replace(info, used_bytes=min(info.used_bytes, info.total_bytes))

    def compatible(self, volume: Volume, request: requests.CreateVolume) -> bool:
        return volume.id not in self.notes.copies and super().compatible(volume, request)

    async def copy_volume(
        self, ctx: CallContext, request: requests.CopyVolume
    ) -> answers.VolumeInfo:
        store = self.allocating_store()
        store.fences.enter(Fenced.VOLUME, request.target, ctx.fence)
        source = self.volume(store, request.key)
        there = store.volumes.get(request.target)
        if there is not None:
            if there.id not in self.notes.copies or not there.content.same_as(source.content):
                raise Conflict("the key is taken by another volume", object=request.target)
            return self.info(there)
        self.check_volume_limits(store, source.content.size_bytes)
        identifier = runtime().new_id("vol")
        content = source.content.copy()
        store.volumes[request.target] = Volume(
            request.target, identifier, content, None, ctx.operation
        )
        self.notes.copies.add(identifier)
        return self.info(store.volumes[request.target])

    def info(self, volume: Volume) -> answers.VolumeInfo:
        qos = self.notes.limits.get(volume.id)
        return msgspec.structs.replace(super().info(volume), qos=qos)

    async def modify_volume(
        self, ctx: CallContext, request: requests.ModifyVolume
    ) -> answers.VolumeInfo:
        store = self.store()
        store.fences.enter(Fenced.VOLUME, request.key, ctx.fence)
        volume = self.volume(store, request.key)
        self.notes.limits[volume.id] = request.qos
        return self.info(volume)


class DeclaredImages(MemoryImageDriver):
    """Images as declared; the guard before every driver keeps nearly all of their limits."""

    declared: ImageCapabilities = IMAGE_CAPABILITIES

    @property
    def capabilities(self) -> ImageCapabilities:
        return self.declared


class DeclaredLifeCycle(MemoryLifeCycle):
    """As many hosts as are declared."""

    declared: PrimaryCapabilities = PRIMARY_CAPABILITIES

    def hosts_max(self) -> int | None:
        return self.declared.access.hosts_max if self.role is Role.PRIMARY else None


class DeclaredPrimary(MemoryProvider):
    """A primary store that is as ``declared``."""

    roles: ClassVar[tuple[Role, ...]] = (Role.PRIMARY,)
    declared: ClassVar[PrimaryCapabilities] = PRIMARY_CAPABILITIES
    layer: ClassVar[type[Layer] | None] = None
    backend_type = DeclaredBackend
    primary_type = DeclaredDriver
    life_cycle_type = DeclaredLifeCycle

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        async with super().primary(config) as driver:
            assert isinstance(driver, DeclaredDriver)
            driver.declared = self.declared
            yield driver if self.layer is None else LayeredPrimary(driver, self.layer())

    @asynccontextmanager
    async def life_cycle(self, config: msgspec.Struct, role: Role) -> AsyncIterator[LifeCycle]:
        async with super().life_cycle(config, role) as opened:
            assert isinstance(opened, DeclaredLifeCycle)
            opened.declared = self.declared
            yield opened if self.layer is None else LayeredLifeCycle(opened, self.layer())


class DeclaredImage(MemoryProvider):
    """An image store that is as ``declared``."""

    roles: ClassVar[tuple[Role, ...]] = (Role.IMAGE,)
    declared: ClassVar[ImageCapabilities] = IMAGE_CAPABILITIES
    layer: ClassVar[type[Layer] | None] = None
    image_type = DeclaredImages

    @asynccontextmanager
    async def image(self, config: msgspec.Struct) -> AsyncIterator[ImageDriver]:
        async with super().image(config) as driver:
            assert isinstance(driver, DeclaredImages)
            driver.declared = self.declared
            yield driver if self.layer is None else LayeredImage(driver, self.layer())
