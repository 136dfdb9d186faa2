"""Blind defects of the seventh round: parts, copies, ranges and handles."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote_plus
from weakref import WeakKeyDictionary

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.errors import Denied, Invalid
from holdfast.contract.requests import CallContext, PartReference, Role
from holdfast_drivers.memory.backend import Backend, Store, StoredObject, Upload
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fenced, Fences
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import blind

_ROUND_TRIP_S: Final = 0.002


_STRIPE_BYTES: Final = 4 * 1024


@dataclass(slots=True)
class _Kept:
    """What a defective backend has beside its tables; keys begin with the store's id."""

    staged: dict[tuple[str, str], bytes] = field(default_factory=dict[tuple[str, str], bytes])
    completed: dict[tuple[str, str], StoredObject] = field(
        default_factory=dict[tuple[str, str], StoredObject]
    )
    doomed: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    removed: Counter[str] = field(default_factory=Counter[str])


_kept: WeakKeyDictionary[Backend, _Kept] = WeakKeyDictionary()


def _kept_of(backend: Backend) -> _Kept:
    return _kept.setdefault(backend, _Kept())


async def _round_trip() -> None:
    """The time that a request to the server takes."""
    await asyncio.sleep(_ROUND_TRIP_S)


class CopyTruncatesItself(MemoryImageDriver):
    """On a mounted folder a copy opens its target with O_TRUNC before it reads its source, so an
    object that is copied onto itself is answered as done and is empty from then on.
    """

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        info = await super().copy(ctx, request)
        if request.key == request.target:
            self.stored(self.store(), request.key).data = b""
        return info


class CopySharesItsTail(MemoryImageDriver):
    """A copy has a head of its own and shares the tail's stripes with its source, and nobody counts
    references, so deleting one of a larger object's copies collects the others' tails (Ceph RGW).
    """

    def remove(self, store: Store, key: str) -> None:
        gone = store.objects.get(self.row_key(key))
        super().remove(store, key)
        if gone is None or len(gone.data) <= _STRIPE_BYTES:
            return
        for row in store.objects.values():
            if row.data is gone.data:
                row.data = gone.data[:_STRIPE_BYTES]


class FencesOfOneProcess(MemoryImageDriver):
    """The server has no place for fences, so they are kept in the opened driver, and what another
    process or the one before a restart did is not known: its late delete takes a newer object.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._fences = Fences()

    def store(self) -> Store:
        return replace(super().store(), fences=self._fences)


class AddressesFromCache(Backend):
    """The cache before the server is keyed by path without the query and never told of a new
    version, so a fresh address of an object that was replaced gives the bytes it had before.
    """

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self._cache: dict[tuple[str, str], bytes] = {}

    def served(self, method: str, namespace: str, key: str) -> bytes | None:
        cached = self._cache.get((namespace, key))
        if cached is not None:
            return cached
        data = super().served(method, namespace, key)
        if data is not None:
            self._cache[namespace, key] = data
        return data


class HandleByKeyAlone(Backend):
    """What opens a handle looks its object up by key in all buckets of the account and takes the
    first one that it finds, so with equal keys in two stores one reads the other's bytes.
    """

    def object_behind(self, token: str, *, write: bool) -> Content:
        _, _, key = token.split(":", 2)
        if not write:
            self.reach()
            for (role, _), store in self.stores.items():
                row = store.objects.get(key)
                if role is Role.IMAGE and row is not None:
                    content = Content(len(row.data))
                    content.write(0, row.data)
                    return content
        raise Denied("the object of this handle is read-only or gone", object=key)


class DeleteTakesFolder(MemoryImageDriver):
    """The filer keeps keys as paths and is asked to delete recursively, so deleting a key that is
    no object, but the folder of others, takes all objects below it (SeaweedFS).
    """

    def remove(self, store: Store, key: str) -> None:
        if self.row_key(key) in store.objects:
            super().remove(store, key)
            return
        below = key.rstrip("/") + "/"
        for name in [name for name in store.objects if name.startswith(below)]:
            del store.objects[name]


class CopySourceDecoded(MemoryImageDriver):
    """The header with a copy's source is sent as it is and the server decodes it like a form, so
    the source of a key with a plus or percent sign is another object, or none.
    """

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        decoded = unquote_plus(request.key)
        return await super().copy(ctx, msgspec.structs.replace(request, key=decoded))


class SuffixOfLastStripe(MemoryImageDriver):
    """A range from the end is answered from the last stripe alone, so one that reaches further
    back begins at the stripe's border and is short.
    """

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        if offset_bytes < 0 and data:
            last = (len(data) - 1) // _STRIPE_BYTES * _STRIPE_BYTES
            offset_bytes = max(len(data) + offset_bytes, last)
        return super().cut(data, offset_bytes, length_bytes)


class CacheComparedBySize(MemoryImageDriver):
    """What was read is cached in the driver and taken as fresh while the object has the same size,
    so what another client put there with an equal size is not seen (mounts with attribute caches).
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._cache: dict[str, bytes] = {}

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        self._cache.pop(stored.key, None)
        super().publish(store, upload, stored)

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        answer = await super().get(ctx, request)
        row = self.stored(self.store(), request.key)
        cached = self._cache.get(request.key)
        if cached is None or len(cached) != len(row.data):
            self._cache[request.key] = cached = row.data
        data = cached[answer.offset_bytes :][: len(answer.data)]
        return msgspec.structs.replace(answer, data=data)


