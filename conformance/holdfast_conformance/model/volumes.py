"""The model's rules for creating, deleting and resizing volumes."""

import msgspec

from holdfast.contract.capabilities import DeleteInUse, Lifetime, PrimaryCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    CopyVolume,
    CreateVolume,
    DataSource,
    DeleteVolume,
    ModifyVolume,
    ResizeVolume,
    SnapshotSource,
    VolumeSource,
)
from holdfast_conformance.model.access import USELESS
from holdfast_conformance.model.allowed_outcomes import Reasons, Ruling
from holdfast_conformance.model.content import EMPTY, Content
from holdfast_conformance.model.primary_state import (
    Origin,
    PrimaryState,
    Situation,
    SourceKind,
    VolumeModel,
)
from holdfast_conformance.plan import CreateFromData, Step

_S = Situation
SURELY_FITS_BYTES = 1 << 30
"""Up to this size a correct store of a testbed has room; larger ones may be ``Exhausted``."""


class Parent(msgspec.Struct, frozen=True):
    """What a new volume starts from."""

    origin: Origin
    size_bytes: int
    content: Content


def rounded(size_bytes: int, capabilities: PrimaryCapabilities) -> int:
    """The true size of a volume for which this size was asked."""
    granularity = capabilities.volume.size_granularity_bytes
    return -(-size_bytes // granularity) * granularity


def note_size(reasons: Reasons, size_bytes: int, capabilities: PrimaryCapabilities) -> bool:
    """Note what is special about a size; whether it may be refused although it need not be."""
    limits = capabilities.volume
    true_bytes = rounded(size_bytes, capabilities)
    if true_bytes != size_bytes:
        reasons.note(_S.SIZE_ROUNDED)
    if size_bytes <= 0:
        reasons.note(_S.SIZE_EDGE, ErrorKind.INVALID, ErrorKind.OUT_OF_RANGE)
    elif true_bytes > limits.size_max_bytes or true_bytes < limits.size_min_bytes:
        reasons.note(_S.SIZE_EDGE, ErrorKind.OUT_OF_RANGE)
    elif size_bytes < limits.size_min_bytes:
        reasons.note(_S.SIZE_EDGE)
        return True
    elif _near_edge(true_bytes, capabilities):
        reasons.note(_S.SIZE_EDGE)
    return False


def size_errors(step: Step, capabilities: PrimaryCapabilities) -> tuple[ErrorKind, ...]:
    """What can be told of a size before anybody looks into the store."""
    if not isinstance(step, CreateVolume | CreateFromData | ResizeVolume):
        return ()
    told = (ErrorKind.INVALID, ErrorKind.OUT_OF_RANGE)
    limits, true_bytes = capabilities.volume, rounded(step.size_bytes, capabilities)
    fits = limits.size_min_bytes <= step.size_bytes and true_bytes <= limits.size_max_bytes
    return () if fits and step.size_bytes > 0 else told


def _near_edge(true_bytes: int, capabilities: PrimaryCapabilities) -> bool:
    limits = capabilities.volume
    smallest = rounded(max(1, limits.size_min_bytes), capabilities)
    step = limits.size_granularity_bytes
    return true_bytes <= smallest + step or true_bytes + step > limits.size_max_bytes


def create(state: PrimaryState, step: CreateVolume, capabilities: PrimaryCapabilities) -> Ruling:
    """``create_volume``, from whatever source."""
    reasons = Reasons()
    optional = note_size(reasons, step.size_bytes, capabilities)
    parent = _parent(state, step, reasons)
    existing = state.volumes.get(step.key)
    if existing is not None:
        return _create_again(state, step, existing, reasons, capabilities)
    born = _born(state, step.size_bytes, parent, reasons, capabilities)
    perhaps = perhaps_of(born.size_bytes, optional=optional)
    if step.source is not None:
        reasons.note(_S.CREATE_CLONE)
    reasons.note(_S.CREATE_NEW)
    return reasons.ruling(state.with_volume(step.key, born), *perhaps)


def create_from_data(
    state: PrimaryState, step: CreateFromData, capabilities: PrimaryCapabilities
) -> Ruling:
    """``create_volume`` from the handle of a granted volume, opened for it."""
    reasons = Reasons()
    optional = note_size(reasons, step.size_bytes, capabilities)
    source = state.volumes.get(step.volume)
    existing = state.volumes.get(step.key)
    parent: Parent | None = None
    granted = (step.volume, step.host) in state.grants
    if step.stale and not granted:
        if existing is not None:
            # Whoever looks at the key first has no need of the handle.
            return _with_useless_handle(state, step, existing, capabilities)
        reasons.note(_S.OPEN_UNGRANTED, *USELESS)
    elif source is None:
        reasons.note(_S.CREATE_NO_SOURCE, ErrorKind.NOT_FOUND)
    elif not granted:
        reasons.note(_S.OPEN_UNGRANTED, ErrorKind.DENIED)
    elif step.length_bytes > source.size_bytes:
        reasons.note(_S.READ_PAST, ErrorKind.OUT_OF_RANGE, ErrorKind.INVALID)
    else:
        length_bytes = step.length_bytes or source.size_bytes
        content = source.content.cut(length_bytes)
        parent = Parent(Origin(SourceKind.DATA), length_bytes, content)
    if existing is not None:
        return _data_again(state, step, existing, reasons, capabilities)
    born = _born(state, step.size_bytes, parent, reasons, capabilities)
    reasons.note(_S.CREATE_CLONE)
    return reasons.ruling(
        state.with_volume(step.key, born), *perhaps_of(born.size_bytes, optional=optional)
    )


def _data_again(
    state: PrimaryState,
    step: CreateFromData,
    existing: VolumeModel,
    reasons: Reasons,
    capabilities: PrimaryCapabilities,
) -> Ruling:
    """``create_volume`` from data under a key that is taken: it needs no room any more."""
    same = existing.size_bytes == rounded(step.size_bytes, capabilities)
    same = same and existing.origin.kind is SourceKind.DATA
    # Whether data of equal size is the same data is the driver's to decide.
    reasons.note(_S.CREATE_OTHER, *(() if same else (ErrorKind.CONFLICT,)))
    # A store at rest may refuse before it looks whether there is anything to do.
    at_rest = (ErrorKind.PRECONDITION,) if state.store.maintenance else ()
    return reasons.ruling(state, ErrorKind.CONFLICT, *at_rest)


def _with_useless_handle(
    state: PrimaryState,
    step: CreateFromData,
    existing: VolumeModel,
    capabilities: PrimaryCapabilities,
) -> Ruling:
    """``create_volume`` under a key that is taken, from a handle that reads nothing any more."""
    reasons = Reasons()
    optional = note_size(reasons, step.size_bytes, capabilities)
    reasons.note(_S.CREATE_OTHER)
    same = existing.size_bytes == rounded(step.size_bytes, capabilities)
    if not (same and existing.origin.kind is SourceKind.DATA):
        reasons.note(_S.OPEN_UNGRANTED, ErrorKind.CONFLICT, *USELESS)
    return reasons.ruling(state, ErrorKind.CONFLICT, *USELESS, *perhaps_of(0, optional=optional))


def copy(state: PrimaryState, step: CopyVolume, capabilities: PrimaryCapabilities) -> Ruling:
    """``copy_volume`` inside the backend."""
    reasons = Reasons()
    source = state.volumes.get(step.key)
    if source is None:
        reasons.note(_S.COPY_NO_SOURCE, ErrorKind.NOT_FOUND)
        if state.store.maintenance:
            reasons.note(_S.MAINTENANCE, ErrorKind.PRECONDITION)
        return reasons.ruling(state)
    if step.target in state.volumes:
        # Whether what is there is the same copy already is the driver's to decide.
        reasons.note(_S.COPY_TAKEN)
        at_rest = (ErrorKind.PRECONDITION,) if state.store.maintenance else ()
        return reasons.ruling(state, ErrorKind.CONFLICT, *at_rest)
    reasons.note(_S.COPY)
    parent = Parent(Origin(SourceKind.DATA), source.size_bytes, source.content)
    born = _born(state, source.size_bytes, parent, reasons, capabilities)
    room = perhaps_of(born.size_bytes, optional=False)
    return reasons.ruling(state.with_volume(step.target, born), *room)


def delete(state: PrimaryState, step: DeleteVolume, capabilities: PrimaryCapabilities) -> Ruling:
    """``delete_volume``."""
    reasons = Reasons()
    volume = state.volumes.get(step.key)
    if volume is None:
        reasons.note(_S.DELETE_AGAIN if step.key in state.deleted else _S.DELETE_NEVER)
        return reasons.ruling(state)
    reasons.note(_S.DELETE)
    perhaps: tuple[ErrorKind, ...] = ()
    if hosts := state.hosts_of(step.key):
        guarded = capabilities.volume.delete_in_use is DeleteInUse.CALLER_GUARDS
        reasons.note(_S.DELETE_GRANTED, *(() if guarded else (ErrorKind.IN_USE,)))
        perhaps = (ErrorKind.IN_USE,)
    snapshot, clone = capabilities.snapshot, capabilities.clone
    if snapshot is not None and state.snapshots_of(step.key):
        blocks = snapshot.lifetime is Lifetime.BLOCKS_DELETE
        reasons.note(_S.DELETE_SNAPSHOTS, *((ErrorKind.IN_USE,) if blocks else ()))
    if clone is not None and state.has_clones(SourceKind.VOLUME, step.key, volume.born):
        blocks = clone.lifetime is Lifetime.BLOCKS_DELETE
        reasons.note(_S.DELETE_CLONED, *((ErrorKind.IN_USE,) if blocks else ()))
    after = state.with_volume(step.key, None)
    for host in hosts:
        after = after.with_grant((step.key, host), None)
    return reasons.ruling(after, *perhaps)


def resize(state: PrimaryState, step: ResizeVolume, capabilities: PrimaryCapabilities) -> Ruling:
    """``resize_volume``, up or (with ``shrink``) down."""
    reasons = Reasons()
    optional = note_size(reasons, step.size_bytes, capabilities)
    volume = state.volumes.get(step.key)
    if volume is None:
        reasons.note(_S.RESIZE_ABSENT, ErrorKind.NOT_FOUND)
        return reasons.ruling(state)
    target = rounded(step.size_bytes, capabilities)
    if target == volume.size_bytes:
        reasons.note(_S.RESIZE_SAME)
        return reasons.ruling(state, *perhaps_of(0, optional=optional))
    if target < volume.size_bytes and not step.shrink:
        reasons.note(_S.RESIZE_SMALLER)
        return reasons.ruling(state, *perhaps_of(0, optional=optional))
    growing = target > volume.size_bytes
    reasons.note(_S.GROW if growing else _S.SHRINK)
    online = capabilities.resize is not None and capabilities.resize.online
    if state.hosts_of(step.key) and not online:
        reasons.note(_S.RESIZE_GRANTED, ErrorKind.IN_USE)
    perhaps = perhaps_of(target, optional=optional)
    if growing and state.store.maintenance:  # Is growing an allocation? Both answers are fair.
        perhaps = (*perhaps, ErrorKind.PRECONDITION)
    resized = msgspec.structs.replace(volume, size_bytes=target, content=volume.content.cut(target))
    return reasons.ruling(state.with_volume(step.key, resized), *perhaps)


def modify(state: PrimaryState, step: ModifyVolume, capabilities: PrimaryCapabilities) -> Ruling:
    """``modify_volume``."""
    reasons = Reasons()
    volume, declared = state.volumes.get(step.key), capabilities.qos
    low, high = step.qos.iops_min, step.qos.iops_max
    if low < 1 or high < low:
        reasons.note(_S.MODIFY_RANGE, ErrorKind.INVALID, ErrorKind.OUT_OF_RANGE)
    elif declared is not None and (low < declared.iops_min or high > declared.iops_max):
        reasons.note(_S.MODIFY_RANGE, ErrorKind.OUT_OF_RANGE)
    if volume is None:
        absent = _S.GET_DELETED if step.key in state.deleted else _S.GET_ABSENT
        reasons.note(absent, ErrorKind.NOT_FOUND)
        return reasons.ruling(state)
    if not reasons.failing:
        reasons.note(_S.MODIFY)
    limited = msgspec.structs.replace(volume, qos=step.qos)
    return reasons.ruling(state.with_volume(step.key, limited))


def _create_again(
    state: PrimaryState,
    step: CreateVolume,
    existing: VolumeModel,
    reasons: Reasons,
    capabilities: PrimaryCapabilities,
) -> Ruling:
    same_size = existing.size_bytes == rounded(step.size_bytes, capabilities)
    if same_size and same_source(step, existing):
        again = Reasons()
        again.note(_S.CREATE_AGAIN)
        optional = note_size(again, step.size_bytes, capabilities)
        # A store at rest may refuse before it looks whether there is anything to do.
        at_rest = (ErrorKind.PRECONDITION,) if state.store.maintenance else ()
        return again.ruling(state, *at_rest, *perhaps_of(0, optional=optional))
    reasons.note(_S.CREATE_OTHER, ErrorKind.CONFLICT)
    if state.store.maintenance:
        reasons.note(_S.MAINTENANCE, ErrorKind.PRECONDITION)
    return reasons.ruling(state)


def _born(
    state: PrimaryState,
    size_bytes: int,
    parent: Parent | None,
    reasons: Reasons,
    capabilities: PrimaryCapabilities,
) -> VolumeModel:
    """The new volume, after noting what prevents it."""
    true_bytes = rounded(max(0, size_bytes), capabilities)
    if state.store.maintenance:
        reasons.note(_S.MAINTENANCE, ErrorKind.PRECONDITION)
    limit = capabilities.volume.volumes_max
    if limit is not None and len(state.volumes) >= limit:
        reasons.note(_S.CREATE_FULL, ErrorKind.EXHAUSTED)
    elif limit is not None and len(state.volumes) == limit - 1:
        reasons.note(_S.CREATE_LAST)
    if parent is None:
        unknown_bytes = 0 if capabilities.volume.zeroes_new else true_bytes
        content = Content(unknown_bytes=unknown_bytes) if unknown_bytes else EMPTY
        return VolumeModel(true_bytes, state.clock, content=content)
    if true_bytes < parent.size_bytes:
        reasons.note(_S.CREATE_SMALLER, ErrorKind.OUT_OF_RANGE)
    elif true_bytes > parent.size_bytes:
        reasons.note(_S.CREATE_LARGER)
    return VolumeModel(true_bytes, state.clock, parent.origin, parent.content)


def _parent(state: PrimaryState, step: CreateVolume, reasons: Reasons) -> Parent | None:
    match step.source:
        case None:
            return None
        case SnapshotSource(snapshot=key):
            snapshot = state.snapshots.get(key)
            if snapshot is not None:
                origin = Origin(SourceKind.SNAPSHOT, key, snapshot.born)
                return Parent(origin, snapshot.size_bytes, snapshot.content)
        case VolumeSource(volume=key):
            volume = state.volumes.get(key)
            if volume is not None:
                origin = Origin(SourceKind.VOLUME, key, volume.born)
                return Parent(origin, volume.size_bytes, volume.content)
        case DataSource(size_bytes=size_bytes):
            return Parent(Origin(SourceKind.DATA), size_bytes, EMPTY)
    reasons.note(_S.CREATE_NO_SOURCE, ErrorKind.NOT_FOUND)
    return None


def same_source(step: CreateVolume, existing: VolumeModel) -> bool:
    """Whether a volume was made from what is asked for."""
    origin = existing.origin
    match step.source:
        case None:
            return origin.kind is SourceKind.NOTHING
        case SnapshotSource(snapshot=key):
            return origin.kind is SourceKind.SNAPSHOT and origin.key == key
        case VolumeSource(volume=key):
            return origin.kind is SourceKind.VOLUME and origin.key == key
        case DataSource():
            return origin.kind is SourceKind.DATA


def perhaps_of(size_bytes: int, *, optional: bool) -> tuple[ErrorKind, ...]:
    """Errors that a correct store may answer with although it need not."""
    too_large = (ErrorKind.EXHAUSTED,) if size_bytes > SURELY_FITS_BYTES else ()
    return (*too_large, *((ErrorKind.OUT_OF_RANGE,) if optional else ()))
