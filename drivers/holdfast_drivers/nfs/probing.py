"""What became of a call whose answer was lost, read from the export. Blocking functions."""

import xxhash

from holdfast.contract import answers, requests
from holdfast.contract.answers import Absent, Done, Gone, Partial, ProbeResult, Undetermined
from holdfast_drivers.nfs.libnfs import Client
from holdfast_drivers.nfs.uploads import Uploads
from holdfast_drivers.upload_facts import is_same_upload, part_of


def _left(leftovers: list[str], otherwise: ProbeResult) -> ProbeResult:
    """``Partial`` where something unfinished is there, else what else is true."""
    names = tuple("/".join(path.split("/")[-2:]) for path in leftovers)
    return Partial(names=names) if names else otherwise


def probe(client: Client, uploads: Uploads, request: requests.Request, fence: int) -> ProbeResult:
    """What became of a call to an image store, which does nothing more after this."""
    uploads.shelves.in_service(client)
    if fence:
        _stop(client, uploads, request, fence)
    match request:
        case requests.StartUpload():
            return _probe_start(client, uploads, request)
        case requests.UploadPart():
            return _probe_part(client, uploads, request)
        case requests.CompleteUpload():
            return _probe_complete(client, uploads, request)
        case requests.AbortUpload(upload=upload):
            row = uploads.find(client, upload)
            otherwise = Done(answer=Gone(key=upload)) if row is None else Absent()
            return _left(uploads.leftovers(client, upload, row), otherwise)
        case requests.DeleteObject(key=key):
            there = uploads.objects.exists(client, key)
            leftovers = uploads.shelves.leftovers(client, "object", key)
            return _left(leftovers, Absent() if there else Done(answer=Gone(key=key)))
        case _:
            return Undetermined(reason=f"a {type(request).__name__} changes nothing here")


def _stop(client: Client, uploads: Uploads, request: requests.Request, fence: int) -> None:
    """Let no earlier call act any more on what a request is about.

    One that has staged something finds it gone from there: it is left to be seen.
    """
    shelves, fences = uploads.shelves, uploads.shelves.fences
    match request:
        case requests.DeleteObject(key=key):
            fences.enter(client, "object", key, fence, frees=True)
            shelves.disarm(client, "object", key)
        case requests.UploadPart(upload=upload, number=number):
            fences.enter(client, "part", f"{upload}/{number}", fence, frees=True)
            shelves.disarm(client, "part", upload, f"{number:06}.")
        case requests.StartUpload(upload=upload) | requests.AbortUpload(upload=upload):
            fences.enter(client, "upload", upload, fence, frees=True)
            shelves.disarm(client, "upload", upload)
        case requests.CompleteUpload(upload=upload):
            row = uploads.find(client, upload)
            fences.enter(client, "upload", upload, fence, frees=True)
            if row is not None:
                fences.enter(client, "object", row.target, fence, frees=True)
                shelves.disarm(client, "object", row.target)
        case _:
            pass


def _probe_start(client: Client, uploads: Uploads, request: requests.StartUpload) -> ProbeResult:
    row = uploads.find(client, request.upload)
    leftovers = uploads.leftovers(client, request.upload, row)
    if row is not None and is_same_upload(row, request):
        return _left(leftovers, Done(answer=answers.UploadInfo(upload=row.key, key=row.target)))
    return _left(leftovers, Absent())


def _probe_part(client: Client, uploads: Uploads, request: requests.UploadPart) -> ProbeResult:
    row = uploads.find(client, request.upload)
    leftovers = uploads.leftovers(client, request.upload, row)
    if row is None:
        return _left(leftovers, Absent())
    part = part_of(request)
    try:
        stored = client.read(uploads.part(row, request.number))
    except FileNotFoundError:
        return _left(leftovers, Absent())
    if xxhash.xxh3_128_hexdigest(stored) == part.tag:
        return _left(leftovers, Done(answer=answers.PartInfo(part=part)))
    return _left(leftovers, Absent())


def _probe_complete(
    client: Client, uploads: Uploads, request: requests.CompleteUpload
) -> ProbeResult:
    objects, shelves = uploads.objects, uploads.shelves
    row = uploads.find(client, request.upload)
    if row is None:
        object_row = objects.made_by(client, request)
        leftovers = uploads.leftovers(client, request.upload, None)
        if object_row is None:
            return _left(leftovers, Absent())
        leftovers += shelves.leftovers(client, "object", object_row.key)
        return _left(leftovers, Done(answer=object_row.info()))
    object_row = objects.current(client, row.target)
    if object_row is not None and object_row.upload_id == row.id:
        return Partial(names=(f"uploads/{uploads.path(row.key).rpartition('/')[2]}",))
    return _left(shelves.leftovers(client, "object", row.target), Absent())
