"""What became of a call whose answer was lost, read from the bucket."""

from holdfast.contract import answers, requests
from holdfast.contract.answers import Absent, Done, Gone, Partial, ProbeResult, Undetermined
from holdfast.contract.requests import PartReference
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.copying import probe_copy
from holdfast_drivers.s3.objects import found_object
from holdfast_drivers.s3.rows import object_name, part_name, settled_name, upload_name
from holdfast_drivers.s3.store import store_row
from holdfast_drivers.s3.uploads import Uploads, tag_of
from holdfast_drivers.upload_facts import is_same_upload


async def probe_image(uploads: Uploads, call: Call, request: requests.Request) -> ProbeResult:
    """What became of a call to an image store."""
    await store_row(uploads.bucket, call)
    match request:
        case requests.StartUpload():
            row = await uploads.find(call, request.upload)
            if row is not None and is_same_upload(row, request):
                return Done(answer=answers.UploadInfo(upload=row.key, key=row.target))
            return Absent()
        case requests.UploadPart():
            return await _probe_part(uploads, call, request)
        case requests.CompleteUpload():
            return await _probe_complete(uploads, call, request)
        case requests.AbortUpload(upload=upload):
            return await _probe_abort(uploads, call, upload)
        case requests.DeleteObject(key=key):
            return await _probe_delete(uploads, call, key)
        case requests.CopyObject():
            return await probe_copy(uploads.bucket, call, request)
        case _:
            return Undetermined(reason=f"a {type(request).__name__} changes nothing here")


async def _probe_part(uploads: Uploads, call: Call, request: requests.UploadPart) -> ProbeResult:
    row = await uploads.find(call, request.upload)
    if row is None:
        return Absent()
    head = await uploads.bucket.head(call, part_name(row.id, request.number))
    if head is None or head.etag != tag_of(request.data):
        return Absent()
    return Done(
        answer=answers.PartInfo(
            part=PartReference(number=request.number, size_bytes=len(request.data), tag=head.etag)
        )
    )


async def _probe_complete(
    uploads: Uploads, call: Call, request: requests.CompleteUpload
) -> ProbeResult:
    row = await uploads.find(call, request.upload)
    if row is None:
        object_row = await uploads.made_by(call, request.upload)
        return Absent() if object_row is None else Done(answer=object_row.info())
    stored = await found_object(uploads.bucket, call, row.target)
    if stored is not None and stored.upload_id == row.id:
        return Partial(names=(upload_name(row.key),))
    name = object_name(row.target)
    joins = [join for target, join in await uploads.bucket.joins(call, name) if target == name]
    return Partial(names=tuple(f"{name}?{join}" for join in joins)) if joins else Absent()


async def _probe_abort(uploads: Uploads, call: Call, upload: str) -> ProbeResult:
    row = await uploads.find(call, upload)
    if row is None:
        return Done(answer=Gone(key=upload))
    return Absent()


async def _probe_delete(uploads: Uploads, call: Call, key: str) -> ProbeResult:
    row = await found_object(uploads.bucket, call, key)
    if row is None:
        name = object_name(key)
        versions = await uploads.bucket.versions(call, name) if uploads.bucket.versioned else []
        names = tuple(f"{name}@{one.id}" for one in versions if one.name == name)
        return Partial(names=names) if names else Done(answer=Gone(key=key))
    if row.upload and await uploads.bucket.head(call, settled_name(row.upload)) is None:
        return Partial(names=(object_name(key),))
    return Absent()
