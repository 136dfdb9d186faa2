"""What can be refused before a driver is asked: one check per verb, from its capabilities alone.

``Unsupported`` where the store does not declare what the request needs, ``Invalid`` where the
request can never work, ``OutOfRange`` where a number is outside what the store declares.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from holdfast.contract import requests
from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.errors import Invalid, OutOfRange, Unsupported

_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
MUTATING_VERBS: Final = frozenset(
    {
        "create_volume",
        "delete_volume",
        "resize_volume",
        "modify_volume",
        "revert_volume",
        "copy_volume",
        "create_snapshot",
        "delete_snapshot",
        "grant",
        "revoke",
        "start_upload",
        "upload_part",
        "complete_upload",
        "abort_upload",
        "delete",
        "copy",
    }
)
"""The verbs that change something, and so can be probed."""


def check_text(what: str, text: object, *, empty: bool = False) -> None:
    """Refuse as ``Invalid`` what is not 1..128 bytes of UTF-8 without NUL."""
    if not isinstance(text, str):
        raise Invalid(f"the {what} is a {type(text).__name__}, not text")
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise Invalid(f"the {what} cannot be written as UTF-8") from None
    if not text and not empty:
        raise Invalid(f"the {what} is empty; give 1 to {requests.KEY_MAX_BYTES} bytes")
    if length > requests.KEY_MAX_BYTES:
        raise Invalid(
            f"the {what} has {length} bytes; at most {requests.KEY_MAX_BYTES} are allowed"
        )
    if "\0" in text:
        raise Invalid(f"the {what} contains a NUL character")


def _check_key(request: Any, _: object) -> None:
    check_text("key", request.key)


def _nothing_to_check(_request: object, _: object) -> None:
    return


def _check_positive(what: str, number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool):
        raise Invalid(f"the {what} is a {type(number).__name__}, not a whole number")
    if number <= 0:
        raise Invalid(f"the {what} is {number}; it must be at least 1")
    return number


def _check_size(size_bytes: object, capabilities: PrimaryCapabilities) -> None:
    size = _check_positive("size in bytes", size_bytes)
    volume = capabilities.volume
    if size < volume.size_min_bytes:
        raise OutOfRange(f"{size} bytes is less than the smallest volume, {volume.size_min_bytes}")
    granularity = volume.size_granularity_bytes
    if -(-size // granularity) * granularity > volume.size_max_bytes:
        raise OutOfRange(f"{size} bytes is more than the largest volume, {volume.size_max_bytes}")


def _check_page(limit: object, page_max: int | None = None) -> None:
    items = _check_positive("page limit", limit)
    if page_max is not None and items > page_max:
        raise OutOfRange(f"a page of {items} items is more than the store's {page_max}")


# Primary store


def _check_create_volume(request: requests.CreateVolume, capabilities: PrimaryCapabilities) -> None:
    clone = capabilities.clone
    match request.source:
        case None:
            pass
        case requests.SnapshotSource(snapshot):
            if clone is None or not clone.from_snapshot:
                raise Unsupported("the store cannot create volumes from snapshots")
            check_text("source snapshot's key", snapshot)
        case requests.VolumeSource(volume):
            if clone is None or not clone.from_volume:
                raise Unsupported("the store cannot create volumes from volumes")
            check_text("source volume's key", volume)
        case requests.DataSource(_, size_bytes):
            if clone is None or not clone.from_data:
                raise Unsupported("the store cannot create volumes from data")
            _check_positive("size of the source in bytes", size_bytes)
        case _:  # pyright: ignore[reportUnnecessaryComparison] - callers may be untyped
            raise Invalid(f"a {type(request.source).__name__} is no source of a volume")
    check_text("key", request.key)
    _check_size(request.size_bytes, capabilities)


def _check_list_volumes(request: requests.ListVolumes, _: PrimaryCapabilities) -> None:
    _check_page(request.limit)


def _check_resize(request: requests.ResizeVolume, capabilities: PrimaryCapabilities) -> None:
    if capabilities.resize is None:
        raise Unsupported("the store cannot resize volumes")
    if request.shrink and not capabilities.resize.shrink:
        raise Unsupported("the store cannot shrink volumes")
    check_text("key", request.key)
    _check_size(request.size_bytes, capabilities)


def _check_modify(request: requests.ModifyVolume, capabilities: PrimaryCapabilities) -> None:
    limits = capabilities.qos
    if limits is None:
        raise Unsupported("the store cannot limit the I/O of volumes")
    check_text("key", request.key)
    low = _check_positive("lower I/O limit", request.qos.iops_min)
    high = _check_positive("upper I/O limit", request.qos.iops_max)
    if low > high:
        raise Invalid(f"the lower I/O limit {low} is above the upper one, {high}")
    if low < limits.iops_min or high > limits.iops_max:
        raise OutOfRange(
            f"I/O limits {low}..{high} are outside the store's {limits.iops_min}..{limits.iops_max}"
        )


def _check_revert(request: requests.RevertVolume, capabilities: PrimaryCapabilities) -> None:
    if capabilities.snapshot is None or not capabilities.snapshot.revert:
        raise Unsupported("the store cannot revert volumes")
    check_text("key", request.key)
    check_text("snapshot's key", request.snapshot)


def _check_copy_volume(request: requests.CopyVolume, capabilities: PrimaryCapabilities) -> None:
    if capabilities.copy is None:
        raise Unsupported("the store cannot copy volumes natively")
    check_text("key", request.key)
    check_text("target's key", request.target)


def _require_snapshots(capabilities: PrimaryCapabilities) -> None:
    if capabilities.snapshot is None:
        raise Unsupported("the store has no snapshots")


def _check_create_snapshot(
    request: requests.CreateSnapshot, capabilities: PrimaryCapabilities
) -> None:
    _require_snapshots(capabilities)
    check_text("key", request.key)
    check_text("volume's key", request.volume)


def _check_snapshot_key(
    request: requests.GetSnapshot | requests.DeleteSnapshot, capabilities: PrimaryCapabilities
) -> None:
    _require_snapshots(capabilities)
    check_text("key", request.key)


def _check_list_snapshots(
    request: requests.ListSnapshots, capabilities: PrimaryCapabilities
) -> None:
    _require_snapshots(capabilities)
    check_text("volume's key", request.volume, empty=True)
    _check_page(request.limit)


def _check_volume_and_host(request: Any, _: object) -> None:
    check_text("volume's key", request.volume)
    check_text("host's name", request.host)


def _check_grant(request: requests.Grant, capabilities: PrimaryCapabilities) -> None:
    if request.mode not in capabilities.access.modes:
        raise Unsupported(f"the store has no access mode {request.mode!s}")
    _check_volume_and_host(request, capabilities)


def _check_primary_stats(request: requests.GetStats, capabilities: PrimaryCapabilities) -> None:
    if request.volume and not capabilities.stats.volume:
        raise Unsupported("the store has no figures of single volumes")
    check_text("volume's key", request.volume, empty=True)


# Image store


def _check_start_upload(request: requests.StartUpload, capabilities: ImageCapabilities) -> None:
    if request.kind not in capabilities.upload.kinds:
        raise Unsupported(f"the store keeps no object of kind {request.kind!s}")
    check_text("upload's key", request.upload)
    check_text("key", request.key)
    check_text("content type", request.content_type)
    if not request.content_type.isprintable():
        raise Invalid("the content type has characters that cannot be printed")


def _check_upload_part(request: requests.UploadPart, capabilities: ImageCapabilities) -> None:
    check_text("upload's key", request.upload)
    limits = capabilities.upload
    if not 1 <= request.number <= limits.parts_max:
        raise OutOfRange(f"part {request.number} is outside 1..{limits.parts_max}")
    size = len(request.data)
    if size > limits.part_max_bytes:
        raise OutOfRange(f"a part of {size} bytes is more than the {limits.part_max_bytes} allowed")


def _check_complete_upload(
    request: requests.CompleteUpload, capabilities: ImageCapabilities
) -> None:
    check_text("upload's key", request.upload)
    if not _SHA256.match(request.sha256):
        # Drivers compare and keep it as text: one digest must not be two.
        raise Invalid("a SHA-256 is 64 hexadecimal digits in lower case", object=request.upload)
    limits = capabilities.upload
    if len(request.parts) > limits.parts_max:
        raise OutOfRange(f"{len(request.parts)} parts are more than the {limits.parts_max} allowed")
    # The claimed total is the driver's to compare; here count the parts as they were acknowledged.
    total = sum(part.size_bytes for part in request.parts)
    if total > limits.object_max_bytes:
        raise OutOfRange(
            f"{total} bytes is more than the largest object, {limits.object_max_bytes}"
        )
    by_number = sorted(request.parts, key=lambda part: part.number)
    for part in by_number[:-1]:
        if part.size_bytes < limits.part_min_bytes and part.number != by_number[-1].number:
            raise OutOfRange(
                f"part {part.number} has {part.size_bytes} bytes; only the last part may have "
                f"fewer than {limits.part_min_bytes}"
            )


def _check_abort(request: requests.AbortUpload, _: ImageCapabilities) -> None:
    check_text("upload's key", request.upload)


def _check_get(request: requests.GetObject, capabilities: ImageCapabilities) -> None:
    whole = request.offset_bytes == 0 and request.length_bytes is None
    if not whole and capabilities.range is None:
        raise Unsupported("the store cannot read a part of an object")
    if request.offset_bytes < 0 and not (capabilities.range and capabilities.range.suffix):
        raise Unsupported("the store cannot read from the end of an object")
    check_text("key", request.key)
    if request.length_bytes is not None:
        _check_positive("length in bytes", request.length_bytes)


def _check_list_objects(request: requests.ListObjects, capabilities: ImageCapabilities) -> None:
    if request.delimiter and not capabilities.list.delimiter:
        raise Unsupported("the store cannot fold keys at a delimiter")
    check_text("prefix", request.prefix, empty=True)
    check_text("delimiter", request.delimiter, empty=True)
    _check_page(request.limit, capabilities.list.page_max)


def _check_copy_object(request: requests.CopyObject, capabilities: ImageCapabilities) -> None:
    if capabilities.copy is None:
        raise Unsupported("the store cannot copy objects natively")
    check_text("key", request.key)
    check_text("target's key", request.target)


def _check_temporary_url(request: requests.TemporaryUrl, capabilities: ImageCapabilities) -> None:
    limits = capabilities.url
    if limits is None:
        raise Unsupported("the store has no temporary addresses")
    check_text("key", request.key)
    if not request.expires_s > 0:
        raise Invalid(f"an address cannot expire after {request.expires_s} seconds")
    if request.expires_s > limits.expires_max_s:
        raise OutOfRange(
            f"{request.expires_s} seconds is more than the {limits.expires_max_s} allowed"
        )


def _check_image_stats(request: requests.GetStats, _: ImageCapabilities) -> None:
    if request.volume:
        raise Unsupported("an image store has no figures of single volumes")


Admission = Callable[[Any, Any], None]
"""Refuses a request, from the capabilities that the store declares."""

PRIMARY_CHECKS: Final[dict[type[requests.Request], Admission]] = {
    requests.CreateVolume: _check_create_volume,
    requests.GetVolume: _check_key,
    requests.ListVolumes: _check_list_volumes,
    requests.DeleteVolume: _check_key,
    requests.ResizeVolume: _check_resize,
    requests.ModifyVolume: _check_modify,
    requests.RevertVolume: _check_revert,
    requests.CopyVolume: _check_copy_volume,
    requests.CreateSnapshot: _check_create_snapshot,
    requests.GetSnapshot: _check_snapshot_key,
    requests.ListSnapshots: _check_list_snapshots,
    requests.DeleteSnapshot: _check_snapshot_key,
    requests.Grant: _check_grant,
    requests.Revoke: _check_volume_and_host,
    requests.Open: _check_volume_and_host,
    requests.ListPools: _nothing_to_check,
    requests.GetStats: _check_primary_stats,
    requests.CheckHealth: _nothing_to_check,
    requests.EnumerateOwned: _nothing_to_check,
}

IMAGE_CHECKS: Final[dict[type[requests.Request], Admission]] = {
    requests.StartUpload: _check_start_upload,
    requests.UploadPart: _check_upload_part,
    requests.CompleteUpload: _check_complete_upload,
    requests.AbortUpload: _check_abort,
    requests.GetObject: _check_get,
    requests.OpenObject: _check_key,
    requests.HeadObject: _check_key,
    requests.ListObjects: _check_list_objects,
    requests.DeleteObject: _check_key,
    requests.CopyObject: _check_copy_object,
    requests.TemporaryUrl: _check_temporary_url,
    requests.GetStats: _check_image_stats,
    requests.CheckHealth: _nothing_to_check,
    requests.EnumerateOwned: _nothing_to_check,
}


def check_life_cycle(request: requests.Request) -> None:
    """Refuse a life-cycle request whose names can never work."""
    match request:
        case requests.InitializeStore(name=name, identity=identity):
            check_text("store's name", name)
            check_text("store's identity", identity, empty=True)
        case requests.AdoptStore(driver_id=driver_id, identity=identity):
            check_text("driver's id of the store", driver_id)
            check_text("store's identity", identity)
        case requests.AttachHost(host=host) | requests.DetachHost(host=host):
            check_text("host's name", host)
        case _:
            return
