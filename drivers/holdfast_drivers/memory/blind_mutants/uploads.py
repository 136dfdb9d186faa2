"""Blind defects of uploads and their parts."""

import asyncio
import hashlib
from bisect import bisect_right
from typing import Any, Final

from holdfast.contract import answers, requests
from holdfast.contract.errors import Busy, Corrupt, Invalid
from holdfast.contract.requests import CallContext, PartReference
from holdfast_drivers.memory.backend import (
    Backend,
    Part,
    Store,
    StoredObject,
    Upload,
)
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import blind

KIB: Final = 1024


def beside(backend: Backend, name: str) -> dict[Any, Any]:
    """A table that the defective backend has beside the right ones; it outlives each driver."""
    table: dict[Any, Any] = vars(backend).setdefault(f"blind_{name}", {})
    return table


class WrittenApart(MemoryImageDriver):
    """What is checked and what is written are joined apart from each other."""

    def written(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        """The bytes that are really written."""
        return super().join(upload, named)

    def join(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        beside(self.backend, "written")[upload.id] = self.written(upload, named)
        return super().join(upload, named)

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        stored.data = beside(self.backend, "written").pop(upload.id)
        super().publish(store, upload, stored)


class OwnTokens(MemoryImageDriver):
    """Page tokens that hold the last name of the page before, signed."""

    def rest(self, names: list[str], last: str, request: requests.ListObjects) -> list[str]:
        """The names after the last one of the page before."""
        return names[bisect_right(names, last) :]

    def token(self, scope: str, last: str) -> str:
        """The token after a name."""
        text = last.encode().hex()
        return f"{hashlib.sha256(f'{scope} {text}'.encode()).hexdigest()[:16]}.{text}"

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        named = dict(self.names(store, request))
        scope = f"{store.id} {request.prefix!r} {request.delimiter!r}"
        rest = list(named)
        if request.token:
            try:
                last = bytes.fromhex(request.token.partition(".")[2]).decode()
            except ValueError:
                raise Invalid("the token is none of this store") from None
            if self.token(scope, last) != request.token:
                raise Invalid("the token is none of this store")
            rest = self.rest(rest, last, request)
        limit = min(request.limit, IMAGE_CAPABILITIES.list.page_max)
        page = rest[:limit]
        return answers.ObjectPage(
            items=tuple(self.info(self.stored(store, name)) for name in page if not named[name]),
            prefixes=tuple(name for name in page if named[name]),
            token=self.token(scope, page[-1]) if len(rest) > limit else "",
        )


class PartsWrittenInTextOrder(WrittenApart):
    """The backend joins the parts in the text order of their numbers (1, 10, 11, 2) after the
    digest was checked in the right order, so an object of ten or more parts is stored shuffled.
    """

    def written(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        numbers = sorted((part.number for part in named), key=str)
        return b"".join(upload.parts[number].data for number in numbers)


class SameLengthPartKeepsOldBytes(WrittenApart):
    """A part sent again with other bytes of the same length is acknowledged, but the resuming part
    store takes it for the one it has and writes the older bytes into the object.
    """

    def keep_part(self, upload: Upload, part: Part) -> None:
        older = upload.parts.get(part.reference.number)
        if older is not None and len(older.data) == len(part.data):
            name = (upload.id, part.reference.number, len(part.data))
            beside(self.backend, "older").setdefault(name, older.data)
        super().keep_part(upload, part)

    def written(self, upload: Upload, named: tuple[PartReference, ...]) -> bytes:
        older = beside(self.backend, "older")
        parts = [upload.parts[number] for number in sorted(part.number for part in named)]
        return b"".join(
            older.get((upload.id, part.reference.number, len(part.data)), part.data)
            for part in parts
        )


class AbortDropsUploadsWithLongerKeys(MemoryImageDriver):
    """Aborting an upload removes its parts by a prefix without an end mark, and so every other open
    upload whose key begins with its key (C2 31).
    """

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        gone = await super().abort_upload(ctx, request)
        uploads = self.store().uploads
        for key in [key for key in uploads if key.startswith(request.upload)]:
            del uploads[key]
        return gone


class OpeningSweepsOpenUploads(MemoryImageDriver):
    """Every opening of a driver tidies up what a crash may have left, and takes the open uploads of
    other living drivers, and those of before the reopening, for such leftovers.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        store = backend.stores.get((self.role, namespace))
        if store is not None:
            store.uploads.clear()


class OldContentBackWhenCompleteIsRepeated(MemoryImageDriver):
    """A complete that is repeated after its object was replaced or deleted publishes its old
    content once more, from the recipe that the backend kept.
    """

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        recipes = beside(self.backend, "recipes")
        recipe: StoredObject | None = recipes.get((store.id, request.upload))
        open_now = request.upload in store.uploads
        if recipe is not None and not open_now and self.made_by(store, request.upload) is None:
            store.fences.enter(Fenced.UPLOAD, request.upload, ctx.fence)
            store.fences.enter(Fenced.OBJECT, recipe.key, ctx.fence)
            store.objects[recipe.key] = recipe
            return self.info(recipe)
        info = await super().complete_upload(ctx, request)
        recipes[store.id, request.upload] = self.made_by(store, request.upload)
        return info


class RefusedCompleteDropsUnnamedParts(MemoryImageDriver):
    """Complete drops the parts that it does not name before it checks those that it names, so a
    call refused for a wrong part leaves the upload without its other acknowledged parts (C2 6).
    """

    def check_parts(self, upload: Upload, named: tuple[PartReference, ...]) -> None:
        numbers = {part.number for part in named}
        upload.parts = {number: part for number, part in upload.parts.items() if number in numbers}
        super().check_parts(upload, named)


class PartsSentAtOnceLoseOne(MemoryImageDriver):
    """The upload's manifest is read, changed and written back whole, so of two parts sent at once
    the one that is written first is lost, although both are acknowledged (C2 3).
    """

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        upload = self.store().uploads.get(request.upload)
        manifest = dict(upload.parts) if upload else {}
        await asyncio.sleep(0)
        answer = await super().upload_part(ctx, request)
        row = self.upload(self.store(), request.upload)
        row.parts = {**manifest, request.number: row.parts[request.number]}
        return answer


class PartsBeyondFirstPageUnknown(MemoryImageDriver):
    """Complete compares with the first page of the backend's list of parts only, so an upload of
    more than 16 parts, of the declared 32, is refused as if the later ones had never been sent.
    """

    def check_parts(self, upload: Upload, named: tuple[PartReference, ...]) -> None:
        first_page = sorted(upload.parts)[:16]
        for part in named:
            if part.number not in first_page:
                raise Invalid(f"part {part.number} was never sent", object=upload.upload)
        super().check_parts(upload, named)


class LockKeptAfterCorruptComplete(MemoryImageDriver):
    """The lock of the object's key is not given back where complete is refused as ``Corrupt``, so
    every later complete of that key through this driver is ``Busy`` for ever (C2 42).
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._locked: set[str] = set()

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        upload = self.store().uploads.get(request.upload)
        key = upload.key if upload else ""
        if key in self._locked:
            raise Busy("another call has the object", object=key)
        self._locked.add(key)
        try:
            info = await super().complete_upload(ctx, request)
        except Corrupt:
            raise
        except BaseException:
            self._locked.discard(key)
            raise
        self._locked.discard(key)
        return info


class FifthVersionDropped(MemoryImageDriver):
    """The backend keeps four versions of a key: the fifth replacement in a row is acknowledged with
    the new object's info, and the fourth stays the current one.
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        versions = beside(self.backend, "versions")
        name = (store.id, stored.key)
        versions[name] = versions.get(name, 0) + 1
        current = store.objects.get(stored.key)
        super().publish(store, upload, stored)
        if versions[name] > 4 and current is not None:
            store.objects[stored.key] = current

    def remove(self, store: Store, key: str) -> None:
        beside(self.backend, "versions").pop((store.id, key), None)
        super().remove(store, key)


MUTANTS = (
    blind(PartsWrittenInTextOrder, loses_data=True),
    blind(SameLengthPartKeepsOldBytes, loses_data=True),
    blind(AbortDropsUploadsWithLongerKeys, loses_data=True),
    blind(OpeningSweepsOpenUploads, loses_data=True),
    blind(OldContentBackWhenCompleteIsRepeated, loses_data=True),
    blind(RefusedCompleteDropsUnnamedParts, loses_data=True),
    blind(PartsSentAtOnceLoseOne, loses_data=True),
    blind(PartsBeyondFirstPageUnknown, loses_data=False),
    blind(LockKeptAfterCorruptComplete, loses_data=False),
    blind(FifthVersionDropped, loses_data=True),
)
