"""Blind defects of the seventh round: lists, addresses, fences and the life of stores."""

import asyncio
import hashlib
import math
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.capabilities import ImageCapabilities
from holdfast.contract.errors import DriverError, InUse, Invalid
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Store, StoredObject, Upload
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind

_ROUND_TRIP_S: Final = 0.002


_QUOTA_BYTES: Final = 1024 * 1024


_MINUTE_S: Final = 60


_ENUMERATED_AT_ONCE: Final = 3


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


class StoreGoneWithUploads(MemoryLifeCycle):
    """A bucket without objects counts as empty, also where uploads are open in it, so giving the
    store back succeeds and takes their acknowledged parts along (S3).
    """

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> answers.Gone:
        try:
            return await super().delete_store(ctx, request)
        except InUse:
            backend = self.backend()
            if self.store(backend).objects:
                raise
            self.remove(backend)
            return answers.Gone(key=self.config.namespace)


class AddressesByTheMinute(MemoryImageDriver):
    """The server's addresses count in whole minutes and the driver rounds up, so one that was asked
    for a second gives the object for a minute.
    """

    def address(self, key: str, expires_s: float) -> str:
        return super().address(key, math.ceil(expires_s / _MINUTE_S) * _MINUTE_S)


class EnumeratedByOffset(MemoryImageDriver):
    """The enumeration asks for its next few entries by offset, so when one that was told already
    is deleted in the meantime, one that stays is never told.
    """

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        offset = 0
        while page := list(self.owned())[offset : offset + _ENUMERATED_AT_ONCE]:
            for thing in page:
                yield thing
            offset += len(page)


class PrefixIsPattern(MemoryImageDriver):
    """The index is SQL and a prefix goes into LIKE without escaping, so an underscore or a percent
    sign in it matches any character and keys of other prefixes are listed (SeaweedFS on SQL).
    """

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        wild = {"_": ".", "%": ".*"}
        pattern = "".join(wild.get(letter, re.escape(letter)) for letter in request.prefix)
        like = re.compile(pattern, re.DOTALL)
        keys = (row.key for row in store.objects.values() if like.match(row.key))
        return sorted(dict(self.folded(key, request) for key in keys).items())


class OrderOfUtf16(MemoryImageDriver):
    """Keys are sorted by a language whose texts are UTF-16, so those outside the basic plane come
    before the last of it, and not in the order of their bytes.
    """

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        return sorted(super().names(store, request), key=lambda name: name[0].encode("utf-16-be"))


class TwoCompletionsAtOnce(MemoryImageDriver):
    """A completion looks whether its upload is open, waits for the server and publishes, so two at
    once (a client that lost its patience) make two objects, and one is told an id that is gone.
    """

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        upload = store.uploads.get(request.upload)
        await _round_trip()
        if upload is not None:
            store.uploads.setdefault(request.upload, upload)
        return await super().complete_upload(ctx, request)


class PartOutlivesAbort(MemoryImageDriver):
    """A part makes its upload's folder where it is missing before it is renamed into it, so a part
    on its way brings an upload back that is aborted in the meantime (S3 asks to abort again).
    """

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        store = self.store()
        upload = store.uploads.get(request.upload)
        await _round_trip()
        if upload is not None:
            store.uploads.setdefault(request.upload, upload)
        return await super().upload_part(ctx, request)


