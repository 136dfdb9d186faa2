"""Defects of image stores that only calls which overlap can show."""

from holdfast.contract import answers, requests
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.at_once import pause
from holdfast_drivers.memory.mutants.planted import planted


class SecondCompletionJoinsNothing(MemoryImageDriver):
    """Of two equal completions at once, one joins the parts that the other has left: none."""

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        was_open = request.upload in self.store().uploads
        await pause()
        row = self.made_by(self.store(), request.upload)
        if was_open and row is not None and request.upload not in self.store().uploads:
            row.data = b""
        return await super().complete_upload(ctx, request)


class SecondStartDropsTheUpload(MemoryImageDriver):
    """Of two equal starts at once, one finds an upload that it did not begin, and removes it."""

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        was_open = request.upload in self.store().uploads
        await pause()
        is_open = request.upload in self.store().uploads
        answer = await super().start_upload(ctx, request)
        if is_open and not was_open:
            self.store().uploads.pop(request.upload)
        return answer


class AbortEmptiesACompletion(MemoryImageDriver):
    """An upload that is aborted while it is joined becomes an object without its parts."""

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        answer = await super().complete_upload(ctx, request)
        row = self.made_by(store, request.upload)
        await pause()
        if row is not None and (self.namespace, request.upload) in _ABORTED:
            row.data = b""
        return answer

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        _ABORTED.add((self.namespace, request.upload))
        answer = await super().abort_upload(ctx, request)
        await pause()
        _ABORTED.discard((self.namespace, request.upload))
        return answer


_ABORTED: set[tuple[str, str]] = set()


class CopyOfADeletedObjectIsEmpty(MemoryImageDriver):
    """An object that is deleted while it is copied leaves a copy without bytes."""

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        store = self.allocating_store()
        answer = await super().copy(ctx, request)
        await pause()
        row = store.objects.get(self.row_key(request.target))
        if self.row_key(request.key) not in store.objects and row is not None:
            row.data = b""
        return answer


class CompletionPutsAnOldListBack(MemoryImageDriver):
    """A completion writes back the list of objects that it read, without what came meanwhile."""

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        store = self.store()
        table = dict(store.objects)
        answer = await super().complete_upload(ctx, request)
        row = self.made_by(store, request.upload)
        await pause()
        if row is not None:
            store.objects = {**table, self.row_key(row.key): row}
        return answer


class DeletionTakesTheNextObject(MemoryImageDriver):
    """An object that comes under a key while the one before is deleted loses its upload's bytes."""

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        before = self.store().objects.get(self.row_key(request.key))
        answer = await super().delete(ctx, request)
        await pause()
        row = self.store().objects.get(self.row_key(request.key))
        if row is not None and row is not before:
            row.data = row.data[:0]
        return answer


MUTANTS = (
    planted("CON-01", SecondCompletionJoinsNothing),
    planted("CON-01", SecondStartDropsTheUpload),
    planted("CON-02", AbortEmptiesACompletion),
    planted("CON-02", CopyOfADeletedObjectIsEmpty),
    planted("CON-02", DeletionTakesTheNextObject),
    planted("CON-08", CompletionPutsAnOldListBack),
)
