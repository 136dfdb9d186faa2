"""What became of a call whose answer was lost, read from the export. Blocking functions."""

import xxhash

from holdfast import infos, requests
from holdfast.infos import Absent, Done, Gone, Partial, ProbeResult, Undetermined
from holdfast_drivers.nfs.libnfs import Client
from holdfast_drivers.nfs.uploads import Uploads, is_same_upload, part_of


def _left(leftovers: list[str], otherwise: ProbeResult) -> ProbeResult:
    """``Partial`` where something unfinished is there, else what else is true."""
    names = tuple("/".join(path.split("/")[-2:]) for path in leftovers)
    return Partial(names=names) if names else otherwise


def probe(client: Client, uploads: Uploads, request: requests.Request) -> ProbeResult:
    """What became of a call to an image store."""
    uploads.shelves.in_service(client)
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
            left = uploads.shelves.leftovers(client, "object", key)
            if client.exists(uploads.objects.path(key)):
                return _left(left, Absent())
            return _left(left, Done(answer=Gone(key=key)))
        case _:
            return Undetermined(reason=f"a {type(request).__name__} changes nothing here")


def _probe_start(client: Client, uploads: Uploads, request: requests.StartUpload) -> ProbeResult:
    row = uploads.find(client, request.upload)
    left = uploads.leftovers(client, request.upload, row)
    if row is not None and is_same_upload(row, request):
        return _left(left, Done(answer=infos.UploadInfo(upload=row.key, key=row.target)))
    return _left(left, Absent())


def _probe_part(client: Client, uploads: Uploads, request: requests.UploadPart) -> ProbeResult:
    row = uploads.find(client, request.upload)
    left = uploads.leftovers(client, request.upload, row)
    if row is None:
        return _left(left, Absent())
    part = part_of(request)
    try:
        stored = client.read(uploads.part(row, request.number))
    except FileNotFoundError:
        return _left(left, Absent())
    if xxhash.xxh3_128_hexdigest(stored) == part.tag:
        return _left(left, Done(answer=infos.PartInfo(part=part)))
    return _left(left, Absent())


def _probe_complete(
    client: Client, uploads: Uploads, request: requests.CompleteUpload
) -> ProbeResult:
    objects, shelves = uploads.objects, uploads.shelves
    row = uploads.find(client, request.upload)
    if row is None:
        made = objects.made_by(client, request)
        left = uploads.leftovers(client, request.upload, None)
        if made is None:
            return _left(left, Absent())
        left += shelves.leftovers(client, "object", made.key)
        return _left(left, Done(answer=made.info()))
    made = objects.find(client, row.target)
    if made is not None and made.upload_id == row.id:
        return Partial(names=(f"uploads/{uploads.path(row.key).rpartition('/')[2]}",))
    return _left(shelves.leftovers(client, "object", row.target), Absent())
