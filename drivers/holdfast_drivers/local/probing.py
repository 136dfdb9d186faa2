"""What became of a call whose answer was lost, read from the disk. Blocking functions.

A probe holds the object's lock, so that it sees no call at work, and keeps its own fence like a
call that changes something: what it did not see, an earlier call cannot do any more.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from holdfast.contract import answers, requests
from holdfast.contract.answers import Absent, Done, Gone, Partial, ProbeResult, Undetermined
from holdfast.contract.errors import DriverError
from holdfast.files import mutations
from holdfast.files.trees import Strange, TreePath
from holdfast_drivers.local.grants import GrantName
from holdfast_drivers.local.keyed_folders import Row, Shelf
from holdfast_drivers.local.uploads import Uploads, tag_of
from holdfast_drivers.local.volumes import Volumes, rounded
from holdfast_drivers.upload_facts import is_same_upload, part_of

R = TypeVar("R", bound=Row)


def settled(probe: Callable[[], ProbeResult]) -> ProbeResult:
    """The result of a probe; ``Undetermined`` where the store cannot be asked."""
    try:
        return probe()
    except (DriverError, OSError) as error:
        return Undetermined(reason=str(error))


def _left(leftovers: list[TreePath], otherwise: ProbeResult | None = None) -> ProbeResult:
    """``Partial`` where something unfinished is there, else what else is true: ``Absent``."""
    names = tuple(f"{path.parent.name}/{path.name}" for path in leftovers)
    return Partial(names=names) if names else otherwise or Absent()


def _done(shelf: Shelf[R], key: str, answer: answers.Answer) -> ProbeResult:
    """``Done`` where nothing unfinished is left, and only once it is durable."""
    shelf.settle(key)
    return _left(shelf.leftovers(key), Done(answer=answer))


def _gone(shelf: Shelf[R], key: str) -> ProbeResult:
    """What became of a deletion."""
    folder = shelf.folder(key)
    if folder.exists():
        # Without a row it is no thing any more: a call that had no space took it apart.
        return _left(shelf.leftovers(key) if shelf.is_whole(key) else [folder])
    return _done(shelf, key, Gone(key=key))


def probe_primary(
    volumes: Volumes, operation: str, request: requests.Request, fence: int
) -> ProbeResult:
    """What became of a call to a primary store."""
    volumes.place.row()
    with _alone(volumes, request, fence):
        return _probe_primary(volumes, operation, request)


def _alone(
    volumes: Volumes, request: requests.Request, fence: int
) -> contextlib.AbstractContextManager[object]:
    match request:
        case requests.CreateVolume(key=key) | requests.DeleteVolume(key=key):
            return volumes.volumes.acting(fence, key, frees=True)
        case requests.ResizeVolume(key=key) | requests.RevertVolume(key=key):
            return volumes.volumes.acting(fence, key, frees=True)
        case requests.Grant(volume=key) | requests.Revoke(volume=key):
            return volumes.volumes.acting(fence, key, frees=True)
        case requests.CreateSnapshot(key=key) | requests.DeleteSnapshot(key=key):
            return volumes.snapshots.acting(fence, key, frees=True)
        case _:
            return contextlib.nullcontext()


def _probe_primary(volumes: Volumes, operation: str, request: requests.Request) -> ProbeResult:
    match request:
        case requests.CreateVolume():
            return _probe_create(volumes, request)
        case requests.DeleteVolume(key=key):
            return _gone(volumes.volumes, key)
        case requests.ResizeVolume():
            return _probe_resize(volumes, request)
        case requests.RevertVolume():
            return _probe_revert(volumes, operation, request)
        case requests.CreateSnapshot():
            snapshot = volumes.snapshots.find(request.key)
            if snapshot is not None and snapshot.volume == request.volume:
                return _done(volumes.snapshots, request.key, volumes.snapshot_info(snapshot))
            return _left(volumes.snapshots.leftovers(request.key))
        case requests.DeleteSnapshot(key=key):
            return _gone(volumes.snapshots, key)
        case requests.Grant():
            return _probe_grant(volumes, request)
        case requests.Revoke():
            return _probe_revoke(volumes, request)
        case _:
            return Undetermined(reason=f"a {type(request).__name__} changes nothing here")


def _probe_create(volumes: Volumes, request: requests.CreateVolume) -> ProbeResult:
    row = volumes.volumes.find(request.key)
    if row is None:
        return _left(volumes.volumes.leftovers(request.key))
    info = volumes.info(row)
    same = info.size_bytes == rounded(request.size_bytes) and row.source == request.source
    return _done(volumes.volumes, request.key, info) if same else Absent()


def _probe_resize(volumes: Volumes, request: requests.ResizeVolume) -> ProbeResult:
    row = volumes.volumes.find(request.key)
    if row is None:
        return Absent()
    info = volumes.info(row)
    target = rounded(request.size_bytes)
    reached = info.size_bytes == target or (info.size_bytes > target and not request.shrink)
    if not reached:
        return _left(volumes.volumes.leftovers(request.key))
    with mutations.open_existing(volumes.volumes.data(row)) as file:
        mutations.fsync_file(file)
    return _done(volumes.volumes, request.key, info)


def _probe_revert(volumes: Volumes, operation: str, request: requests.RevertVolume) -> ProbeResult:
    row = volumes.volumes.find(request.key)
    if row is not None and row.reverted == operation:
        return _done(volumes.volumes, request.key, volumes.info(row))
    return _left(volumes.volumes.leftovers(request.key))


def _probe_grant(volumes: Volumes, request: requests.Grant) -> ProbeResult:
    grants = volumes.grants
    grant = grants.find(request.volume, request.host)
    if grant is None or grant.mode is not request.mode:
        return _left(grants.keeper.leftovers(request.volume))
    grants.settle()
    if not _is_admitted(volumes, request.volume, grant):
        return _left([grant.path])
    return Done(
        answer=answers.GrantInfo(
            id=grant.id, volume=request.volume, host=request.host, mode=grant.mode
        )
    )


def _is_admitted(volumes: Volumes, volume: str, grant: GrantName) -> bool:
    data = volumes.volumes.data(volumes.volumes.get(volume))
    return volumes.grants.keeper.is_admitted(grant, data)


def _probe_revoke(volumes: Volumes, request: requests.Revoke) -> ProbeResult:
    volumes.grants.settle()
    grant = volumes.grants.find(request.volume, request.host)
    if grant is not None:
        whole = _is_admitted(volumes, request.volume, grant)
        return Absent() if whole else _left([grant.path])
    if not volumes.is_quiet(request.volume):
        return Undetermined(reason="the grant is gone; a call that began under it is at work")
    return Done(answer=Gone(key=request.volume))


def probe_image(uploads: Uploads, request: requests.Request, fence: int) -> ProbeResult:
    """What became of a call to an image store."""
    uploads.place.row()
    match request:
        case requests.DeleteObject(key=key):
            alone: contextlib.AbstractContextManager[object] = uploads.objects.shelf.acting(
                fence, key, frees=True
            )
        case requests.UploadPart():
            alone = _part_alone(uploads, request, fence)
        case (
            requests.StartUpload(upload=key)
            | requests.CompleteUpload(upload=key)
            | requests.AbortUpload(upload=key)
        ):
            alone = uploads.shelf.acting(fence, key, frees=True)
        case _:
            return Undetermined(reason=f"a {type(request).__name__} changes nothing here")
    with alone:
        return _probe_image(uploads, request)


@contextlib.contextmanager
def _part_alone(uploads: Uploads, request: requests.UploadPart, fence: int) -> Iterator[None]:
    """The other parts of the upload go on."""
    with (
        uploads.shelf.acting(0, request.upload) as held,
        uploads.part_turn(held, request, fence),
    ):
        yield


def _probe_image(uploads: Uploads, request: requests.Request) -> ProbeResult:
    match request:
        case requests.StartUpload():
            row = uploads.shelf.find(request.upload)
            if row is not None and is_same_upload(row, request):
                opened = answers.UploadInfo(upload=row.key, key=row.target)
                return _done(uploads.shelf, request.upload, opened)
            return _left(uploads.shelf.leftovers(request.upload))
        case requests.UploadPart():
            return _probe_part(uploads, request)
        case requests.CompleteUpload():
            return _probe_complete(uploads, request)
        case requests.AbortUpload(upload=upload):
            return _gone(uploads.shelf, upload)
        case requests.DeleteObject(key=key):
            return _gone(uploads.objects.shelf, key)
        case _:
            return Undetermined(reason=f"a {type(request).__name__} changes nothing here")


def _probe_part(uploads: Uploads, request: requests.UploadPart) -> ProbeResult:
    part = part_of(request)
    try:
        stored = tag_of(uploads.part(request.upload, request.number))
    except (FileNotFoundError, Strange):
        stored = ""
    if stored == part.tag:
        return _done(uploads.shelf, request.upload, answers.PartInfo(part=part))
    return _left(uploads.shelf.leftovers(request.upload))


def _probe_complete(uploads: Uploads, request: requests.CompleteUpload) -> ProbeResult:
    objects = uploads.objects
    row = uploads.shelf.find(request.upload)
    object_row = objects.made_by(request)
    if row is None and object_row is not None:
        leftovers = uploads.shelf.leftovers(request.upload) + objects.shelf.leftovers(
            object_row.key
        )
        uploads.shelf.settle(request.upload)
        return _left(leftovers, Done(answer=object_row.info()))
    if row is None:
        return Absent()
    if object_row is not None and object_row.upload_id == row.id:
        return Partial(names=(f"uploads/{uploads.shelf.folder(row.key).name}",))
    return _left(objects.shelf.leftovers(row.target))
