"""Blind defects of the ninth round: copies, lists, probes and life cycle of image stores."""

import re
from dataclasses import replace
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.errors import InUse
from holdfast.contract.requests import CallContext
from holdfast_drivers.listing import name_in_token, page_token
from holdfast_drivers.memory.backend import (
    Backend,
    Store,
    StoredObject,
)
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind

_BLOCK_BYTES: Final = 4096


_LOW_BITS: Final = 0xFFFF_FFFF


_TOKEN_NAME_MAX: Final = 64


_LAST_CHARACTER: Final = "\U0010ffff"


class DeleteSweepsUploadsUnderway(MemoryImageDriver):
    """Deleting an object removes everything kept for its key, open uploads to it included.

    An upload that is to replace the object loses its acknowledged parts.
    """

    def remove(self, store: Store, key: str) -> None:
        super().remove(store, key)
        for upload in [row for row in store.uploads.values() if row.key == key]:
            del store.uploads[upload.upload]


class GrandchildCopyOnLoan(MemoryImageDriver):
    """A copy of an uploaded object owns its bytes, but a copy of a copy borrows those of the copy.

    When the copy in the middle is deleted, the bytes of the copies made from it are lost.
    """

    _loans: ClassVar[WeakKeyDictionary[Backend, dict[str, list[StoredObject]]]] = (
        WeakKeyDictionary()
    )

    def duplicate(self, source: StoredObject, target: str, operation: str) -> StoredObject:
        row = super().duplicate(source, target, operation)
        if not source.upload:
            loans = self._loans.setdefault(self.backend, {})
            loans.setdefault(source.id, []).append(row)
        return row

    def remove(self, store: Store, key: str) -> None:
        row = store.objects.get(self.row_key(key))
        super().remove(store, key)
        if row is not None:
            for borrower in self._loans.setdefault(self.backend, {}).pop(row.id, ()):
                borrower.data = b""


class TargetJudgedByFirstBlock(MemoryImageDriver):
    """Whether a copy's target is there already is told from its size and its first 4 KiB.

    A target that differs only later is answered as the copy, and keeps other bytes.
    """

    def alike(self, source: StoredObject, there: StoredObject) -> bool:
        same_properties = (source.kind, source.content_type, len(source.data)) == (
            there.kind,
            there.content_type,
            len(there.data),
        )
        return same_properties and source.data[:_BLOCK_BYTES] == there.data[:_BLOCK_BYTES]


class MissingSourceCopyRemovesTarget(MemoryImageDriver):
    """A copy makes room under the target's key before it finds out that there is no source.

    It is refused as ``NotFound``, and the object under the target's key is gone.
    """

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        store = self.allocating_store()
        store.fences.enter(Fenced.OBJECT, request.target, ctx.fence)
        store.fences.compare(Fenced.OBJECT, request.key, ctx.fence)
        if self.row_key(request.key) not in store.objects:
            store.objects.pop(self.row_key(request.target), None)
        return await super().copy(ctx, request)


class CopyPosesAsTheUpload(MemoryImageDriver):
    """A copy carries all the source's internal metadata, the key of its upload included.

    A completion that is repeated after a copy answers with the copy and not with its own object.
    """

    def duplicate(self, source: StoredObject, target: str, operation: str) -> StoredObject:
        return replace(super().duplicate(source, target, operation), upload=source.upload)


class LongNameTokenCut(MemoryImageDriver):
    """A page token holds 64 characters of the last name, and the next page starts past them all.

    Where longer keys begin alike, pages skip those that come after a page's end.
    """

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        page = await super().list(ctx, request)
        if not page.token:
            return page
        scope = f"{self.store().id} objects {request.prefix!r} {request.delimiter!r}"
        name = name_in_token(scope, page.token)
        if len(name) > _TOKEN_NAME_MAX:
            name = name[:_TOKEN_NAME_MAX] + _LAST_CHARACTER
        return msgspec.structs.replace(page, token=page_token(scope, name))


class PrefixIsALikePatternInRoundNine(MemoryImageDriver):
    """The prefix goes into a SQL ``LIKE`` without escaping, so that ``_`` is any character.

    A list of ``a_`` has ``ab`` too.
    """

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        escaped = ("." if char == "_" else re.escape(char) for char in request.prefix)
        pattern = re.compile("".join(escaped), re.DOTALL)
        keys = (row.key for row in store.objects.values())
        return sorted(dict(self.folded(key, request) for key in keys if pattern.match(key)).items())


