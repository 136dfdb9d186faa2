"""Blind defects of the fifth round: probes, lists, addresses, fences and figures."""

import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind, StoreState
from holdfast.contract.errors import Busy, NotFound, Precondition, Unavailable
from holdfast.contract.requests import CallContext
from holdfast_drivers.listing import folded, name_in_token, page_of, page_token
from holdfast_drivers.memory.backend import Backend, Store, StoredObject
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind


class LateAbortIsToldAsDone(MemoryImageDriver):
    """An abort that the backend refuses is answered as if the upload were gone."""

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        try:
            return await super().abort_upload(ctx, request)
        except Precondition:
            return answers.Gone(key=request.upload)


class DeleteStoreOverlooksBareUploads(MemoryLifeCycle):
    """A store counts as empty while uploads are open that have no part yet."""

    def holders(self, store: Store) -> tuple[str, ...]:
        bare = {key for key, upload in store.uploads.items() if not upload.parts}
        return tuple(key for key in super().holders(store) if key not in bare)


class EmptyObjectsCannotBeCopied(MemoryImageDriver):
    """A source of 0 bytes is taken for one that is absent."""

    def duplicate(self, source: StoredObject, target: str, operation: str) -> StoredObject:
        if not source.data:
            raise NotFound("there is no object under this key", object=source.key)
        return super().duplicate(source, target, operation)


class PageTokensAreOffsets(MemoryImageDriver):
    """A page token counts names, so that what was deleted meanwhile shifts the list."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        named = self.names(store, request)
        scope = f"{store.id} offsets {request.prefix!r} {request.delimiter!r}"
        start = int(name_in_token(scope, request.token)) if request.token else 0
        end = start + request.limit
        page = named[start:end]
        return answers.ObjectPage(
            items=tuple(self.info(self.stored(store, name)) for name, fold in page if not fold),
            prefixes=tuple(name for name, fold in page if fold),
            token=page_token(scope, str(end)) if len(named) > end else "",
        )


class FoldingIsDonePageByPage(MemoryImageDriver):
    """Keys are folded after they were cut into pages: a prefix is on each page it spans."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        keys = sorted(row.key for row in store.objects.values())
        keys = [key for key in keys if key.startswith(request.prefix)]
        scope = f"{store.id} keys {request.prefix!r} {request.delimiter!r}"
        page = page_of(keys, scope, token=request.token, limit=request.limit)
        named = dict(folded(key, request) for key in page.names)
        return answers.ObjectPage(
            items=tuple(self.info(self.stored(store, name)) for name in named if not named[name]),
            prefixes=tuple(name for name in named if named[name]),
            token=page.token,
        )


class UnderscoreInAPrefixMatchesAnything(MemoryImageDriver):
    """A list's prefix goes unescaped into a pattern in which an underscore is any one."""

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        pattern = re.compile(re.escape(request.prefix).replace("_", "."), re.DOTALL)
        named: dict[str, bool] = {}
        for row in store.objects.values():
            if pattern.match(row.key):
                own = msgspec.structs.replace(request, prefix=row.key[: len(request.prefix)])
                name, is_prefix = self.folded(row.key, own)
                named[name] = is_prefix
        return sorted(named.items())


class AddressWritesABlankAsPlus(MemoryImageDriver):
    """A key is quoted in an address's path as it is in a form."""

    def address(self, key: str, expires_s: float) -> str:
        if not self.backend.origin:
            raise Unavailable(f"memory space {self.backend.name} serves no addresses", object=key)
        path = f"/{quote(self.namespace, safe='')}/{quote_plus(self.row_key(key))}"
        expires = f"{self.backend.wall_clock() + expires_s:.3f}"
        signature = self.backend.signature(path, expires)
        return f"{self.backend.origin}{path}?expires={expires}&signature={signature}"


class NextAddressIsTheOneBefore(MemoryImageDriver):
    """An address is kept by key alone and given again, however long it was asked for."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._addresses: dict[str, str] = {}

    def address(self, key: str, expires_s: float) -> str:
        if key not in self._addresses:
            self._addresses[key] = super().address(key, expires_s)
        return self._addresses[key]


class EndOfMaintenanceForgetsTheIdentity(MemoryLifeCycle):
    """Cancelling maintenance writes the store's record anew, without its identity."""

    def set_state(self, store: Store, state: StoreState) -> None:
        super().set_state(store, state)
        if state is StoreState.UP:
            store.identity = ""


class DetachOfAStrangerTakesTheLastHost(MemoryLifeCycle):
    """A host that is not found has the index -1, and the last one is removed."""

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> answers.StoreInfo:
        store = self.store(self.backend())
        hosts = sorted(store.hosts)
        info = await super().detach(ctx, request)
        if hosts and request.host not in hosts:
            store.hosts.discard(hosts[-1])
            return self.info(store)
        return info


class DeletesAreRefusedInMaintenance(MemoryImageDriver):
    """Deleting an object asks for a store that may allocate."""

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        self.allocating_store()
        return await super().delete(ctx, request)


class PartFencesAreSharedByUploads(MemoryImageDriver):
    """A part's fence is kept by its number, without the upload that it is of."""

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        self.store().fences.enter(Fenced.PART, str(request.number), ctx.fence)
        return await super().upload_part(ctx, request)


class FailedCompleteKeepsItsLock(MemoryImageDriver):
    """A completion that fails leaves the upload locked for whoever comes after."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._locked: set[str] = set()

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        if request.upload in self._locked:
            raise Busy("the upload is being completed; try again", object=request.upload)
        self._locked.add(request.upload)
        info = await super().complete_upload(ctx, request)
        self._locked.discard(request.upload)
        return info


class EnumerateOverlooksUploadsOfKnownKeys(MemoryImageDriver):
    """What is owned is gathered by key, and an object hides an upload that replaces it."""

    def owned(self) -> Iterator[answers.OwnedThing]:
        for thing in super().owned():
            if thing.kind is OwnedKind.UPLOAD:
                store = self.store()
                if store.uploads[thing.key].key in store.objects:
                    continue
            yield thing


class UsedIsToldInKibibytes(MemoryImageDriver):
    """The backend counts in KiB, and used space is told without converting it."""

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        info = await super().stats(ctx, request)
        return msgspec.structs.replace(info, used_bytes=info.used_bytes // 1024)


MUTANTS = (
    blind(LateAbortIsToldAsDone, loses_data=True),
    blind(DeleteStoreOverlooksBareUploads, loses_data=True),
    blind(EmptyObjectsCannotBeCopied, loses_data=False),
    blind(PageTokensAreOffsets, loses_data=False),
    blind(FoldingIsDonePageByPage, loses_data=False),
    blind(UnderscoreInAPrefixMatchesAnything, loses_data=False),
    blind(AddressWritesABlankAsPlus, loses_data=False),
    blind(NextAddressIsTheOneBefore, loses_data=False),
    blind(EndOfMaintenanceForgetsTheIdentity, loses_data=False),
    blind(DetachOfAStrangerTakesTheLastHost, loses_data=False),
    blind(DeletesAreRefusedInMaintenance, loses_data=False),
    blind(PartFencesAreSharedByUploads, loses_data=False),
    blind(FailedCompleteKeepsItsLock, loses_data=False),
    blind(EnumerateOverlooksUploadsOfKnownKeys, loses_data=False),
    blind(UsedIsToldInKibibytes, loses_data=False),
)
