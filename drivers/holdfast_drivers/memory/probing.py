"""What became of a call whose answer was lost, told from the state it would have left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract import requests
from holdfast.contract.answers import Absent, Answer, Done, Gone, PartInfo, ProbeResult, UploadInfo
from holdfast.contract.errors import Unsupported
from holdfast_drivers.memory.backend import Store
from holdfast_drivers.memory.fences import Fenced

if TYPE_CHECKING:
    from holdfast_drivers.memory.image_driver import MemoryImageDriver
    from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


def _done_if(answer: Answer | None) -> ProbeResult:
    return Absent() if answer is None else Done(answer=answer)


def probe_primary(
    driver: MemoryPrimaryDriver, store: Store, request: requests.Request, fence: int
) -> ProbeResult:
    """Whether a primary store's call took effect: its row, size or absence is there.

    Like a call that changes something it keeps its fence: what it does not see never happens.
    """
    match request:
        case requests.CreateSnapshot(key=key) | requests.DeleteSnapshot(key=key):
            store.fences.enter(Fenced.SNAPSHOT, key, fence)
        case requests.Grant(volume=key) | requests.Revoke(volume=key):
            store.fences.enter(Fenced.VOLUME, key, fence)
        case (
            requests.CreateVolume(key=key)
            | requests.DeleteVolume(key=key)
            | requests.ResizeVolume(key=key)
            | requests.RevertVolume(key=key)
            | requests.ModifyVolume(key=key)
            | requests.CopyVolume(target=key)
        ):
            store.fences.enter(Fenced.VOLUME, key, fence)
        case _:
            pass
    return _probe_primary(driver, store, request)


def _probe_primary(
    driver: MemoryPrimaryDriver, store: Store, request: requests.Request
) -> ProbeResult:
    match request:
        case requests.CreateVolume(key=key):
            volume = store.volumes.get(key)
            if volume is None or not driver.compatible(volume, request):
                return Absent()
            return Done(answer=driver.info(volume))
        case requests.DeleteVolume(key=key):
            return _done_if(None if key in store.volumes else Gone(key=key))
        case requests.ResizeVolume() | requests.RevertVolume():
            return _probe_change(driver, store, request)
        case _:
            return _probe_dependent(driver, store, request)


def _probe_dependent(
    driver: MemoryPrimaryDriver, store: Store, request: requests.Request
) -> ProbeResult:
    """As above, for snapshots and grants."""
    match request:
        case requests.CreateSnapshot(key=key, volume=volume):
            snapshot = store.snapshots.get(key)
            if snapshot is None or snapshot.volume != volume:
                return Absent()
            return Done(answer=driver.snapshot_info(snapshot))
        case requests.DeleteSnapshot(key=key):
            return _done_if(None if key in store.snapshots else Gone(key=key))
        case requests.Grant(volume=volume, host=host, mode=mode):
            grant = store.grants.get((volume, host))
            if grant is None or grant.mode is not mode:
                return Absent()
            return Done(answer=driver.grant_info(grant))
        case requests.Revoke(volume=volume, host=host):
            return _done_if(None if (volume, host) in store.grants else Gone(key=volume))
        case _:
            raise Unsupported(f"this driver cannot probe a {type(request).__name__}")


def _probe_change(
    driver: MemoryPrimaryDriver,
    store: Store,
    request: requests.ResizeVolume | requests.RevertVolume,
) -> ProbeResult:
    volume = store.volumes.get(request.key)
    if volume is None:
        return Absent()
    if isinstance(request, requests.RevertVolume):
        snapshot = store.snapshots.get(request.snapshot)
        reached = snapshot is not None and volume.content.same_as(snapshot.content)
    else:
        target = driver.rounded(request.size_bytes)
        size = volume.content.size_bytes
        reached = size == target if request.shrink else size >= target
    return Done(answer=driver.info(volume)) if reached else Absent()


def probe_image(
    driver: MemoryImageDriver, store: Store, request: requests.Request, fence: int
) -> ProbeResult:
    """Whether an image store's call took effect; as ``probe_primary``."""
    match request:
        case (
            requests.StartUpload(upload=key)
            | requests.CompleteUpload(upload=key)
            | requests.AbortUpload(upload=key)
        ):
            store.fences.enter(Fenced.UPLOAD, key, fence)
        case requests.UploadPart(upload=key, number=number):
            store.fences.enter(Fenced.PART, f"{key}/{number}", fence)
        case requests.DeleteObject(key=key) | requests.CopyObject(target=key):
            store.fences.enter(Fenced.OBJECT, key, fence)
        case _:
            pass
    return _probe_image(driver, store, request)


def _probe_image(driver: MemoryImageDriver, store: Store, request: requests.Request) -> ProbeResult:
    match request:
        case requests.StartUpload(upload=key):
            upload = store.uploads.get(key)
            opened = upload is not None and driver.same_upload(upload, request)
            finished = driver.made_by(store, key) is not None
            started = opened or (upload is None and finished)
            return _done_if(UploadInfo(upload=key, key=request.key) if started else None)
        case requests.UploadPart(upload=key, number=number, data=data):
            upload = store.uploads.get(key)
            part = upload.parts.get(number) if upload else None
            same = part is not None and part.data == data
            return Done(answer=PartInfo(part=part.reference)) if part and same else Absent()
        case requests.CompleteUpload(upload=key):
            row = driver.made_by(store, key)
            if row is None or row.sha256 != request.sha256:
                return Absent()
            return Done(answer=driver.info(row))
        case requests.AbortUpload(upload=key):
            return _done_if(None if key in store.uploads else Gone(key=key))
        case requests.DeleteObject(key=key):
            return _done_if(None if key in store.objects else Gone(key=key))
        case requests.CopyObject():
            return _probe_copy(driver, store, request)
        case _:
            raise Unsupported(f"this driver cannot probe a {type(request).__name__}")


def _probe_copy(
    driver: MemoryImageDriver, store: Store, request: requests.CopyObject
) -> ProbeResult:
    source, there = store.objects.get(request.key), store.objects.get(request.target)
    if there is None or (source is not None and not driver.alike(source, there)):
        return Absent()
    return Done(answer=driver.info(there))
