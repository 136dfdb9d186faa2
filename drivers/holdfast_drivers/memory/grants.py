"""The primary driver's grants: who may use a volume, and the handle to use it through."""

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import Conflict, Denied, InUse, NotFound
from holdfast.contract.handles import ExtentHandle, Handle
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Granted, Store, volume_token
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.volume_rows import PrimaryRows


class AccessVerbs(PrimaryRows):
    """Access verbs."""

    def grant_info(self, grant: Granted) -> answers.GrantInfo:
        """What is reported of a grant."""
        return answers.GrantInfo(id=grant.id, volume=grant.volume, host=grant.host, mode=grant.mode)

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

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        store = self.allocating_store()
        store.fences.enter(Fenced.VOLUME, request.volume, ctx.fence)
        volume = self.volume(store, request.volume)
        self.check_attached(store, request.host)
        grant = store.grants.get((volume.key, request.host))
        if grant is not None:
            return self.granted_again(store, grant, request)
        self.check_exclusive(self.grants_of(store, volume.key), request)
        grant = Granted(
            runtime().new_id("grant"), volume.key, request.host, request.mode, ctx.operation
        )
        store.grants[volume.key, request.host] = grant
        return self.grant_info(grant)

    def granted_again(
        self, store: Store, grant: Granted, request: requests.Grant
    ) -> answers.GrantInfo:
        """The answer where the host has a grant: the same one, or ``Conflict``."""
        if grant.mode is not request.mode:
            raise Conflict(
                f"host {grant.host} has the volume as {grant.mode}; revoke first",
                object=request.volume,
            )
        return self.grant_info(grant)

    def take_back(self, store: Store, volume: str, host: str) -> None:
        """Take the grant's row out, and with it the handles opened under it; absent is fine."""
        store.grants.pop((volume, host), None)

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> answers.Gone:
        store = self.store()
        store.fences.enter(Fenced.VOLUME, request.volume, ctx.fence)
        self.take_back(store, request.volume, request.host)
        return answers.Gone(key=request.volume)

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        store = self.store()
        volume = self.volume(store, request.volume)
        grant = self.grant_to_open(store, request)
        return ExtentHandle(
            space=self.backend.name,
            token=volume_token(grant.id, volume.key),
            size_bytes=volume.content.size_bytes,
            read_only=grant.mode is AccessMode.READ_ONLY,
        )

    def grant_to_open(self, store: Store, request: requests.Open) -> Granted:
        """The host's grant, or ``Denied``."""
        grant = store.grants.get((request.volume, request.host))
        if grant is None:
            raise Denied(f"host {request.host} has no grant", object=request.volume)
        return grant
