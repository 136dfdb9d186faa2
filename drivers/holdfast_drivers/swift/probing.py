"""What became of a call whose answer was lost, read from the server."""

from collections.abc import Awaitable, Callable

from holdfast.contract import answers, requests
from holdfast.contract.answers import Absent, Done, Gone, Partial, ProbeResult, Undetermined
from holdfast.contract.errors import DriverError
from holdfast.contract.requests import PartReference
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.copying import Copies
from holdfast_drivers.swift.rows import part_name
from holdfast_drivers.swift.uploads import Uploads, digests_of


async def settled(probe: Callable[[], Awaitable[ProbeResult]]) -> ProbeResult:
    """The result of a probe; ``Undetermined`` where the server cannot be asked."""
    try:
        return await probe()
    except DriverError as error:
        return Undetermined(reason=str(error))


async def probe(
    call: Call, uploads: Uploads, copies: Copies, request: requests.Request
) -> ProbeResult:
    """What became of a call."""
    await uploads.store.row(call)
    match request:
        case requests.StartUpload():
            return await _start(call, uploads, request)
        case requests.UploadPart():
            return await _part(call, uploads, request)
        case requests.CompleteUpload():
            return await _complete(call, uploads, request)
        case requests.AbortUpload(upload=upload):
            row = await uploads.find(call, upload)
            gone = row is None or bool(row.done) or await uploads.became(call, row)
            return Done(answer=Gone(key=upload)) if gone else Absent()
        case requests.DeleteObject(key=key):
            return await _delete(call, uploads, key)
        case requests.CopyObject():
            return await copies.probe(call, request)
        case _:
            return Undetermined(reason=f"a {type(request).__name__} changes nothing here")


def _left(names: list[str]) -> Partial | None:
    return Partial(names=tuple(names)) if names else None


async def _start(call: Call, uploads: Uploads, request: requests.StartUpload) -> ProbeResult:
    row = await uploads.find(call, request.upload)
    if row is not None and not row.ending and row.is_asked_for(request):
        return Done(answer=answers.UploadInfo(upload=row.upload, key=row.key))
    return Absent()


async def _part(call: Call, uploads: Uploads, request: requests.UploadPart) -> ProbeResult:
    row = await uploads.find(call, request.upload)
    if row is None or not row.is_open:
        return Absent()
    md5, _ = await digests_of(request.data)
    name = part_name(row.folder, request.number, md5)
    stored = await uploads.store.segments.head(call, name)
    if stored is None or stored.etag != md5:
        return Absent()
    part = PartReference(number=request.number, size_bytes=len(request.data), tag=md5)
    return Done(answer=answers.PartInfo(part=part))


async def _complete(call: Call, uploads: Uploads, request: requests.CompleteUpload) -> ProbeResult:
    row = await uploads.find(call, request.upload)
    if row is None:
        return Absent()
    there = await uploads.objects.find(call, row.key)
    if there is None or there.upload_id != row.id:
        return Absent()
    names = await uploads.unswept(call, row, there)
    if not row.done:
        names.append(row.name)
    return _left(names) or Done(answer=there.info())


async def _delete(call: Call, uploads: Uploads, key: str) -> ProbeResult:
    if await uploads.objects.find(call, key) is not None:
        return Absent()
    names = await uploads.objects.leftovers(call, key)
    return _left(names) or Done(answer=Gone(key=key))
