"""Defects in grants and in the handles opened under them."""

from holdfast import infos, requests
from holdfast.capabilities import AccessMode
from holdfast.errors import InUse, NotFound
from holdfast.requests import CallContext
from holdfast.runtime import runtime
from holdfast_drivers.memory.backend import Backend, Granted, Store
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary import MemoryPrimaryDriver


class OneGrantOpensToEveryHost(MemoryPrimaryDriver):
    """Once a volume is granted to one host, every host can open it."""

    def grant_to_open(self, store: Store, request: requests.Open) -> Granted:
        others = self.grants_of(store, request.volume)
        return others[0] if others else super().grant_to_open(store, request)


class GrantGivesNothing(MemoryPrimaryDriver):
    """A grant is acknowledged and never made."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> infos.GrantInfo:
        answer = await super().grant(ctx, request)
        self.store().grants.pop((request.volume, request.host))
        return answer


class GrantsAreCounted(MemoryPrimaryDriver):
    """A grant made twice must be revoked twice (as cstor-csi pull request 108)."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._extra: dict[str, int] = {}

    def granted_again(
        self, store: Store, granted: Granted, request: requests.Grant
    ) -> infos.GrantInfo:
        answer = super().granted_again(store, granted, request)
        self._extra[granted.id] = self._extra.get(granted.id, 0) + 1
        return answer

    def take_back(self, store: Store, volume: str, host: str) -> None:
        found = store.grants.get((volume, host))
        if found is not None and self._extra.get(found.id):
            self._extra[found.id] -= 1
            return
        super().take_back(store, volume, host)


class GrantAgainMakesAnotherGrant(MemoryPrimaryDriver):
    """Granting again replaces the grant, and with it every handle opened under it."""

    def granted_again(
        self, store: Store, granted: Granted, request: requests.Grant
    ) -> infos.GrantInfo:
        super().granted_again(store, granted, request)
        granted.id = runtime().new_id("grant")
        return self.grant_info(granted)


class RevokeTakesAllHosts(MemoryPrimaryDriver):
    """Revoking one host's grant revokes every host's."""

    def take_back(self, store: Store, volume: str, host: str) -> None:
        for granted in self.grants_of(store, volume):
            super().take_back(store, volume, granted.host)


class RevokeOfAbsentFails(MemoryPrimaryDriver):
    """Revoking what was not granted fails (as hpe-storage/common-host-libs#198)."""

    def take_back(self, store: Store, volume: str, host: str) -> None:
        if (volume, host) not in store.grants:
            raise NotFound(f"host {host} has no grant", object=volume)
        super().take_back(store, volume, host)


class ExclusiveIsNotEnforced(MemoryPrimaryDriver):
    """Two hosts get an exclusive grant of one volume (as rook/rook#3298)."""

    def check_exclusive(self, others: list[Granted], request: requests.Grant) -> None:
        """Let everybody in."""


class ExclusiveStealsTheVolume(MemoryPrimaryDriver):
    """An exclusive grant ends the one that another host has (as democratic-csi#307)."""

    def check_exclusive(self, others: list[Granted], request: requests.Grant) -> None:
        try:
            super().check_exclusive(others, request)
        except InUse:
            for granted in others:
                self.take_back(self.store(), request.volume, granted.host)


class OnlyExclusiveExcludes(MemoryPrimaryDriver):
    """A shared grant joins an exclusive one: only a new exclusive grant looks at the others."""

    def check_exclusive(self, others: list[Granted], request: requests.Grant) -> None:
        if request.mode is AccessMode.EXCLUSIVE:
            super().check_exclusive(others, request)


class HandleSurvivesRevoke(Backend):
    """A handle opened before the grant was revoked keeps working (as tns-csi#209)."""

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self._known: dict[str, tuple[Store, Granted]] = {}

    def grant_of(self, identifier: str) -> tuple[Store, Granted] | None:
        found = super().grant_of(identifier)
        if found is not None:
            self._known[identifier] = found
        known = self._known.get(identifier)
        return known if known and known[1].volume in known[0].volumes else found


class RevokeLeavesTheGrant(MemoryPrimaryDriver):
    """A revoke is acknowledged, and the grant stays (as democratic-csi#536)."""

    def take_back(self, store: Store, volume: str, host: str) -> None:
        """Take nothing back."""


class ReadOnlyIsAConvention(Backend):
    """A read-only grant lets a host write."""

    def writable(self, granted: Granted) -> bool:
        return True


class ReadOnlyBecomesShared(MemoryPrimaryDriver):
    """A read-only grant is stored as one that may write."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> infos.GrantInfo:
        answer = await super().grant(ctx, request)
        if request.mode is AccessMode.READ_ONLY:
            granted = self.store().grants[request.volume, request.host]
            granted.mode = AccessMode.SHARED
        return answer


class GrantsToUnknownHosts(MemoryPrimaryDriver):
    """A host that is not attached to the store gets a grant."""

    def check_attached(self, store: Store, host: str) -> None:
        """Take every host."""


class GrantAttachesTheHost(MemoryPrimaryDriver):
    """A grant to a host that is not attached is refused, and the host is attached all the same."""

    def check_attached(self, store: Store, host: str) -> None:
        try:
            super().check_attached(store, host)
        except NotFound:
            store.hosts.add(host)
            raise


MUTANTS = (
    planted("ACC-01", OneGrantOpensToEveryHost),
    planted("ACC-01", GrantGivesNothing),
    planted("ACC-02", GrantsAreCounted),
    planted("ACC-02", GrantAgainMakesAnotherGrant),
    planted("ACC-03", RevokeTakesAllHosts),
    planted("ACC-03", RevokeOfAbsentFails),
    planted("ACC-04", ExclusiveIsNotEnforced),
    planted("ACC-04", ExclusiveStealsTheVolume),
    planted("ACC-04", OnlyExclusiveExcludes),
    planted("ACC-06", HandleSurvivesRevoke),
    planted("ACC-06", RevokeLeavesTheGrant),
    planted("ACC-08", ReadOnlyIsAConvention),
    planted("ACC-08", ReadOnlyBecomesShared),
    planted("ACC-11", GrantsToUnknownHosts),
    planted("ACC-11", GrantAttachesTheHost),
)