class CompletionPlayedAgain(MemoryImageDriver):
    """A completion leaves its manifest, so that one whose answer was lost can be repeated, and the
    repetition puts the manifest's object back over what has replaced it since.
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        super().publish(store, upload, stored)
        _kept_of(self.backend).completed[store.id, upload.upload] = replace(stored)

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        manifest = _kept_of(self.backend).completed.get((store.id, request.upload))
        if manifest is None or request.upload in store.uploads:
            return await super().complete_upload(ctx, request)
        store.fences.enter(Fenced.UPLOAD, request.upload, ctx.fence)
        store.objects[self.row_key(manifest.key)] = replace(manifest)
        return self.info(manifest)


class StagedUnderTheKey(MemoryImageDriver):
    """The file in which parts are joined is named after the object and not after the upload, so of
    two uploads to one key that complete at once one renames the other's bytes into place.
    """

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        upload = store.uploads.get(request.upload)
        if upload is not None:
            numbers = sorted({part.number for part in request.parts} & set(upload.parts))
            joined = b"".join(upload.parts[number].data for number in numbers)
            _kept_of(self.backend).staged[store.id, upload.key] = joined
        await _round_trip()
        return await super().complete_upload(ctx, request)

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        staged = _kept_of(self.backend).staged.pop((store.id, stored.key), None)
        if staged is None:  # No such file: taken for one that was renamed already.
            del store.uploads[upload.upload]
            return
        stored.data = staged
        super().publish(store, upload, stored)


class CopyInTwoRequests(MemoryImageDriver):
    """A copy asks for the source's attributes and then copies its bytes, without a condition, so a
    source that is replaced in between gives new bytes with the old digest, kind and type.
    """

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        store = self.allocating_store()
        seen = store.objects.get(self.row_key(request.key))
        await _round_trip()
        there = store.objects.get(self.row_key(request.target))
        info = await super().copy(ctx, request)
        if there is not None or seen is None:
            return info
        row = self.stored(store, request.target)
        row.sha256, row.kind, row.content_type = seen.sha256, seen.kind, seen.content_type
        return self.info(row)


class OpeningSweepsUploads(MemoryImageDriver):
    """What a crash may have left is cleaned up when the driver starts, by dropping all uploads that
    are open then, also those that go on after a restart or belong to another process.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        store = backend.stores.get((self.role, namespace))
        if store is not None:
            store.uploads.clear()


class RefusalEatsParts(MemoryImageDriver):
    """Parts are moved into the object's file one by one as they are checked, so when a later one is
    missing or wrong the completion is refused and those before it are gone from the upload.
    """

    def check_parts(self, upload: Upload, named: tuple[PartReference, ...]) -> None:
        try:
            super().check_parts(upload, named)
        except Invalid:
            for part in named:
                there = upload.parts.get(part.number)
                if there is None or there.reference != part:
                    break
                del upload.parts[part.number]
            raise


class CollectedByName(MemoryImageDriver):
    """Deleted objects are queued by name for a collector that runs with the next delete and does
    not look again, so a key that was used again in the meantime loses its new object.
    """

    def remove(self, store: Store, key: str) -> None:
        doomed = _kept_of(self.backend).doomed
        for store_id, name in sorted(doomed):
            if store_id == store.id:
                store.objects.pop(name, None)
                doomed.discard((store_id, name))
        if self.row_key(key) in store.objects:
            doomed.add((store.id, self.row_key(key)))
        super().remove(store, key)


MUTANTS = (
    blind(CopyTruncatesItself, loses_data=True),
    blind(CopySharesItsTail, loses_data=True),
    blind(FencesOfOneProcess, loses_data=True),
    blind(AddressesFromCache, loses_data=True),
    blind(HandleByKeyAlone, loses_data=True),
    blind(DeleteTakesFolder, loses_data=True),
    blind(CopySourceDecoded, loses_data=True),
    blind(SuffixOfLastStripe, loses_data=True),
    blind(CacheComparedBySize, loses_data=True),
    blind(CompletionPlayedAgain, loses_data=True),
    blind(StagedUnderTheKey, loses_data=True),
    blind(CopyInTwoRequests, loses_data=True),
    blind(OpeningSweepsUploads, loses_data=True),
    blind(RefusalEatsParts, loses_data=True),
    blind(CollectedByName, loses_data=True),
)
