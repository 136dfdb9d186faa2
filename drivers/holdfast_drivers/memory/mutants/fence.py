"""Defects of fences: late calls that act, and calls in time that are refused."""

from holdfast.contract import answers, requests
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class _Other(Fences):
    """Fences that a defect keeps or compares in another way."""


class _OwnersBitsAreLost(_Other):
    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        super().enter(kind, key, fence & 0xFFFFFFFF)


class _OneForAll(_Other):
    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        super().enter(kind, "", fence)


class _SnapshotsHaveNone(_Other):
    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        if kind is not Fenced.SNAPSHOT:
            super().enter(kind, key, fence)


class _StoresHaveNone(_Other):
    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        if kind is not Fenced.STORE:
            super().enter(kind, key, fence)


class _Parts(_Other):
    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        if kind is not Fenced.PART:
            super().enter(kind, key, fence)


class _FirstIsKept(_Other):
    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        self.compare(kind, key, fence)
        if (kind, key) not in self._kept:
            super().enter(kind, key, fence)


class _CountedInHundreds(_Other):
    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        super().enter(kind, key, fence // 100)


class _Kept(MemoryLifeCycle):
    """A store whose fences are of another kind."""

    fences: type[Fences] = Fences

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        answer = await super().initialize(ctx, request)
        store = self.found(self.backend())
        if type(store.fences) is not self.fences:
            store.fences = self.fences()
            store.fences.enter(Fenced.STORE, "", ctx.fence)
        return answer


class FencesForgetTheirOwner(_Kept):
    """Fences are kept in 32 bits, so that a call of an owner before may be the higher one."""

    fences = _OwnersBitsAreLost


class OneFenceForAllObjects(_Kept):
    """A store keeps one fence of each kind: two calls on two volumes refuse each other."""

    fences = _OneForAll


class SnapshotsAreNotFenced(_Kept):
    """A deletion of a snapshot that was given up takes the one that was made since."""

    fences = _SnapshotsHaveNone


class StoresAreNotFenced(_Kept):
    """Maintenance that was given up stops a store that serves again."""

    fences = _StoresHaveNone


class PartsAreNotFenced(_Kept):
    """A part that was given up replaces the one that was sent in its place."""

    fences = _Parts


class FirstFenceIsKept(_Kept):
    """What is compared is the fence of an object's first call, and not of its last."""

    fences = _FirstIsKept


class FencesCountHundreds(_Kept):
    """A fence is kept without its last digits, so that of two calls soon after each other both may
    come.
    """

    fences = _CountedInHundreds


class LateRevertIsCarriedOut(MemoryPrimaryDriver):
    """A revert that was given up undoes what was written since."""

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        return await super().revert_volume(_unfenced(ctx), request)


class LateGrantIsGiven(MemoryPrimaryDriver):
    """A grant that was given up is given after it was revoked."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        return await super().grant(_unfenced(ctx), request)


class LateDeletionIsCarriedOut(MemoryImageDriver):
    """A deletion that was given up takes the object that was stored since."""

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        return await super().delete(_unfenced(ctx), request)


def _unfenced(ctx: CallContext) -> CallContext:
    return CallContext(
        operation=ctx.operation, step=ctx.step, attempt=ctx.attempt, deadline=ctx.deadline
    )


MUTANTS = (
    planted("FEN-01", FencesForgetTheirOwner),
    planted("FEN-01", SnapshotsAreNotFenced),
    planted("FEN-01", StoresAreNotFenced),
    planted("FEN-01", PartsAreNotFenced),
    planted("FEN-01", LateRevertIsCarriedOut),
    planted("FEN-01", LateGrantIsGiven),
    planted("FEN-01", LateDeletionIsCarriedOut),
    planted("FEN-01", FirstFenceIsKept),
    planted("FEN-01", FencesCountHundreds),
    planted("FEN-02", OneFenceForAllObjects),
)