class ProbeFindsCompletionByDigest(MemoryImageDriver):
    """The probe of a completion looks for the digest among all objects.

    One that never happened is told as done where an object under another key has its bytes.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if not isinstance(request, requests.CompleteUpload) or result != answers.Absent():
            return result
        for row in self.store().objects.values():
            if row.sha256 == request.sha256:
                return answers.Done(answer=self.info(row))
        return result


class ExpectationCheckedOnceInRoundNine(MemoryImageDriver):
    """Whether the place is the store that is meant is checked at the first call only.

    Once the place has become another store, its objects are read, replaced and deleted.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._recognized = False

    def store(self) -> Store:
        there = self.backend.stores.get((self.role, self.namespace))
        if self._recognized and there is not None:
            self.backend.reach()
            return there
        store = super().store()
        self._recognized = True
        return store


class RestartSweepsOpenUploads(MemoryLifeCycle):
    """To initialize a place that is this very store already clears what looks unfinished in it.

    Open uploads and their acknowledged parts are gone after a repeated ``initialize``.
    """

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        info = super().existing(store, request)
        store.uploads.clear()
        return info


class RefusedDeletionAbortsUploads(MemoryLifeCycle):
    """Deleting a store aborts its uploads before it finds objects that hold it.

    It is refused as ``InUse``, and the open uploads with their acknowledged parts are gone.
    """

    def holders(self, store: Store) -> tuple[str, ...]:
        holders = super().holders(store)
        if store.objects:
            store.uploads.clear()
        return holders


class RefusedDeletionLeavesMaintenance(MemoryLifeCycle):
    """Deleting a store stops its allocation first, and a refusal does not resume it.

    After an ``InUse`` the store is in maintenance, and new uploads are refused.
    """

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> answers.Gone:
        try:
            return await super().delete_store(ctx, request)
        except InUse:
            self.set_state(self.store(self.backend()), StoreState.MAINTENANCE)
            raise


class AdoptionEndsMaintenance(MemoryLifeCycle):
    """To adopt a store writes its record anew, with the state that a new store has.

    A store that was in maintenance takes uploads again once it was adopted.
    """

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> answers.StoreInfo:
        had_identity = bool(self.found(self.backend()).identity)
        answer = await super().adopt(ctx, request)
        if had_identity:
            return answer
        store = self.found(self.backend())
        self.set_state(store, StoreState.UP)
        return self.info(store)


class LowWordFences(Fences):
    """Fences of 32 bits."""

    def compare(self, kind: Fenced, key: str, fence: int) -> None:
        """Compare the lower bits."""
        super().compare(kind, key, fence & _LOW_BITS)

    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        """Keep the lower bits."""
        super().enter(kind, key, fence & _LOW_BITS)


class FenceLosesUpperBitsInRoundNine(MemoryLifeCycle):
    """A store's fences are kept in 32 bits, and the owner's own fence is above them.

    A late deletion of a former owner is carried out on what the present owner has uploaded.
    """

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        answer = await super().initialize(ctx, request)
        store = self.found(self.backend())
        if not isinstance(store.fences, LowWordFences):
            store.fences = LowWordFences()
            store.fences.enter(Fenced.STORE, "", ctx.fence)
        return answer


MUTANTS = (
    blind(DeleteSweepsUploadsUnderway, loses_data=True),
    blind(GrandchildCopyOnLoan, loses_data=True),
    blind(TargetJudgedByFirstBlock, loses_data=True),
    blind(MissingSourceCopyRemovesTarget, loses_data=True),
    blind(CopyPosesAsTheUpload, loses_data=False),
    blind(LongNameTokenCut, loses_data=False),
    blind(PrefixIsALikePatternInRoundNine, loses_data=False),
    blind(ProbeFindsCompletionByDigest, loses_data=False),
    blind(ExpectationCheckedOnceInRoundNine, loses_data=True),
    blind(RestartSweepsOpenUploads, loses_data=True),
    blind(RefusedDeletionAbortsUploads, loses_data=True),
    blind(RefusedDeletionLeavesMaintenance, loses_data=False),
    blind(AdoptionEndsMaintenance, loses_data=False),
    blind(FenceLosesUpperBitsInRoundNine, loses_data=True),
)
