"""What a driver reports: frozen structs, sizes in bytes. What the catalogue holds is in
``holdfast.model``.
"""

import enum

import msgspec

from holdfast.contract.capabilities import AccessMode, Count, ObjectKind
from holdfast.contract.requests import PartReference, Qos


class Info(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="info"):
    """The base of all answers; the tag names its type in journals and traces."""


class VolumeInfo(Info, frozen=True, kw_only=True, tag="volume"):
    """A volume as the backend has it.

    ``id`` is the driver's own opaque id (at most 128 bytes, never reused). ``size_bytes`` is the
    true
    size; ``source`` is the key of the snapshot or volume it was created from, or empty.
    """

    key: str
    id: str
    size_bytes: Count
    source: str = ""
    qos: Qos | None = None


class SnapshotInfo(Info, frozen=True, kw_only=True, tag="snapshot"):
    """A snapshot; ``size_bytes`` is the volume's size at that moment."""

    key: str
    id: str
    volume: str
    size_bytes: Count
    ready: bool = True


class GrantInfo(Info, frozen=True, kw_only=True, tag="grant"):
    """A host's right to use a volume; granting the same mode again returns the same grant."""

    id: str
    volume: str
    host: str
    mode: AccessMode


class PoolInfo(Info, frozen=True, kw_only=True, tag="pool"):
    """A pool's figures: what exists, what is promised (allocated) what really occupies space."""

    name: str
    total_bytes: Count
    used_bytes: Count
    allocated_bytes: Count


class StatsInfo(Info, frozen=True, kw_only=True, tag="stats"):
    """Figures of a store or of one volume.

    For a volume ``total_bytes`` is its virtual size and ``used_bytes`` what it physically occupies;
    ``allocated_bytes`` is what is promised.
    """

    total_bytes: Count
    used_bytes: Count
    allocated_bytes: Count
    objects: Count


class HealthState(enum.StrEnum):
    """Whether a store can work now."""

    UP = "up"
    DOWN = "down"


class HealthInfo(Info, frozen=True, kw_only=True, tag="health"):
    """Health of the store; when it is down, ``dependency`` names what failed."""

    state: HealthState
    dependency: str = ""
    detail: str = ""


class UploadInfo(Info, frozen=True, kw_only=True, tag="upload"):
    """An open upload."""

    upload: str
    key: str


class PartInfo(Info, frozen=True, kw_only=True, tag="part"):
    """An acknowledged part."""

    part: PartReference


class ObjectInfo(Info, frozen=True, kw_only=True, tag="object"):
    """A complete object in an image store; ``sha256`` is of its whole content."""

    key: str
    id: str
    kind: ObjectKind
    content_type: str
    size_bytes: Count
    sha256: str


class ObjectData(Info, frozen=True, kw_only=True, tag="object_data"):
    """Bytes of an object: ``data`` starts at ``offset_bytes`` of ``object``."""

    object: ObjectInfo
    offset_bytes: Count
    data: bytes


class UrlInfo(Info, frozen=True, kw_only=True, tag="url"):
    """A temporary address: an absolute one of scheme ``http`` or ``https``.

    The object is in its path, what proves the right to it in its query. It is a secret for as long
    as it works, so it is not shown.
    """

    url: str

    def __repr__(self) -> str:
        """Without the address."""
        return "UrlInfo(url=...)"


class Gone(Info, frozen=True, kw_only=True, tag="gone"):
    """The object is absent now, whether or not it was there before."""

    key: str


class StoreState(enum.StrEnum):
    """What the backend knows of a store's life cycle."""

    UP = "up"
    MAINTENANCE = "maintenance"


class StoreInfo(Info, frozen=True, kw_only=True, tag="store"):
    """A store as its backend knows it. ``hosts`` are the attached hosts in byte order.

    ``identity`` is what ``initialize`` was told, read from the place; empty in a store from before.
    """

    id: str
    name: str
    state: StoreState
    hosts: tuple[str, ...] = ()
    identity: str = ""


class VolumePage(Info, frozen=True, kw_only=True, tag="volume_page"):
    """One page of volumes; an empty token ends the list."""

    items: tuple[VolumeInfo, ...]
    token: str = ""


class SnapshotPage(Info, frozen=True, kw_only=True, tag="snapshot_page"):
    """One page of snapshots; an empty token ends the list."""

    items: tuple[SnapshotInfo, ...]
    token: str = ""


class ObjectPage(Info, frozen=True, kw_only=True, tag="object_page"):
    """One page of objects and common prefixes; an empty token ends the list."""

    items: tuple[ObjectInfo, ...]
    prefixes: tuple[str, ...] = ()
    token: str = ""


class PoolList(Info, frozen=True, kw_only=True, tag="pools"):
    """All pools of a primary store."""

    items: tuple[PoolInfo, ...]


class OwnedKind(enum.StrEnum):
    """What sort of thing a namespace owns."""

    STORE = "store"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    GRANT = "grant"
    OBJECT = "object"
    UPLOAD = "upload"
    TEMPORARY = "temporary"
    UNREADABLE = "unreadable"
    """What cannot be read where a thing should be: damaged, or put there by somebody else."""


class OwnedThing(Info, frozen=True, kw_only=True, tag="owned"):
    """One thing the namespace owns.

    ``key`` is empty where none is known; ``operation`` is the operation that made it, where the
    backend can hold that. An unfinished thing is not visible under its final name.

    Of an unreadable one ``id`` says where it is, ``reason`` what is wrong with it, and ``key`` is
    the one that its name stands for, if any. It is set apart: it fails no call about other things.
    """

    kind: OwnedKind
    id: str
    key: str = ""
    size_bytes: Count = 0
    unfinished: bool = False
    operation: str = ""
    reason: str = ""


class Absent(Info, frozen=True, kw_only=True, tag="absent"):
    """A probed call had no effect."""


class Partial(Info, frozen=True, kw_only=True, tag="partial"):
    """A probed call left these unfinished things."""

    names: tuple[str, ...]


class Done(Info, frozen=True, kw_only=True, tag="done"):
    """A probed call took full effect; this is the answer that was lost."""

    answer: "Answer"


class Undetermined(Info, frozen=True, kw_only=True, tag="unknown"):
    """The backend cannot be asked now, or cannot tell."""

    reason: str


Answer = (
    VolumeInfo
    | SnapshotInfo
    | GrantInfo
    | UploadInfo
    | PartInfo
    | ObjectInfo
    | StoreInfo
    | UrlInfo
    | Gone
)
ProbeResult = Absent | Partial | Done | Undetermined
