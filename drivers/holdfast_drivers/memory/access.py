"""The primary driver's grants: who may use a volume, and the handle to use it through."""

from holdfast import infos, requests
from holdfast.capabilities import AccessMode
from holdfast.errors import Conflict, Denied, InUse, NotFound
from holdfast.handles import ExtentHandle, Handle
from holdfast.requests import CallContext
from holdfast.runtime import runtime
from holdfast_drivers.memory.backend import Granted, Store, volume_token
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.rows import PrimaryRows


class AccessVerbs(PrimaryRows):
    """Access verbs."""

    def grant_info(self, granted: Granted) -> infos.GrantInfo:
        """What is reported of a grant."""
        return infos.GrantInfo(
            id=granted.id, volume=granted.volume, host=granted.host, mode=granted.mode
        )

    def check_attached(self, store: Store, host: str) -> None:
        """``NotFound`` for a host that is not attached to the store."""
        if host not in store.hosts:
            raise NotFound("the host is not attached to the store; attach it first", object=host)

    def check_exclusive(self, others: list[Granted], request: requests.Grant) -> None:
        """``InUse`` where an exclusive grant and any other would live side by side."""
        blocking = [row.host for row in others if AccessMode.EXCLUSIVE in (row.mode, request.mode)]
        if blocking:
            raise InUse(
                f"{', '.join(blocking)} has the volume and it cannot be shared; revoke first",
                object=request.volume,
                holders=tuple(blocking),
            )

    async def grant(self, ctx: CallContext, request: requests.Grant) -> infos.GrantInfo:
        store = self.allocating_store()
        store.fences.enter(Fenced.VOLUME, request.volume, ctx.fence)
        volume = self.volume(store, request.volume)
        self.check_attached(store, request.host)
        found = store.grants.get((volume.key, request.host))
        if found is not None:
            return self.granted_again(store, found, request)
        self.check_exclusive(self.grants_of(store, volume.key), request)
        granted = Granted(
            runtime().new_id("grant"), volume.key, request.host, request.mode, ctx.operation
        )
        store.grants[volume.key, request.host] = granted
        return self.grant_info(granted)

    def granted_again(
        self, store: Store, granted: Granted, request: requests.Grant
    ) -> infos.GrantInfo:
        """The answer where the host has a grant: the same one, or ``Conflict``."""
        if granted.mode is not request.mode:
            raise Conflict(
                f"host {granted.host} has the volume as {granted.mode}; revoke first",
                object=request.volume,
            )
        return self.grant_info(granted)

    def take_back(self, store: Store, volume: str, host: str) -> None:
        """Take the grant's row out, and with it the handles opened under it; absent is fine."""
        store.grants.pop((volume, host), None)

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> infos.Gone:
        store = self.store()
        store.fences.enter(Fenced.VOLUME, request.volume, ctx.fence)
        self.take_back(store, request.volume, request.host)
        return infos.Gone(key=request.volume)

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        store = self.store()
        volume = self.volume(store, request.volume)
        granted = self.grant_to_open(store, request)
        return ExtentHandle(
            space=self.backend.name,
            token=volume_token(granted.id, volume.key),
            size_bytes=volume.content.size_bytes,
            read_only=granted.mode is AccessMode.READ_ONLY,
        )

    def grant_to_open(self, store: Store, request: requests.Open) -> Granted:
        """The host's grant, or ``Denied``."""
        granted = store.grants.get((request.volume, request.host))
        if granted is None:
            raise Denied(f"host {request.host} has no grant", object=request.volume)
        return granted
