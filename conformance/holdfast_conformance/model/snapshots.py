"""The model's rules for snapshots and for reverting to them."""

import msgspec

from holdfast.contract.capabilities import Lifetime, PrimaryCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import CreateSnapshot, DeleteSnapshot, RevertVolume
from holdfast_conformance.model.allowed_outcomes import Reasons, Ruling
from holdfast_conformance.model.primary_state import (
    PrimaryState,
    Situation,
    SnapshotModel,
    SourceKind,
)
from holdfast_conformance.model.volumes import perhaps_of

_S = Situation


def create(state: PrimaryState, step: CreateSnapshot, capabilities: PrimaryCapabilities) -> Ruling:
    """``create_snapshot``."""
    reasons = Reasons()
    volume = state.volumes.get(step.volume)
    existing = state.snapshots.get(step.key)
    if existing is not None:
        return _create_again(state, step, existing, reasons)
    if state.store.maintenance:
        reasons.note(_S.MAINTENANCE, ErrorKind.PRECONDITION)
    if volume is None:
        reasons.note(_S.SNAPSHOT_ABSENT, ErrorKind.NOT_FOUND)
        return reasons.ruling(state)
    declared = capabilities.snapshot
    limit = None if declared is None else declared.snapshots_per_volume_max
    if limit is not None and len(state.snapshots_of(step.volume)) >= limit:
        reasons.note(_S.SNAPSHOT_FULL, ErrorKind.EXHAUSTED)
    elif limit is not None and len(state.snapshots_of(step.volume)) == limit - 1:
        reasons.note(_S.SNAPSHOT_LAST)
    reasons.note(_S.SNAPSHOT_NEW)
    snapshot = SnapshotModel(
        step.volume, volume.born, volume.size_bytes, state.clock, volume.content
    )
    room = perhaps_of(volume.size_bytes, optional=False)
    return reasons.ruling(state.with_snapshot(step.key, snapshot), *room)


def _create_again(
    state: PrimaryState, step: CreateSnapshot, existing: SnapshotModel, reasons: Reasons
) -> Ruling:
    volume = state.volumes.get(step.volume)
    same_name = existing.volume == step.volume
    perhaps = (ErrorKind.PRECONDITION,) if state.store.maintenance else ()
    if same_name and volume is not None and volume.born == existing.volume_born:
        reasons.note(_S.SNAPSHOT_AGAIN)
        return reasons.ruling(state, *perhaps)
    if same_name:  # The volume is gone, or another of the same name took its place.
        gone = (ErrorKind.NOT_FOUND, ErrorKind.CONFLICT)
        return reasons.ruling(state, *perhaps, *gone)
    reasons.note(_S.SNAPSHOT_OTHER, ErrorKind.CONFLICT, *perhaps)
    if volume is None:
        reasons.note(_S.SNAPSHOT_ABSENT, ErrorKind.NOT_FOUND)
    return reasons.ruling(state)


def delete(state: PrimaryState, step: DeleteSnapshot, capabilities: PrimaryCapabilities) -> Ruling:
    """``delete_snapshot``."""
    reasons = Reasons()
    snapshot = state.snapshots.get(step.key)
    if snapshot is None:
        reasons.note(_S.SNAPSHOT_DELETE_ABSENT)
        return reasons.ruling(state)
    reasons.note(_S.SNAPSHOT_DELETE)
    clone = capabilities.clone
    if clone is not None and state.has_clones(SourceKind.SNAPSHOT, step.key, snapshot.born):
        blocks = clone.lifetime is Lifetime.BLOCKS_DELETE
        reasons.note(_S.SNAPSHOT_DELETE_CLONED, *((ErrorKind.IN_USE,) if blocks else ()))
    return reasons.ruling(state.with_snapshot(step.key, None))


def revert(state: PrimaryState, step: RevertVolume, capabilities: PrimaryCapabilities) -> Ruling:
    """``revert_volume``."""
    reasons = Reasons()
    volume = state.volumes.get(step.key)
    snapshot = state.snapshots.get(step.snapshot)
    if volume is not None and state.hosts_of(step.key):
        reasons.note(_S.REVERT_GRANTED, ErrorKind.IN_USE)
    if volume is None or snapshot is None:
        reasons.note(_S.REVERT_ABSENT, ErrorKind.NOT_FOUND)
        return reasons.ruling(state)
    perhaps = (ErrorKind.PRECONDITION,) if state.store.maintenance else ()
    if snapshot.volume != step.key:
        reasons.note(_S.REVERT_FOREIGN, ErrorKind.INVALID, *perhaps)
        return reasons.ruling(state)
    if snapshot.volume_born != volume.born:  # Taken of an earlier volume of the same name.
        perhaps = (*perhaps, ErrorKind.INVALID, ErrorKind.NOT_FOUND)
    newer = any(state.snapshots[key].born > snapshot.born for key in state.snapshots_of(step.key))
    declared = capabilities.snapshot
    if newer:
        keeps = declared is None or declared.revert_keeps_newer
        reasons.note(_S.REVERT_NEWER, *(() if keeps else (ErrorKind.IN_USE,)))
    reasons.note(_S.REVERT)
    # Nobody says whether the limits of the volume are those of now or of then.
    reverted = msgspec.structs.replace(
        volume, size_bytes=snapshot.size_bytes, content=snapshot.content, qos=None
    )
    room = perhaps_of(snapshot.size_bytes, optional=False)
    return reasons.ruling(state.with_volume(step.key, reverted), *perhaps, *room)
