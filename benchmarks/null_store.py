"""A primary store that does nothing, at once: what is left of an operation's cost is Holdfast's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import (
    AccessCapabilities,
    PrimaryCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.errors import Unsupported
from holdfast.contract.handles import Handle
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext
from holdfast.layers.guard import guard_primary
from holdfast.model.rows import Store

_CAPABILITIES = PrimaryCapabilities(
    volume=VolumeCapabilities(size_min_bytes=0, size_max_bytes=1 << 50, size_granularity_bytes=1),
    access=AccessCapabilities(),
)


class NullDriver(PrimaryDriver):
    """Answers every verb with success."""

    @property
    def capabilities(self) -> PrimaryCapabilities:
        return _CAPABILITIES

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        return answers.StatsInfo(total_bytes=1 << 60, used_bytes=0, allocated_bytes=0, objects=0)

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        return answers.HealthInfo(state=answers.HealthState.UP)

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        return answers.Absent()

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        nothing: tuple[answers.OwnedThing, ...] = ()
        for thing in nothing:
            yield thing

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> answers.PoolList:
        return answers.PoolList(items=())

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        return answers.VolumeInfo(key=request.key, id=request.key, size_bytes=request.size_bytes)

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> answers.VolumeInfo:
        return answers.VolumeInfo(key=request.key, id=request.key, size_bytes=0)

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> answers.VolumePage:
        return answers.VolumePage(items=())

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        return answers.Gone(key=request.key)

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        return answers.GrantInfo(
            id=request.volume, volume=request.volume, host=request.host, mode=request.mode
        )

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> answers.Gone:
        return answers.Gone(key=request.volume)

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        raise Unsupported("there are no bytes behind a null store", object=request.volume)


class KeepingDriver(NullDriver):
    """A null store that shows the volumes it was asked for."""

    def __init__(self, volumes: dict[str, int]) -> None:
        self._volumes = volumes

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        self._volumes[request.key] = request.size_bytes
        return await super().create_volume(ctx, request)

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        for key, size_bytes in self._volumes.items():
            yield answers.OwnedThing(
                kind=answers.OwnedKind.VOLUME, id=key, key=key, size_bytes=size_bytes
            )


class NullLifeCycle(LifeCycle):
    """A store that is always what was asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _info(self, state: answers.StoreState = answers.StoreState.UP) -> answers.StoreInfo:
        return answers.StoreInfo(id=self._name, name=self._name, state=state, hosts=("host-1",))

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        return self._info()

    async def get(self, ctx: CallContext) -> answers.StoreInfo:
        return self._info()

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        return self._info()

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> answers.StoreInfo:
        return self._info()

    async def maintain(
        self, ctx: CallContext, request: requests.MaintainStore
    ) -> answers.StoreInfo:
        return self._info(answers.StoreState.MAINTENANCE)

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> answers.StoreInfo:
        return self._info()

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> answers.Gone:
        return answers.Gone(key=self._name)


class NullOpener:
    """Opens every primary store as a null store; ``keeping`` as one that shows its volumes."""

    def __init__(self, *, keeping: bool = False) -> None:
        self._keeping = keeping
        self.volumes: dict[str, int] = {}

    @asynccontextmanager
    async def primary(self, store: Store) -> AsyncIterator[PrimaryDriver]:
        yield guard_primary(KeepingDriver(self.volumes) if self._keeping else NullDriver())

    @asynccontextmanager
    async def image(self, store: Store) -> AsyncIterator[ImageDriver]:
        raise Unsupported("a null store holds no objects", object=store.name)
        yield  # the type of the manager needs it

    @asynccontextmanager
    async def life_cycle(self, store: Store) -> AsyncIterator[LifeCycle]:
        yield NullLifeCycle(store.name)
