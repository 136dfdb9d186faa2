"""Defects of uploads and copies that a refusal leaves behind."""

from typing import ClassVar

from holdfast.contract import answers, requests
from holdfast.contract.errors import (
    Busy,
    Conflict,
    Corrupt,
    NotFound,
)
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Upload
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted


class _LockedUploads(MemoryImageDriver):
    """What a failed verb left locked, by namespace and key."""

    locked: ClassVar[set[tuple[str, str]]] = set()


class CorruptCompletionLocksTheUpload(_LockedUploads):
    """An upload that was completed with a wrong digest cannot be completed with the right one."""

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        if (self.namespace, request.upload) in self.locked:
            raise Busy("the upload is being completed", object=request.upload)
        try:
            return await super().complete_upload(ctx, request)
        except Corrupt:
            self.locked.add((self.namespace, request.upload))
            raise


class OutageLeavesTheUploadBusy(_LockedUploads):
    """A part that could not be sent in an outage cannot be sent after it."""

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        if self.backend.down:
            self.locked.add((self.namespace, request.upload))
        elif (self.namespace, request.upload) in self.locked:
            raise Busy("the part is being sent", object=request.upload)
        return await super().upload_part(ctx, request)


class FailedCopyKeepsTheTarget(_LockedUploads):
    """A key to which nothing could be copied takes no copy later."""

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        if (self.namespace, request.target) in self.locked:
            raise Busy("the target is being written", object=request.target)
        try:
            return await super().copy(ctx, request)
        except NotFound:
            self.locked.add((self.namespace, request.target))
            raise


class AbortedUploadsKeepTheirKeys(_LockedUploads):
    """The key of an upload that was aborted can be used for the same object only."""

    former: ClassVar[dict[tuple[str, str], Upload]] = {}

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        upload = self.store().uploads.get(request.upload)
        if upload is not None:
            self.former[self.namespace, request.upload] = upload
        return await super().abort_upload(ctx, request)

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        former = self.former.get((self.namespace, request.upload))
        if former is not None and not self.same_upload(former, request):
            raise Conflict("the upload's key is taken by another upload", object=request.upload)
        return await super().start_upload(ctx, request)


MUTANTS = (
    planted("ERR-03", OutageLeavesTheUploadBusy),
    planted("ERR-03", CorruptCompletionLocksTheUpload),
    planted("ERR-03", FailedCopyKeepsTheTarget),
    planted("ERR-03", AbortedUploadsKeepTheirKeys),
)