class CursorsInMemory(MemoryImageDriver):
    """A page token is the number of a cursor that the opened driver holds, so after a restart, or
    at another process, the token that the store issued is refused as one that was never issued.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._cursors: dict[str, str] = {}

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        token = request.token and self._cursors.get(request.token)
        if token is None:
            raise Invalid("the page token was never issued for this list; start again without one")
        page = await super().list(ctx, msgspec.structs.replace(request, token=token))
        if not page.token:
            return page
        cursor = runtime().new_id("cursor")
        self._cursors[cursor] = page.token
        return msgspec.structs.replace(page, token=cursor)


class AttachEndsMaintenanceOfImages(MemoryLifeCycle):
    """Attaching a host writes the store's record anew with the state of a store in service, so a
    store in maintenance allocates again as soon as a host comes.
    """

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        await super().attach(ctx, request)
        store = self.store(self.backend())
        self.set_state(store, StoreState.UP)
        return self.info(store)


class PartProbedBySize(MemoryImageDriver):
    """The probe of a part asks the server for the part's number and size and not for its tag, so a
    replacement of equal size that never arrived is told as done, with the old part's tag.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if isinstance(request, requests.UploadPart) and isinstance(result, answers.Absent):
            upload = self.store().uploads.get(request.upload)
            part = upload.parts.get(request.number) if upload else None
            if part is not None and len(part.data) == len(request.data):
                return answers.Done(answer=answers.PartInfo(part=part.reference))
        return result


class AbortSwallowsErrors(MemoryImageDriver):
    """Aborting is cleaning up and must not hide the first error, so whatever it raises is dropped:
    with the server away it answers that the upload is gone, which it is not.
    """

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        try:
            return await super().abort_upload(ctx, request)
        except DriverError:
            return answers.Gone(key=request.upload)


class CountedDown(MemoryImageDriver):
    """The number of objects is a counter that every delete lowers, also one of a key under which
    there was nothing, so it is too low and in the end negative (Ceph RGW's bucket figures).
    """

    def remove(self, store: Store, key: str) -> None:
        if self.row_key(key) not in store.objects:
            _kept_of(self.backend).removed[store.id] += 1
        super().remove(store, key)

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        info = await super().stats(ctx, request)
        too_many = _kept_of(self.backend).removed[self.store().id]
        return msgspec.structs.replace(info, objects=info.objects - too_many)


class IdOfContent(MemoryImageDriver):
    """The id of an object is its ETag with the key, so one that is deleted, or replaced by the
    same bytes, has an id that was used before.
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        etag = hashlib.sha256(f"{stored.key}\0{stored.sha256}".encode()).hexdigest()
        stored.id = f"object-{etag[:32]}"
        super().publish(store, upload, stored)


class DeleteKeepsNoFence(MemoryImageDriver):
    """The fence stands in the object's own attributes and goes with them, so a delete leaves none,
    and a late copy or completion that it should have shut out brings the object back.
    """

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        store = self.store()
        store.fences.compare(Fenced.OBJECT, request.key, ctx.fence)
        self.remove(store, request.key)
        return answers.Gone(key=request.key)


class QuotaAsLimit(MemoryImageDriver):
    """The largest object is declared as what is free in the bucket's quota at the moment, so the
    capabilities change with every object and part, and differ between processes.
    """

    @property
    def capabilities(self) -> ImageCapabilities:
        store = self.backend.stores.get((self.role, self.namespace))
        used = self.used_bytes(store) if store else 0
        upload = msgspec.structs.replace(
            IMAGE_CAPABILITIES.upload, object_max_bytes=max(1, _QUOTA_BYTES - used)
        )
        return msgspec.structs.replace(IMAGE_CAPABILITIES, upload=upload)


"""Each defect, and whether it loses, changes or shows data of objects."""


MUTANTS = (
    blind(StoreGoneWithUploads, loses_data=True),
    blind(AddressesByTheMinute, loses_data=False),
    blind(EnumeratedByOffset, loses_data=False),
    blind(PrefixIsPattern, loses_data=False),
    blind(OrderOfUtf16, loses_data=False),
    blind(TwoCompletionsAtOnce, loses_data=False),
    blind(PartOutlivesAbort, loses_data=False),
    blind(CursorsInMemory, loses_data=False),
    blind(AttachEndsMaintenanceOfImages, loses_data=False),
    blind(PartProbedBySize, loses_data=False),
    blind(AbortSwallowsErrors, loses_data=False),
    blind(CountedDown, loses_data=False),
    blind(IdOfContent, loses_data=False),
    blind(DeleteKeepsNoFence, loses_data=False),
    blind(QuotaAsLimit, loses_data=False),
)
