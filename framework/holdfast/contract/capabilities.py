"""What one opened store can do: plain values, grouped by port, fixed once the store is open.

The guard, the planner and the conformance suite read the same objects. Absent means undeclared, and
undeclared means refused with ``Unsupported``. Field names say the unit last; ``None`` as a limit
means that none is declared.
"""

import enum
from typing import Annotated

import msgspec

BYTES_MAX = (1 << 63) - 1
"""No store declares, and nobody asks for, more bytes than this in one thing."""
Count = Annotated[int, msgspec.Meta(ge=0, le=BYTES_MAX)]
"""A number that a driver tells, of bytes or of things: what else it says is no proper answer.

SQL has no larger one, and whatever is reckoned with it stays what it is.
"""


class Enforcer(enum.StrEnum):
    """Who keeps a host without a grant away from the bytes."""

    STORAGE = "storage"
    CONSUMER = "consumer"
    NONE = "none"


class DeleteInUse(enum.StrEnum):
    """What protects a granted volume from deletion."""

    REFUSES = "refuses"
    CALLER_GUARDS = "caller_guards"


class Lifetime(enum.StrEnum):
    """What becomes of a dependent when its parent is to be deleted."""

    INDEPENDENT = "independent"
    BLOCKS_DELETE = "blocks_delete"


class AccessMode(enum.StrEnum):
    """How a grant lets a host use a volume."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"
    READ_ONLY = "read_only"


class ObjectKind(enum.StrEnum):
    """What an object in an image store is."""

    TEMPLATE = "template"
    ISO = "iso"
    SNAPSHOT = "snapshot"
    VOLUME = "volume"


class VolumeCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *volume*: every primary store has it."""

    size_min_bytes: int
    size_max_bytes: int
    size_granularity_bytes: int
    volumes_max: int | None = None
    zeroes_new: bool = True
    thin: bool = False
    delete_in_use: DeleteInUse = DeleteInUse.REFUSES


class ResizeCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *resize*: grow, and shrink where declared; ``online``: granted volumes too."""

    shrink: bool = False
    online: bool = False


class SnapshotCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *snapshot*: a point in time on the primary store.

    ``lifetime`` says what deleting the volume does while snapshots live. ``revert_keeps_newer`` is
    false where a revert to an older snapshot is refused with ``InUse`` while newer ones live.
    """

    revert: bool = False
    revert_keeps_newer: bool = True
    lifetime: Lifetime = Lifetime.INDEPENDENT
    snapshots_per_volume_max: int | None = None
    native: bool = False


class CloneCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *clone*: the sources that ``create_volume`` accepts.

    ``lifetime`` says what deleting the source snapshot (or volume) does while clones live.
    """

    from_snapshot: bool = False
    from_volume: bool = False
    from_data: bool = False
    lifetime: Lifetime = Lifetime.INDEPENDENT
    native: bool = False


class AccessCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *access*: grants of volumes to hosts.

    ``hosts_max`` is how many hosts may be attached to the store; 1 for a store on one host's own
    disk.
    """

    modes: tuple[AccessMode, ...] = (AccessMode.EXCLUSIVE,)
    enforced_at: Enforcer = Enforcer.STORAGE
    hosts_max: int | None = None


class CopyCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *copy*: the backend copies a volume (or object) by itself."""

    native: bool = True


class QosCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *qos*: limits in I/O operations per second, set by ``modify_volume``."""

    iops_min: int
    iops_max: int


class StatsCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *stats*: ``volume`` adds per-volume figures to those of the pools."""

    volume: bool = False


class PrimaryCapabilities(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="role",
    tag="primary",
):
    """Everything one opened primary store declares.

    ``fences``: it keeps the highest fence of each object, for all drivers and for good, and refuses
    a call with a lower one as ``Precondition``; see ``requests.CallContext``.
    """

    volume: VolumeCapabilities
    access: AccessCapabilities
    stats: StatsCapabilities = StatsCapabilities()
    resize: ResizeCapabilities | None = None
    snapshot: SnapshotCapabilities | None = None
    clone: CloneCapabilities | None = None
    copy: CopyCapabilities | None = None
    qos: QosCapabilities | None = None
    fences: bool = False


class UploadCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *upload*: parts are numbered from 1; ``part_min_bytes`` does not bind the last one."""

    object_max_bytes: int
    part_min_bytes: int
    part_max_bytes: int
    parts_max: int
    kinds: tuple[ObjectKind, ...] = tuple(ObjectKind)


class ListCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *list*: ``page_max`` bounds the items of one page."""

    page_max: int
    delimiter: bool = True


class RangeCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *range*: ``get`` of a part of an object."""

    suffix: bool = True


class UrlCapabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Port *url*: addresses that work for a while without credentials, for at most
    ``expires_max_s``.
    """

    expires_max_s: float


class ImageCapabilities(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="role",
    tag="image",
):
    """Everything one opened image store declares; ``fences`` as of a primary store."""

    upload: UploadCapabilities
    list: ListCapabilities
    range: RangeCapabilities | None = None
    copy: CopyCapabilities | None = None
    url: UrlCapabilities | None = None
    fences: bool = False


Capabilities = PrimaryCapabilities | ImageCapabilities


_COUNT_MAX = 1 << 40
_GRANULARITY_MAX_BYTES = 1 << 40


def nonsense_in(declared: Capabilities) -> str:
    """Why no store can be as it is declared, or an empty string.

    What this admits can be computed with: nothing is divided by zero, empty where one must be
    picked, or larger than 64 bits however it is rounded up.
    """
    if isinstance(declared, PrimaryCapabilities):
        return _nonsense_of_volumes(declared.volume) or _nonsense_of_primary(declared)
    return _nonsense_of_image(declared)


def _nonsense_of_volumes(volume: VolumeCapabilities) -> str:
    smallest, largest = volume.size_min_bytes, volume.size_max_bytes
    granularity = volume.size_granularity_bytes
    wrong = (
        _outside("volume.size_granularity_bytes", granularity, 1, _GRANULARITY_MAX_BYTES)
        or _outside("volume.size_max_bytes", largest, 1, BYTES_MAX)
        or _outside("volume.size_min_bytes", smallest, 0, largest)
    )
    if wrong:
        return wrong
    if -(-max(1, smallest) // granularity) * granularity > largest:
        return (
            f"no size lies between volume.size_min_bytes {smallest} and size_max_bytes {largest} "
            f"that size_granularity_bytes {granularity} allows"
        )
    return _outside("volume.volumes_max", volume.volumes_max, 1, _COUNT_MAX)


def _nonsense_of_primary(declared: PrimaryCapabilities) -> str:
    access, snapshot, qos = declared.access, declared.snapshot, declared.qos
    if not access.modes or len(set(access.modes)) < len(access.modes):
        return "access.modes are none, or one of them twice"
    return (
        _outside("access.hosts_max", access.hosts_max, 1, _COUNT_MAX)
        or _outside(
            "snapshot.snapshots_per_volume_max",
            snapshot.snapshots_per_volume_max if snapshot else None,
            1,
            _COUNT_MAX,
        )
        or _outside("qos.iops_max", qos.iops_max if qos else None, 1, _COUNT_MAX)
        or _outside("qos.iops_min", qos.iops_min if qos else None, 0, qos.iops_max if qos else 0)
    )


def _nonsense_of_image(declared: ImageCapabilities) -> str:
    upload, url = declared.upload, declared.url
    wrong = (
        _outside("upload.object_max_bytes", upload.object_max_bytes, 1, BYTES_MAX)
        or _outside("upload.part_max_bytes", upload.part_max_bytes, 1, BYTES_MAX)
        or _outside("upload.part_min_bytes", upload.part_min_bytes, 0, upload.part_max_bytes)
        or _outside("upload.parts_max", upload.parts_max, 1, _COUNT_MAX)
        or _outside("list.page_max", declared.list.page_max, 1, _COUNT_MAX)
    )
    if wrong:
        return wrong
    if not upload.kinds or len(set(upload.kinds)) < len(upload.kinds):
        return "upload.kinds are none, or one of them twice"
    if url is not None and not 0 < url.expires_max_s <= _COUNT_MAX:
        return f"url.expires_max_s is {url.expires_max_s}, and must be above 0 and finite"
    return ""


def _outside(name: str, value: int | None, lowest: int, highest: int) -> str:
    """Why a limit is none; ``None`` is no limit."""
    if value is None or lowest <= value <= highest:
        return ""
    return f"{name} is {value}, and must be {lowest} to {highest}"
