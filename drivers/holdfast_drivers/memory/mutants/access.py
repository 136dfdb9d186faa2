"""Defects in grants and in the handles opened under them."""

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import InUse, NotFound
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Granted, Store
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class OneGrantOpensToEveryHost(MemoryPrimaryDriver):
    """Once a volume is granted to one host, every host can open it."""

    def grant_to_open(self, store: Store, request: requests.Open) -> Granted:
        others = self.grants_of(store, request.volume)
        return others[0] if others else super().grant_to_open(store, request)


class GrantGivesNothing(MemoryPrimaryDriver):
    """A grant is acknowledged and never made."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        answer = await super().grant(ctx, request)
        self.store().grants.pop((request.volume, request.host))
        return answer


class GrantsAreCounted(MemoryPrimaryDriver):
    """A grant made twice must be revoked twice (as cstor-csi pull request 108)."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._extra: dict[str, int] = {}

    def granted_again(
        self, store: Store, grant: Granted, request: requests.Grant
    ) -> answers.GrantInfo:
        answer = super().granted_again(store, grant, request)
        self._extra[grant.id] = self._extra.get(grant.id, 0) + 1
        return answer

    def take_back(self, store: Store, volume: str, host: str) -> None:
        grant = store.grants.get((volume, host))
        if grant is not None and self._extra.get(grant.id):
            self._extra[grant.id] -= 1
            return
        super().take_back(store, volume, host)


class GrantAgainMakesAnotherGrant(MemoryPrimaryDriver):
    """Granting again replaces the grant, and with it every handle opened under it."""

    def granted_again(
        self, store: Store, grant: Granted, request: requests.Grant
    ) -> answers.GrantInfo:
        super().granted_again(store, grant, request)
        grant.id = runtime().new_id("grant")
        return self.grant_info(grant)


class RevokeTakesAllHosts(MemoryPrimaryDriver):
    """Revoking one host's grant revokes every host's."""

    def take_back(self, store: Store, volume: str, host: str) -> None:
        for grant in self.grants_of(store, volume):
            super().take_back(store, volume, grant.host)


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
            for grant in others:
                self.take_back(self.store(), request.volume, grant.host)


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
        entry = super().grant_of(identifier)
        if entry is not None:
            self._known[identifier] = entry
        known = self._known.get(identifier)
        return known if known and known[1].volume in known[0].volumes else entry


class RevokeLeavesTheGrant(MemoryPrimaryDriver):
    """A revoke is acknowledged, and the grant stays (as democratic-csi#536)."""

    def take_back(self, store: Store, volume: str, host: str) -> None:
        """Take nothing back."""


class ReadOnlyIsAConvention(Backend):
    """A read-only grant lets a host write."""

    def writable(self, grant: Granted) -> bool:
        return True


class ReadOnlyBecomesShared(MemoryPrimaryDriver):
    """A read-only grant is stored as one that may write."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        answer = await super().grant(ctx, request)
        if request.mode is AccessMode.READ_ONLY:
            grant = self.store().grants[request.volume, request.host]
            grant.mode = AccessMode.SHARED
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
