"""Blind defects of an image store as a whole: figures, addresses, fences."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind, StoreState
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Store, StoredObject, Upload
from holdfast_drivers.memory.blind_mutants.uploads import beside
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind

KIB: Final = 1024


class EnumerateSkipsEmptyUploads(MemoryImageDriver):
    """Enumerate finds uploads by their parts, so an open upload without a part yet is not told and
    stays for ever where its caller died (C2 4).
    """

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        async for thing in super().enumerate(ctx, request):
            if thing.kind is not OwnedKind.UPLOAD or thing.size_bytes:
                yield thing


class EnumerateBreaksWhereObjectsChange(MemoryImageDriver):
    """Enumerate goes through the live table, so it ends in a ``RuntimeError`` where an object comes
    or goes while it is read, as by a scrub that deletes what it finds.
    """

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        store = self.backend.stores.get((self.role, self.namespace))
        before = len(store.objects) if store else 0
        async for thing in super().enumerate(ctx, request):
            yield thing
            if store is not None and len(store.objects) != before:
                raise RuntimeError("dictionary changed size during iteration")


class UsedKeepsReplacedBytes(MemoryImageDriver):
    """The figure of used bytes is counted up at each complete and down at each delete, so the bytes
    of a replaced object stay in it for ever (C2 43).
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        replaced = store.objects.get(stored.key)
        if replaced is not None:
            lost = beside(self.backend, "lost")
            lost[store.id] = lost.get(store.id, 0) + len(replaced.data)
        super().publish(store, upload, stored)

    def used_bytes(self, store: Store) -> int:
        lost: int = beside(self.backend, "lost").get(store.id, 0)
        return super().used_bytes(store) + lost


class DriverKeepsDeletedStore(MemoryImageDriver):
    """A driver looks its store up once, so after the store was deleted and initialized again it
    goes on in the old one, and what it acknowledges there nobody else ever sees.
    """

    _found: Store | None = None

    def store(self) -> Store:
        self.backend.reach()
        if self._found is None:
            self._found = super().store()
        self.expected.check(self._found.info())
        return self._found


class ProbeOfCompleteTrustsSize(MemoryImageDriver):
    """The probe of a complete that never came says done, with the older object as the answer, where
    the key holds an object of the same size.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if isinstance(request, requests.CompleteUpload) and isinstance(result, answers.Absent):
            store = self.store()
            upload = store.uploads.get(request.upload)
            there = store.objects.get(upload.key) if upload else None
            if there is not None and len(there.data) == request.size_bytes:
                return answers.Done(answer=self.info(there))
        return result


class RepeatedInitializeEndsMaintenance(MemoryLifeCycle):
    """Initialize, repeated with the same name and identity, writes the store's record anew and so
    takes a store out of maintenance.
    """

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        super().existing(store, request)
        self.set_state(store, StoreState.UP)
        return self.info(store)


class AddressLifeRoundedDown(MemoryImageDriver):
    """The life of a temporary address is cut to whole seconds, so one of 1.9 s ends after 1 s, and
    one of less than a second never works.
    """

    def address(self, key: str, expires_s: float) -> str:
        return super().address(key, float(int(expires_s)))


class AddressOfPercentKeyGivesAnother(Backend):
    """A percent sign in a key is not quoted in its address, so the address of ``a%20b`` gives the
    object ``a b``.
    """

    def address_path(self, namespace: str, key: str) -> str:
        return f"/{quote(namespace, safe='')}/{quote(key, safe='%')}"


class FencesKeptPerDriver(MemoryImageDriver):
    """The fences are kept in the driver and not in the backend, so a late delete that comes by
    another driver, or after a reopening, removes what a later call made.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._fences = Fences()

    def store(self) -> Store:
        return dataclasses.replace(super().store(), fences=self._fences)


class _EightFences(Fences):
    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        super().enter(kind, key, fence)
        while len(self._kept) > 8:
            del self._kept[next(iter(self._kept))]


class FencesForgottenAfterEightNames(MemoryImageDriver):
    """The backend keeps the fences of the last eight names, and takes one it has forgotten for one
    never fenced, so after work on others a late delete removes a newer object.
    """

    def store(self) -> Store:
        store = super().store()
        if not isinstance(store.fences, _EightFences):
            store.fences = _EightFences()
        return store


MUTANTS = (
    blind(EnumerateSkipsEmptyUploads, loses_data=False),
    blind(EnumerateBreaksWhereObjectsChange, loses_data=False),
    blind(UsedKeepsReplacedBytes, loses_data=False),
    blind(DriverKeepsDeletedStore, loses_data=True),
    blind(ProbeOfCompleteTrustsSize, loses_data=False),
    blind(RepeatedInitializeEndsMaintenance, loses_data=False),
    blind(AddressLifeRoundedDown, loses_data=False),
    blind(AddressOfPercentKeyGivesAnother, loses_data=False),
    blind(FencesKeptPerDriver, loses_data=True),
    blind(FencesForgottenAfterEightNames, loses_data=True),
)
