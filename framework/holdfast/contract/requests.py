"""What the framework asks of a driver: one frozen struct per verb.

Every verb is ``async def verb(self, ctx: CallContext, request: Request) -> Info``. A key is the
caller's own name for an object (1..128 bytes of UTF-8, case-sensitive, never truncated) and unique
within the store's namespace per kind of object. Sizes and offsets are bytes. The tag of each struct
is the verb, so that requests can be journalled and replayed.
"""

import enum

import msgspec

from holdfast.contract.capabilities import AccessMode, ObjectKind
from holdfast.contract.handles import Handle

KEY_MAX_BYTES = 128


class Role(enum.StrEnum):
    """What a store is for."""

    PRIMARY = "primary"
    IMAGE = "image"


class ScopeKind(enum.StrEnum):
    """The level of the placement tree that a store serves."""

    HOST = "host"
    CLUSTER = "cluster"
    ZONE = "zone"
    REGION = "region"


class CallContext(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is calling, for which step of which operation, and until when.

    ``deadline`` is in seconds on the running loop's clock. ``fence`` rises with every call of the
    catalogue's owner, and from owner to owner (the owner's own fence is in its upper bits): a
    backend that can keeps the highest it has seen for an object, before it acts, and answers a call
    with a lower one ``Precondition``. 0 is a caller without a fence, never checked nor kept.
    """

    operation: str
    step: int = 0
    attempt: int = 1
    fence: int = 0
    deadline: float


class Request(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="verb"
):
    """The base of all requests; its tag names the verb."""


# Primary store: volumes


class SnapshotSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="snapshot"):
    """A new volume starts with the bytes of this snapshot (Requires ``clone.from_snapshot``)."""

    snapshot: str


class VolumeSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="volume"):
    """A new volume starts with the bytes of this volume (Requires ``clone.from_volume``)."""

    volume: str


class DataSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="data"):
    """A new volume starts with the first ``size_bytes`` behind this handle.

    That is any number up to what is behind it; what a larger volume has after them reads as zeroes.
    Requires ``clone.from_data``.
    """

    handle: Handle
    size_bytes: int


Source = SnapshotSource | VolumeSource | DataSource


class Qos(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits in I/O operations per second."""

    iops_min: int
    iops_max: int


class CreateVolume(Request, frozen=True, kw_only=True, tag="create_volume"):
    key: str
    size_bytes: int
    source: Source | None = None


class GetVolume(Request, frozen=True, kw_only=True, tag="get_volume"):
    key: str


class ListVolumes(Request, frozen=True, kw_only=True, tag="list_volumes"):
    token: str = ""
    limit: int = 1000


class DeleteVolume(Request, frozen=True, kw_only=True, tag="delete_volume"):
    key: str


class ResizeVolume(Request, frozen=True, kw_only=True, tag="resize_volume"):
    key: str
    size_bytes: int
    shrink: bool = False


class ModifyVolume(Request, frozen=True, kw_only=True, tag="modify_volume"):
    key: str
    qos: Qos


class RevertVolume(Request, frozen=True, kw_only=True, tag="revert_volume"):
    key: str
    snapshot: str


class CopyVolume(Request, frozen=True, kw_only=True, tag="copy_volume"):
    """Copy a volume natively to a new key in the same store."""

    key: str
    target: str


class CreateSnapshot(Request, frozen=True, kw_only=True, tag="create_snapshot"):
    key: str
    volume: str


class GetSnapshot(Request, frozen=True, kw_only=True, tag="get_snapshot"):
    key: str


class ListSnapshots(Request, frozen=True, kw_only=True, tag="list_snapshots"):
    """The snapshots of one volume, or of all where ``volume`` is empty."""

    volume: str = ""
    token: str = ""
    limit: int = 1000


class DeleteSnapshot(Request, frozen=True, kw_only=True, tag="delete_snapshot"):
    key: str


# Primary store: access


class Grant(Request, frozen=True, kw_only=True, tag="grant"):
    """Let a host use a volume. ``secret`` is the host's credential (CHAP or the like): never shown
    anywhere.
    """

    volume: str
    host: str
    mode: AccessMode = AccessMode.EXCLUSIVE
    secret: str = ""


class Revoke(Request, frozen=True, kw_only=True, tag="revoke"):
    volume: str
    host: str


class Open(Request, frozen=True, kw_only=True, tag="open"):
    """Ask for the handle through which the granted host reaches the volume's bytes."""

    volume: str
    host: str


# Both roles


class ListPools(Request, frozen=True, kw_only=True, tag="pools"):
    """The pools of a primary store."""


class GetStats(Request, frozen=True, kw_only=True, tag="stats"):
    """Figures of the store, and of one volume where ``volume`` names one (Requires
    ``stats.volume``).
    """

    volume: str = ""


