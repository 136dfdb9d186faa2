"""Blind defects of the fourth round: keys, lists, addresses and stores."""

import hashlib
import posixpath
from collections.abc import Iterator
from itertools import islice
from typing import Final
from urllib.parse import quote, quote_plus

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind, StoreState
from holdfast.contract.errors import Invalid, OutOfRange
from holdfast.contract.handles import Handle
from holdfast.contract.requests import CallContext, PartReference
from holdfast_drivers.listing import folded, name_in_token, page_of, page_token
from holdfast_drivers.memory.backend import Backend, Store, StoredObject, Upload
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.reported import owned_thing

_JOURNAL_ROWS: Final = 16


class UploadsWithoutPartsAreNotEnumerated(MemoryImageDriver):
    """An open upload that has no bytes yet is missing from what the namespace owns."""

    def owned(self) -> Iterator[answers.OwnedThing]:
        for thing in super().owned():
            if thing.kind is not OwnedKind.UPLOAD or thing.size_bytes:
                yield thing


class KeysAreReadAsPaths(MemoryImageDriver):
    """Keys that are one path, such as ``a/b`` and ``a//b``, are one object."""

    def row_key(self, key: str) -> str:
        return posixpath.normpath(key)


class PartNamesAreHexWithoutPadding(MemoryImageDriver):
    """Parts are joined in the order of their hexadecimal names, so part 16 follows part 1."""

    def join(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        numbers = sorted((part.number for part in named), key=lambda number: f"{number:x}")
        return b"".join(upload.parts[number].data for number in numbers)


class RangeOfAnEmptyObjectIsRefused(MemoryImageDriver):
    """A range from the start of an object of 0 bytes is out of range."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        if length_bytes is not None and not data:
            raise OutOfRange(f"offset {offset_bytes} is past the end of 0 bytes")
        return super().cut(data, offset_bytes, length_bytes)


class PagesAreCountedByPosition(MemoryImageDriver):
    """A page begins at a position, so a name is skipped when one before it was deleted."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        scope = f"{store.id} positions {request.prefix!r} {request.delimiter!r}"
        named = self.names(store, request)
        begin = int(name_in_token(scope, request.token)) if request.token else 0
        end = begin + min(request.limit, IMAGE_CAPABILITIES.list.page_max)
        page = named[begin:end]
        return answers.ObjectPage(
            items=tuple(
                self.info(self.stored(store, name)) for name, is_prefix in page if not is_prefix
            ),
            prefixes=tuple(name for name, is_prefix in page if is_prefix),
            token=page_token(scope, str(end)) if end < len(named) else "",
        )


class CommonPrefixesAreFoldedPageByPage(MemoryImageDriver):
    """A common prefix whose keys lie on two pages of keys is listed on both."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        keys = sorted(
            row.key for row in store.objects.values() if row.key.startswith(request.prefix)
        )
        scope = f"{store.id} keys {request.prefix!r} {request.delimiter!r}"
        limit = min(request.limit, IMAGE_CAPABILITIES.list.page_max)
        page = page_of(keys, scope, token=request.token, limit=limit)
        named = dict(folded(key, request) for key in page.names)
        return answers.ObjectPage(
            items=tuple(self.info(self.stored(store, name)) for name in named if not named[name]),
            prefixes=tuple(name for name in named if named[name]),
            token=page.token,
        )


class NamesAreSortedAsUtf16(MemoryImageDriver):
    """Keys are listed in the order of UTF-16, which is another one past U+FFFF."""

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        names = super().names(store, request)
        return sorted(names, key=lambda named: named[0].encode("utf-16-be"))


class HandlesAreRememberedBySize(MemoryImageDriver):
    """An object that replaced one of its size is opened with the handle of the one before."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.opened: dict[tuple[str, int], Handle] = {}

    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        handle = await super().open_object(ctx, request)
        return self.opened.setdefault((request.key, handle.size_bytes), handle)


class PartFencesForgetTheUpload(MemoryImageDriver):
    """Parts of one number share a fence, so an upload's part is late for that of another."""

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        self.store().fences.enter(Fenced.PART, str(request.number), ctx.fence)
        return await super().upload_part(ctx, request)


class CopyOntoItselfIsRefused(MemoryImageDriver):
    """A copy of an object to its own key is refused, though the target is the same already."""

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        if request.key == request.target:
            raise Invalid("an object cannot be copied onto itself", object=request.key)
        return await super().copy(ctx, request)


class AddressesAreRememberedByKey(MemoryImageDriver):
    """While an address of an object works, a new one that should work longer is that one."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.given: dict[str, tuple[float, str]] = {}

    def address(self, key: str, expires_s: float) -> str:
        now = self.backend.wall_clock()
        end, url = self.given.get(key, (now, ""))
        if end <= now:
            end, url = now + expires_s, super().address(key, expires_s)
            self.given[key] = end, url
        return url


class AddressesHavePlusForBlanks(MemoryImageDriver):
    """A blank in a key becomes a plus in its address, which then is that of another key."""

    def address(self, key: str, expires_s: float) -> str:
        right = super().address(key, expires_s)
        path = f"/{quote(self.namespace, safe='')}/{quote_plus(key)}"
        expires = right.partition("?expires=")[2].partition("&")[0]
        signature = self.backend.signature(path, expires)
        return f"{self.backend.origin}{path}?expires={expires}&signature={signature}"


class InitializeAgainEndsMaintenanceAgain(MemoryLifeCycle):
    """Initializing a store again puts it back into service."""

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        super().existing(store, request)
        self.set_state(store, StoreState.UP)
        return self.info(store)


class StoreIdIsItsPlace(MemoryLifeCycle):
    """A store that is made where a deleted one was gets the deleted one's id."""

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        await super().initialize(ctx, request)
        store = self.found(self.backend())
        place = f"{self.role} {self.config.namespace}".encode()
        store.id = f"store-{hashlib.sha256(place).hexdigest()[:16]}"
        return self.info(store)


class EnumerationTripsOverChanges(MemoryImageDriver):
    """An enumeration fails when an object is made or deleted while it is read."""

    def owned(self) -> Iterator[answers.OwnedThing]:
        for thing in super().owned():
            if thing.kind is not OwnedKind.OBJECT:
                yield thing
        store = self.backend.stores.get((self.role, self.namespace))
        if store is not None:
            for stored in store.objects.values():
                yield owned_thing(OwnedKind.OBJECT, stored, len(stored.data))


class StatsCountOpenUploads(MemoryImageDriver):
    """The number of objects in a store's figures includes its open uploads."""

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        figures = await super().stats(ctx, request)
        uploads = len(self.store().uploads)
        return msgspec.structs.replace(figures, objects=figures.objects + uploads)


class OldCompletionsAreForgotten(MemoryImageDriver):
    """Completing again is not found once 16 newer objects were made."""

    def made_by(self, store: Store, upload: str) -> StoredObject | None:
        newest = islice(reversed(store.objects.values()), _JOURNAL_ROWS)
        return next((row for row in newest if row.upload == upload), None)


MUTANTS = (
    blind(UploadsWithoutPartsAreNotEnumerated, loses_data=True),
    blind(KeysAreReadAsPaths, loses_data=True),
    blind(PartNamesAreHexWithoutPadding, loses_data=False),
    blind(RangeOfAnEmptyObjectIsRefused, loses_data=False),
    blind(PagesAreCountedByPosition, loses_data=False),
    blind(CommonPrefixesAreFoldedPageByPage, loses_data=False),
    blind(NamesAreSortedAsUtf16, loses_data=False),
    blind(HandlesAreRememberedBySize, loses_data=False),
    blind(PartFencesForgetTheUpload, loses_data=False),
    blind(CopyOntoItselfIsRefused, loses_data=False),
    blind(AddressesAreRememberedByKey, loses_data=False),
    blind(AddressesHavePlusForBlanks, loses_data=False),
    blind(InitializeAgainEndsMaintenanceAgain, loses_data=False),
    blind(StoreIdIsItsPlace, loses_data=False),
    blind(EnumerationTripsOverChanges, loses_data=False),
    blind(StatsCountOpenUploads, loses_data=False),
    blind(OldCompletionsAreForgotten, loses_data=False),
)
