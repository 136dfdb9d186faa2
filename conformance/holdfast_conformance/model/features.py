"""Optional features: which of them a step needs, and which a store declares."""

from collections.abc import Iterator

from holdfast.contract.capabilities import (
    AccessMode,
    ImageCapabilities,
    ObjectKind,
    PrimaryCapabilities,
)
from holdfast.contract.requests import (
    CopyObject,
    CopyVolume,
    CreateSnapshot,
    CreateVolume,
    DataSource,
    DeleteSnapshot,
    GetObject,
    GetSnapshot,
    GetStats,
    Grant,
    ListObjects,
    ListSnapshots,
    ModifyVolume,
    Request,
    ResizeVolume,
    RevertVolume,
    SnapshotSource,
    StartUpload,
    TemporaryUrl,
    VolumeSource,
)
from holdfast_conformance.address_steps import MakeAddress
from holdfast_conformance.list_steps import WalkSnapshots
from holdfast_conformance.plan import (
    CreateFromData,
    PutObject,
    Step,
    Together,
    WalkObjects,
    subject_of,
)

PRIMARY_FEATURES = (
    "resize",
    "resize.shrink",
    "snapshot",
    "snapshot.revert",
    "clone.from_snapshot",
    "clone.from_volume",
    "clone.from_data",
    "copy",
    "qos",
    "stats.volume",
    *(f"access.{mode.value}" for mode in AccessMode),
)
IMAGE_FEATURES = (
    "range",
    "range.suffix",
    "list.delimiter",
    "copy",
    "url",
    *(f"upload.{kind.value}" for kind in ObjectKind),
)


def features_of(step: Step) -> tuple[str, ...]:  # noqa: C901, PLR0912 - one arm per verb
    """The optional features without which this step is ``Unsupported``."""
    match subject_of(step):
        case ResizeVolume(shrink=True):
            return ("resize", "resize.shrink")
        case ResizeVolume():
            return ("resize",)
        case RevertVolume():
            return ("snapshot", "snapshot.revert")
        case CreateSnapshot() | GetSnapshot() | DeleteSnapshot():
            return ("snapshot",)
        case ListSnapshots() | WalkSnapshots():
            return ("snapshot",)
        case CreateVolume(source=source) if source is not None:
            return (_feature_of_source(source),)
        case CreateFromData():
            return ("clone.from_data",)
        case CopyVolume() | CopyObject():
            return ("copy",)
        case ModifyVolume():
            return ("qos",)
        case GetStats(volume=volume) if volume:
            return ("stats.volume",)
        case Grant(mode=mode):
            return (f"access.{mode.value}",)
        case Together(steps=calls):
            return tuple(dict.fromkeys(name for call in calls for name in features_of(call)))
        case subject:
            return _image_features_of(subject)


def declared_features(capabilities: PrimaryCapabilities | ImageCapabilities) -> frozenset[str]:
    """The optional features that a store declares."""
    if isinstance(capabilities, PrimaryCapabilities):
        return frozenset(_primary_features(capabilities))
    return frozenset(_image_features(capabilities))


def all_features(capabilities: PrimaryCapabilities | ImageCapabilities) -> tuple[str, ...]:
    """The optional features that there are in the role of these capabilities."""
    primary = isinstance(capabilities, PrimaryCapabilities)
    return PRIMARY_FEATURES if primary else IMAGE_FEATURES


def _feature_of_source(source: SnapshotSource | VolumeSource | DataSource) -> str:
    match source:
        case SnapshotSource():
            return "clone.from_snapshot"
        case VolumeSource():
            return "clone.from_volume"
        case DataSource():
            return "clone.from_data"


def _image_features_of(step: Request) -> tuple[str, ...]:
    match step:
        case GetObject(offset_bytes=offset) if offset < 0:
            return ("range", "range.suffix")
        case GetObject(offset_bytes=0, length_bytes=None):
            return ()
        case GetObject():
            return ("range",)
        case ListObjects(delimiter=delimiter) | WalkObjects(delimiter=delimiter) if delimiter:
            return ("list.delimiter",)
        case TemporaryUrl() | MakeAddress():
            return ("url",)
        case StartUpload(kind=kind) | PutObject(kind=kind):
            return (f"upload.{kind.value}",)
        case _:
            return ()


def _primary_features(declared: PrimaryCapabilities) -> Iterator[str]:
    yield from (f"access.{mode.value}" for mode in declared.access.modes)
    if declared.resize is not None:
        yield "resize"
        if declared.resize.shrink:
            yield "resize.shrink"
    if declared.snapshot is not None:
        yield "snapshot"
        if declared.snapshot.revert:
            yield "snapshot.revert"
    clone = declared.clone
    if clone is not None:
        sources = (
            ("clone.from_snapshot", clone.from_snapshot),
            ("clone.from_volume", clone.from_volume),
            ("clone.from_data", clone.from_data),
        )
        yield from (name for name, there in sources if there)
    if declared.copy is not None:
        yield "copy"
    if declared.qos is not None:
        yield "qos"
    if declared.stats.volume:
        yield "stats.volume"


def _image_features(declared: ImageCapabilities) -> Iterator[str]:
    yield from (f"upload.{kind.value}" for kind in declared.upload.kinds)
    if declared.list.delimiter:
        yield "list.delimiter"
    if declared.range is not None:
        yield "range"
        if declared.range.suffix:
            yield "range.suffix"
    if declared.copy is not None:
        yield "copy"
    if declared.url is not None:
        yield "url"
