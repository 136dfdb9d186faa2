"""Blind defects of the ninth round: bytes behind handles."""

from collections.abc import AsyncIterator
from typing import Any

from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import InUse
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES
from holdfast_drivers.memory.backend import (
    Backend,
    Granted,
    Store,
)
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

Blocks = dict[int, bytes]


def shelf(backend: Backend, name: str) -> dict[Any, Any]:
    """What the defective array keeps under a name in its own metadata."""
    kept: dict[Any, Any] = vars(backend).setdefault(f"shelf of {name}", {})
    return kept


def kept_fences(store: Store) -> dict[tuple[Fenced, str], int]:
    """The table of a store's highest fences."""
    kept: dict[tuple[Fenced, str], int] = vars(store.fences)["_kept"]
    return kept


def blocks_before(blocks: Blocks, size_bytes: int) -> Blocks:
    """The blocks that begin before a size."""
    return {n: data for n, data in blocks.items() if n * BLOCK_BYTES < size_bytes}


class RefusedExclusiveDemotesHolder(MemoryPrimaryDriver):
    """To get an exclusive grant the others are made read-only first, which no refusal undoes.

    After one host was refused an exclusive grant, the host that shares the volume cannot write.
    """

    def check_exclusive(self, others: list[Granted], request: requests.Grant) -> None:
        try:
            super().check_exclusive(others, request)
        except InUse:
            for row in others:
                if row.mode is AccessMode.SHARED:
                    row.mode = AccessMode.READ_ONLY
            raise


class FenceForgottenWithVolume(MemoryPrimaryDriver):
    """A volume's highest fence is a field of its row and is deleted with it.

    A creation that was overtaken by the delete brings the deleted volume's key back.
    """

    def remove_volume(self, store: Store, key: str) -> None:
        super().remove_volume(store, key)
        kept_fences(store).pop((Fenced.VOLUME, key), None)


class VolumesExpectationCheckedOnceInRoundNine(MemoryPrimaryDriver):
    """The store's identity is compared at the first call and taken for granted afterwards.

    When another store is put in the place, an opened driver works on, and deletes, its volumes.
    """

    _recognized = False

    def store(self) -> Store:
        there = self.backend.stores.get((self.role, self.namespace))
        if self._recognized and there is not None:
            self.backend.reach()
            return there
        found = super().store()
        self._recognized = bool(self.expected.identities)
        return found


class HealthTrustsName(MemoryPrimaryDriver):
    """Health recognizes its store by the name it was given, not by its identity.

    It is up where another store of the same name has taken the place.
    """

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        info = await super().health(ctx, request)
        there = self.backend.stores.get((self.role, self.namespace))
        if not self.backend.down and there and there.name == self.expected.name:
            return answers.HealthInfo(state=answers.HealthState.UP)
        return info


class ProbeRevertTrustsSize(MemoryPrimaryDriver):
    """The probe of a revert compares sizes only, which are equal in most cases.

    A lost revert that never happened is told to be done, and the old bytes stay.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if not isinstance(request, requests.RevertVolume) or self.backend.down:
            return result
        volume = self.store().volumes.get(request.key)
        snapshot = self.store().snapshots.get(request.snapshot)
        if volume and snapshot and volume.content.size_bytes == snapshot.content.size_bytes:
            return answers.Done(answer=self.info(volume))
        return result


class EnumerationByPositionInRoundNine(MemoryPrimaryDriver):
    """The enumeration remembers how many things it has told, and goes on at that position.

    When an earlier thing is deleted meanwhile, one that lasts is left out.
    """

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        position = 0
        while position < len(things := list(self.owned())):
            yield things[position]
            position += 1


class CancelRestoresMaintenanceCheckpoint(MemoryLifeCycle):
    """Maintenance begins with a checkpoint of all tables, and its end loads the checkpoint.

    What hosts with existing grants wrote and flushed during the maintenance is lost.
    """

    def set_state(self, store: Store, state: StoreState) -> None:
        checkpoints = shelf(self.backend(), "checkpoints")
        if state is StoreState.MAINTENANCE and store.id not in checkpoints:
            tables = {row.id: row.content.copy() for row in store.volumes.values()}
            checkpoints[store.id] = tables
        if state is StoreState.UP:
            self._load(store, checkpoints.pop(store.id, {}))
        super().set_state(store, state)

    def _load(self, store: Store, tables: dict[str, Content]) -> None:
        for row in store.volumes.values():
            saved = tables.get(row.id)
            if saved and saved.size_bytes == row.content.size_bytes:
                row.content.blocks = saved.blocks


class AdoptionConvertsUsedBytesOnly(MemoryLifeCycle):
    """Adoption converts each volume's table to a new format, up to its used bytes, not its size.

    A sparse volume loses what lies further from its start than it has bytes in use.
    """

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> answers.StoreInfo:
        old_format = not self.found(self.backend()).identity
        info = await super().adopt(ctx, request)
        store = self.found(self.backend())
        for row in store.volumes.values() if old_format else ():
            row.content.blocks = blocks_before(row.content.blocks, row.content.used_bytes)
        return info


MUTANTS = (
    blind(RefusedExclusiveDemotesHolder, loses_data=False),
    blind(FenceForgottenWithVolume, loses_data=False),
    blind(VolumesExpectationCheckedOnceInRoundNine, loses_data=True),
    blind(HealthTrustsName, loses_data=False),
    blind(ProbeRevertTrustsSize, loses_data=False),
    blind(EnumerationByPositionInRoundNine, loses_data=False),
    blind(CancelRestoresMaintenanceCheckpoint, loses_data=True),
    blind(AdoptionConvertsUsedBytesOnly, loses_data=True),
)