class CheckHealth(Request, frozen=True, kw_only=True, tag="health"):
    """Ask whether the store can work now."""


class EnumerateOwned(Request, frozen=True, kw_only=True, tag="enumerate"):
    """Everything the namespace owns, unfinished and temporary things included."""


# Image store


class StartUpload(Request, frozen=True, kw_only=True, tag="start_upload"):
    """Open an upload under the caller's own upload key; nothing is visible under ``key`` yet."""

    upload: str
    key: str
    kind: ObjectKind
    content_type: str = "application/octet-stream"


class UploadPart(Request, frozen=True, kw_only=True, tag="upload_part"):
    """Send part ``number`` (from 1); sending a number again replaces that part."""

    upload: str
    number: int
    data: bytes


class PartReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part as the driver acknowledged it; ``tag`` is the driver's own (an ETag or the like)."""

    number: int
    size_bytes: int
    tag: str


class CompleteUpload(Request, frozen=True, kw_only=True, tag="complete_upload"):
    """Make the object visible, replacing what was under the key, if size and SHA-256 are right.

    ``sha256`` is 64 hexadecimal digits in lower case.
    """

    upload: str
    parts: tuple[PartReference, ...]
    size_bytes: int
    sha256: str


class AbortUpload(Request, frozen=True, kw_only=True, tag="abort_upload"):
    upload: str


class GetObject(Request, frozen=True, kw_only=True, tag="get"):
    """Read an object, or ``length_bytes`` from ``offset_bytes`` (Requires ``range``).

    A negative offset counts from the end (Requires ``range.suffix``). A range is cut at the end of
    the object; one that starts past it is ``OutOfRange``.
    """

    key: str
    offset_bytes: int = 0
    length_bytes: int | None = None


class OpenObject(Request, frozen=True, kw_only=True, tag="open_object"):
    key: str


class HeadObject(Request, frozen=True, kw_only=True, tag="head"):
    key: str


class ListObjects(Request, frozen=True, kw_only=True, tag="list"):
    """Keys under ``prefix`` in byte order; a delimiter folds deeper keys into prefixes."""

    prefix: str = ""
    delimiter: str = ""
    token: str = ""
    limit: int = 1000


class DeleteObject(Request, frozen=True, kw_only=True, tag="delete"):
    key: str


class CopyObject(Request, frozen=True, kw_only=True, tag="copy"):
    key: str
    target: str


class TemporaryUrl(Request, frozen=True, kw_only=True, tag="temporary_url"):
    key: str
    expires_s: float


# Life cycle of a store


class InitializeStore(Request, frozen=True, kw_only=True, tag="initialize"):
    """Make the configured place a store of this name.

    ``identity`` is made by the framework, is written into the place and never changes: it says
    which store the place is. Empty for who does not care.
    """

    name: str
    identity: str = ""


class AttachHost(Request, frozen=True, kw_only=True, tag="attach"):
    """Make the store usable from a host."""

    host: str


class DetachHost(Request, frozen=True, kw_only=True, tag="detach"):
    host: str


class MaintainStore(Request, frozen=True, kw_only=True, tag="maintain"):
    """Allow no new allocation; existing grants keep working."""


class CancelMaintenance(Request, frozen=True, kw_only=True, tag="cancel_maintenance"):
    """Return a store from maintenance to service."""


class AdoptStore(Request, frozen=True, kw_only=True, tag="adopt"):
    """Write an identity into a store from before stores had one.

    ``driver_id`` is the id that the driver gave the store; another store is refused.
    """

    driver_id: str
    identity: str


class DeleteStore(Request, frozen=True, kw_only=True, tag="delete_store"):
    """Give the place back; ``InUse``, naming the holders, while anything lives in it."""


PrimaryRequest = (
    CreateVolume
    | GetVolume
    | ListVolumes
    | DeleteVolume
    | ResizeVolume
    | ModifyVolume
    | RevertVolume
    | CopyVolume
    | CreateSnapshot
    | GetSnapshot
    | ListSnapshots
    | DeleteSnapshot
    | Grant
    | Revoke
    | Open
    | ListPools
    | GetStats
    | CheckHealth
    | EnumerateOwned
)
ImageRequest = (
    StartUpload
    | UploadPart
    | CompleteUpload
    | AbortUpload
    | GetObject
    | OpenObject
    | HeadObject
    | ListObjects
    | DeleteObject
    | CopyObject
    | TemporaryUrl
    | GetStats
    | CheckHealth
    | EnumerateOwned
)
LifeCycleRequest = (
    InitializeStore
    | AttachHost
    | DetachHost
    | MaintainStore
    | CancelMaintenance
    | AdoptStore
    | DeleteStore
)


def verb_of(request: Request) -> str:
    """The verb a request belongs to, which is also the driver method's name."""
    return str(request.__struct_config__.tag)
