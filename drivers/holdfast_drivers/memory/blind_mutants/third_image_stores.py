"""Blind defects of the third round: lists, addresses, figures and probes."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind, StoreState
from holdfast.contract.errors import Conflict, OutOfRange
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext
from holdfast_drivers.listing import name_in_token, page_token
from holdfast_drivers.memory.backend import Backend, Store, StoredObject, Upload
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import blind
from holdfast_drivers.memory.provider import MemoryProvider


class PageTokenIsAnIndex(MemoryImageDriver):
    """The next page begins at a position, so a deletion between pages skips an object."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        scope = f"{store.id} index {request.prefix!r} {request.delimiter!r}"
        names = self.names(store, request)
        first = int(name_in_token(scope, request.token)) if request.token else 0
        last = first + min(request.limit, IMAGE_CAPABILITIES.list.page_max)
        page = names[first:last]
        return answers.ObjectPage(
            items=tuple(self.info(self.stored(store, name)) for name, fold in page if not fold),
            prefixes=tuple(name for name, fold in page if fold),
            token=page_token(scope, str(last)) if len(names) > last else "",
        )


class FoldedPrefixComesTwice(MemoryImageDriver):
    """A common prefix that ends a page is told again while keys under it are left."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        scope = f"{store.id} keys {request.prefix!r} {request.delimiter!r}"
        after = name_in_token(scope, request.token) if request.token else ""
        named: dict[str, tuple[bool, str]] = {}
        for key in sorted(row.key for row in store.objects.values()):
            if key.startswith(request.prefix) and key > after:
                name, fold = self.folded(key, request)
                named.setdefault(name, (fold, key))
        page = list(named)[: min(request.limit, IMAGE_CAPABILITIES.list.page_max)]
        return answers.ObjectPage(
            items=tuple(self.info(self.stored(store, n)) for n in page if not named[n][0]),
            prefixes=tuple(name for name in page if named[name][0]),
            token=page_token(scope, named[page[-1]][1]) if len(named) > len(page) else "",
        )


class PrefixIsALikePattern(MemoryImageDriver):
    """An underscore in the prefix of a list matches any character, as in an SQL pattern."""

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        pattern = re.compile(re.escape(request.prefix).replace("_", "."), re.DOTALL)
        rows = [row.key for row in store.objects.values() if pattern.match(row.key)]
        return sorted(dict(self.folded(key, request) for key in rows).items())


class SuffixRangeIgnoresLengthToo(MemoryImageDriver):
    """A range that is counted from the end is read up to the end, whatever length is asked."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        return super().cut(data, offset_bytes, None if offset_bytes < 0 else length_bytes)


class EnumerationBreaksOnChange(MemoryImageDriver):
    """An enumeration walks the live table and breaks when an object comes or goes meanwhile."""

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        store = self.backend.stores.get((self.role, self.namespace))
        walk = iter(store.objects if store else ())
        for thing in self.owned():
            if thing.kind is OwnedKind.OBJECT:
                next(walk)
            yield thing


class EmptyUploadsAreNotEnumerated(MemoryImageDriver):
    """An open upload is found by its parts, so one without any is not enumerated."""

    def owned(self) -> Iterator[answers.OwnedThing]:
        for thing in super().owned():
            if thing.kind is not OwnedKind.UPLOAD or thing.size_bytes:
                yield thing


class FiguresRefreshedByObjectCount(MemoryImageDriver):
    """A driver tells its last figures again until the number of objects changes."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.told: answers.StatsInfo | None = None

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        fresh = await super().stats(ctx, request)
        if self.told is None or self.told.objects != fresh.objects:
            self.told = fresh
        return self.told


class OverwriteKeepsOldContentType(MemoryImageDriver):
    """An object that replaces another is answered with its own content type but keeps the old."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        old = store.objects.get(self.row_key(stored.key))
        kept = replace(stored, content_type=old.content_type) if old else stored
        super().publish(store, upload, kept)


class KeyAndFolderExclude(MemoryImageDriver):
    """A key that is a folder of another one, or lies below an object's key, is a conflict."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        for key in store.objects:
            if key.startswith(f"{stored.key}/") or stored.key.startswith(f"{key}/"):
                raise Conflict(f"{key!r} is in the way", object=stored.key)
        super().publish(store, upload, stored)


class OpeningEndsMaintenance(MemoryProvider):
    """Opening a driver puts a store that is in maintenance back into service."""

    @asynccontextmanager
    async def image(self, config: msgspec.Struct) -> AsyncIterator[ImageDriver]:
        async with super().image(config) as driver:
            if isinstance(driver, MemoryImageDriver):
                store = driver.backend.stores.get((driver.role, driver.namespace))
                if store is not None:
                    store.state = StoreState.UP
            yield driver


class TwoCompletionsMakeTwoObjects(MemoryImageDriver):
    """Two completions of one upload at once both make an object, each with an id of its own."""

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        upload = store.uploads.get(request.upload)
        await asyncio.sleep(0)
        if upload is not None:
            store.uploads[request.upload] = upload
        return await super().complete_upload(ctx, request)


class LastPartNumberIsRefused(MemoryImageDriver):
    """Parts are counted from zero, so the highest number that is declared is refused."""

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        if request.number >= IMAGE_CAPABILITIES.upload.parts_max:
            raise OutOfRange(f"there is no part {request.number}", object=request.upload)
        return await super().upload_part(ctx, request)


class HealthSaysUpInAnotherStore(MemoryImageDriver):
    """Health asks only whether the backend answers, not whether the place is the right store."""

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        if self.backend.down:
            return await super().health(ctx, request)
        return answers.HealthInfo(state=answers.HealthState.UP)


MUTANTS = (
    blind(PageTokenIsAnIndex, loses_data=False),
    blind(FoldedPrefixComesTwice, loses_data=False),
    blind(PrefixIsALikePattern, loses_data=False),
    blind(SuffixRangeIgnoresLengthToo, loses_data=False),
    blind(EnumerationBreaksOnChange, loses_data=False),
    blind(EmptyUploadsAreNotEnumerated, loses_data=False),
    blind(FiguresRefreshedByObjectCount, loses_data=False),
    blind(OverwriteKeepsOldContentType, loses_data=False),
    blind(KeyAndFolderExclude, loses_data=False),
    blind(OpeningEndsMaintenance, loses_data=False),
    blind(TwoCompletionsMakeTwoObjects, loses_data=False),
    blind(LastPartNumberIsRefused, loses_data=False),
    blind(HealthSaysUpInAnotherStore, loses_data=False),
)
