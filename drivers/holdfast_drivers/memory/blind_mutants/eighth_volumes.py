"""Blind defects of the eighth round: fences, grants, lists and life cycle of volumes."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import CallContext, Role
from holdfast.data import BLOCK_BYTES
from holdfast_drivers.listing import name_in_token, page_token
from holdfast_drivers.memory.backend import (
    Backend,
    Granted,
    Store,
    Volume,
)
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class ProbeKeepsNoFenceInRoundEight(MemoryPrimaryDriver):
    """``probe`` does not keep the fence it is called with: a call that was probed, found absent and
    arrives late is carried out, such as a revert over newer writes.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        return await super().probe(msgspec.structs.replace(ctx, fence=0), verb, request)


class FencesOfOneProcessInRoundEight(MemoryPrimaryDriver):
    """Fences are kept in the driver and not in the store: after a restart, or through another
    driver, a late call such as a revert or a shrink destroys what was written since.
    """

    def store(self) -> Store:
        store = super().store()
        if not hasattr(self, "own_fences"):
            self.own_fences: dict[str, Fences] = {}
        return replace(store, fences=self.own_fences.setdefault(store.id, Fences()))


class FenceGoneWithVolume(MemoryPrimaryDriver):
    """A volume's fence is kept in its row and deleted with it: a creation that arrives after the
    later deletion is not refused, and makes a volume that nobody knows.
    """

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        gone = await super().delete_volume(ctx, request)
        vars(self.store().fences)["_kept"].pop((Fenced.VOLUME, request.key), None)
        return gone


class RevertProbedBySize(MemoryPrimaryDriver):
    """The probe of a revert compares the sizes of volume and snapshot alone: it is ``Done`` though
    the volume still has its newer bytes.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if not isinstance(request, requests.RevertVolume) or self.backend.down:
            return result
        store = self.store()
        volume, snapshot = store.volumes.get(request.key), store.snapshots.get(request.snapshot)
        if volume is None or snapshot is None:
            return result
        same = volume.content.size_bytes == snapshot.content.size_bytes
        return answers.Done(answer=self.info(volume)) if same else result


class ExclusiveBesideReaders(MemoryPrimaryDriver):
    """Read-only grants do not count when an exclusive one is asked for: it is given while another
    host reads the volume, where it must be ``InUse``.
    """

    def check_exclusive(self, others: list[Granted], request: requests.Grant) -> None:
        writers = [row for row in others if row.mode is not AccessMode.READ_ONLY]
        readers = [row for row in others if row.mode is AccessMode.READ_ONLY]
        super().check_exclusive(writers, request)
        if request.mode is not AccessMode.EXCLUSIVE:
            super().check_exclusive(readers, request)


class ListedInUtf16OrderInRoundEight(MemoryPrimaryDriver):
    """Volumes are listed in the order of UTF-16: a key with a character beyond U+FFFF comes before
    one with U+E000 to U+FFFF, which is not the order of bytes.
    """

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        names = sorted(rows, key=_utf16)
        if token:
            after = _utf16(name_in_token(scope, token))
            names = [name for name in names if _utf16(name) > after]
        more = len(names) > limit
        return names[:limit], page_token(scope, names[limit - 1]) if more else ""


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")


class EnumeratedByPosition(MemoryPrimaryDriver):
    """``enumerate`` goes on at a position and not after a name: where an earlier thing is deleted
    meanwhile, the next one is left out though it lasts all the time.
    """

    def owned(self) -> Iterator[answers.OwnedThing]:
        position = 0
        while True:
            things = list(super().owned())
            if position >= len(things):
                return
            yield things[position]
            position += 1


class SharedBlocksAreNotUsed(MemoryPrimaryDriver):
    """A volume's used bytes leave out what it shares with its snapshots: right after a snapshot
    they are 0, though what was flushed to the volume is in use.
    """

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        info = await super().stats(ctx, request)
        if not request.volume:
            return info
        store = self.store()
        volume = self.volume(store, request.volume)
        shared = 0
        for number, data in volume.content.blocks.items():
            rows = self.snapshots_of(store, volume.key)
            shared += any(row.content.blocks.get(number) is data for row in rows)
        used_bytes = info.used_bytes - shared * BLOCK_BYTES
        return msgspec.structs.replace(info, used_bytes=used_bytes)


class StoresDeletedByPrefix(MemoryLifeCycle):
    """Deleting a store removes everything whose namespace begins with its own: another store of
    such a name is gone with all its volumes.
    """

    def remove(self, backend: Backend) -> None:
        for role, namespace in list(backend.stores):
            if role is self.role and namespace.startswith(self.config.namespace):
                del backend.stores[role, namespace]


class AttachEndsMaintenanceInRoundEight(MemoryLifeCycle):
    """Attaching one more host exports the store anew and puts it into service: a store in
    maintenance allows allocation again, though nobody cancelled it.
    """

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        store = self.store(self.backend())
        is_new = request.host not in store.hosts
        info = await super().attach(ctx, request)
        if is_new and self.role is Role.PRIMARY:
            self.set_state(store, StoreState.UP)
            return self.info(store)
        return info


MUTANTS = (
    blind(ProbeKeepsNoFenceInRoundEight, loses_data=True),
    blind(FencesOfOneProcessInRoundEight, loses_data=True),
    blind(FenceGoneWithVolume, loses_data=False),
    blind(RevertProbedBySize, loses_data=False),
    blind(ExclusiveBesideReaders, loses_data=False),
    blind(ListedInUtf16OrderInRoundEight, loses_data=False),
    blind(EnumeratedByPosition, loses_data=False),
    blind(SharedBlocksAreNotUsed, loses_data=False),
    blind(StoresDeletedByPrefix, loses_data=True),
    blind(AttachEndsMaintenanceInRoundEight, loses_data=False),
)
