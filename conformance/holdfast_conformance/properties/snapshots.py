"""SNP: snapshots keep a moment, revert returns to it, clones start from it."""

from typing import cast

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.requests import CreateVolume, Role, SnapshotSource
from holdfast_conformance.judgement.evidence import (
    Capabilities,
    EndMoment,
    Judgement,
    Moment,
    StepMoment,
    agreed,
    none_left,
    object_of,
)
from holdfast_conformance.judgement.registry import Aspects, checks, checks_steps, these
from holdfast_conformance.model.difference import Aspect, Difference, Where
from holdfast_conformance.model.primary_state import PrimaryState, Situation, SourceKind
from holdfast_conformance.primary_limits import ONE_VOLUME, can_clone, can_write, has_two_sizes
from holdfast_conformance.verdict import Level

_S = Situation
_PRIMARY = (Role.PRIMARY,)
_SNAPSHOT = OwnedKind.SNAPSHOT
_VOLUME = OwnedKind.VOLUME
_BYTES = (Aspect.DIGEST, Aspect.SIZE, Aspect.BLOCK)
_WRITING = frozenset({"write_blocks", "write_bytes", "write_ranges", "discard_bytes"})
_TOUCHING = frozenset(
    {
        "write_blocks",
        "write_bytes",
        "write_ranges",
        "discard_bytes",
        "resize_volume",
        "revert_volume",
        "create_volume",
        "create_snapshot",
        "delete_snapshot",
        "delete_volume",
    }
)


def _no_snapshots(declared: Capabilities) -> str | None:
    if isinstance(declared, PrimaryCapabilities) and declared.snapshot is None:
        return "the store does not declare snapshots"
    return None


def _no_revert(declared: Capabilities) -> str | None:
    if not isinstance(declared, PrimaryCapabilities):
        return None
    if declared.snapshot is None or not declared.snapshot.revert:
        return "the store does not declare reverting"
    return None


def _no_clones(declared: Capabilities) -> str | None:
    if isinstance(declared, PrimaryCapabilities):
        clone = declared.clone
        if clone is None or not (clone.from_snapshot or clone.from_volume or clone.from_data):
            return "the store does not declare volumes from a source"
        if not can_clone(declared):
            return ONE_VOLUME
    return None


def _writing(written: str, *others: str) -> Aspects:
    """Aspects of which one needs somebody who writes."""

    def aspects(declared: Capabilities) -> tuple[str, ...]:
        writes = isinstance(declared, PrimaryCapabilities) and can_write(declared)
        return (*others, written) if writes else others

    return aspects


def _state(moment: StepMoment) -> PrimaryState:
    return cast("PrimaryState", moment.before)


@checks_steps(
    "SNP-01",
    Level.L1,
    "A snapshot holds what its volume held when it was taken: all that was flushed before, and "
    "nothing of what came after.",
    roles=_PRIMARY,
    gate=_no_snapshots,
)
def _taken(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.SNAPSHOT_NEW):
        key = object_of(moment.step)
        return agreed(moment, *moment.differing(kind=_SNAPSHOT, key=key))
    if moment.is_situation(_S.SNAPSHOT_ABSENT):
        return agreed(moment, *moment.differing(kind=_SNAPSHOT))
    if moment.is_situation(_S.SNAPSHOT_GET, _S.SNAPSHOT_LIST, _S.SNAPSHOT_FULL):
        return agreed(moment, *moment.differing(kind=_SNAPSHOT))
    return None


@checks_steps(
    "SNP-02",
    Level.L1,
    "A snapshot never changes, whatever becomes of its volume, its siblings and its clones.",
    roles=_PRIMARY,
    gate=_no_snapshots,
    aspects=_writing("write_blocks"),
)
def _immutable(moment: StepMoment) -> Judgement:
    snapshots = _state(moment).snapshots
    if not snapshots or moment.verb not in _TOUCHING or not moment.succeeded:
        return None
    changed = tuple(
        difference
        for difference in moment.differing(
            Aspect.DIGEST, Aspect.SIZE, where=Where.BACKEND, kind=_SNAPSHOT
        )
        if difference.key in snapshots
    )
    return agreed(moment, *changed, aspects=(moment.verb,)) if moment.allowed else None


@checks_steps(
    "SNP-03",
    Level.L1,
    "The same key and volume answers with the same snapshot; another volume is a Conflict.",
    roles=_PRIMARY,
    gate=_no_snapshots,
    aspects=these("again", "other"),
)
def _taken_again(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.SNAPSHOT_AGAIN):
        return agreed(moment, *moment.differing(kind=_SNAPSHOT), aspects=("again",))
    if moment.is_situation(_S.SNAPSHOT_OTHER):
        return agreed(moment, *moment.differences, aspects=("other",))
    return None


@checks(
    "SNP-04",
    Level.L1,
    "A deleted snapshot is gone, from the backend too; its volume and all other snapshots keep "
    "their bytes.",
    roles=_PRIMARY,
    gate=_no_snapshots,
    aspects=these("gone", "absent"),
)
def _deleted(moment: Moment) -> Judgement:
    match moment:
        case EndMoment():
            return none_left(moment, "every deleted snapshot is gone", _SNAPSHOT)
        case StepMoment() if moment.before.down:
            return None
        case StepMoment() if moment.is_situation(_S.SNAPSHOT_DELETE):
            return agreed(moment, *moment.differences, aspects=("gone",))
        case StepMoment() if moment.is_situation(_S.SNAPSHOT_DELETE_ABSENT):
            return agreed(moment, *moment.differences, aspects=("absent",))
        case StepMoment() if moment.is_situation(_S.SNAPSHOT_GET_ABSENT):
            return agreed(moment)
        case _:
            return None


@checks_steps(
    "SNP-06",
    Level.L1,
    "A volume with snapshots is deleted or kept as declared: independent snapshots stay usable, "
    "else it is InUse and nothing changes.",
    roles=_PRIMARY,
    gate=_no_snapshots,
)
def _outlived(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.DELETE_SNAPSHOTS):
        return agreed(moment, *moment.differences)
    step, state = moment.step, _state(moment)
    if isinstance(step, CreateVolume) and isinstance(step.source, SnapshotSource):
        snapshot = state.snapshots.get(step.source.snapshot)
        if snapshot is not None and snapshot.volume not in state.volumes:
            return agreed(moment, *moment.differing(kind=_VOLUME))
    return None


def _returning(declared: Capabilities) -> tuple[str, ...]:
    if not isinstance(declared, PrimaryCapabilities):
        return ()
    resizes = declared.resize is not None and has_two_sizes(declared)
    return ("reverted", "size") if resizes else ("reverted",)


@checks_steps(
    "SNP-07",
    Level.L1,
    "A reverted volume has the snapshot's bytes and size; what cannot be reverted stays as it is.",
    roles=_PRIMARY,
    gate=_no_revert,
    aspects=_returning,
)
def _reverted(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.REVERT):
        return agreed(moment, *moment.differences, aspects=_reverted_aspects(moment))
    if moment.is_situation(_S.REVERT_FOREIGN, _S.REVERT_GRANTED, _S.REVERT_ABSENT):
        return agreed(moment, *moment.differences)
    return None


def _reverted_aspects(moment: StepMoment) -> tuple[str, ...]:
    before, after = _state(moment), cast("PrimaryState | None", moment.after)
    key = object_of(moment.step)
    if after is None or not moment.succeeded:
        return ()
    moved = before.volumes[key].size_bytes != after.volumes[key].size_bytes
    return ("reverted", "size") if moved else ("reverted",)


@checks_steps(
    "SNP-09",
    Level.L1,
    "A volume made from a source starts with its bytes; then both go their own ways.",
    roles=_PRIMARY,
    gate=_no_clones,
    aspects=_writing("diverged", "made"),
)
def _cloned(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.CREATE_CLONE, _S.CREATE_NO_SOURCE):
        aspects = ("made",) if moment.succeeded else ()
        return agreed(moment, *moment.differing(kind=_VOLUME), aspects=aspects)
    if moment.is_situation(_S.DELETE_CLONED, _S.SNAPSHOT_DELETE_CLONED):
        return agreed(moment, *moment.differences)
    if moment.verb in _TOUCHING and moment.succeeded and moment.allowed and _related(moment):
        wrote = ("diverged",) if moment.verb in _WRITING else ()
        return agreed(moment, *_changed_bytes(moment), aspects=wrote)
    return None


def _changed_bytes(moment: StepMoment) -> tuple[Difference, ...]:
    return (*moment.differing(*_BYTES, Aspect.MISSING), *moment.differing(where=Where.HANDLE))


def _related(moment: StepMoment) -> bool:
    """Whether the step's volume is a clone or has clones."""
    state = _state(moment)
    key = getattr(moment.step, "volume", "") or getattr(moment.step, "key", "")
    volume = state.volumes.get(key)
    if volume is None:
        return False
    if volume.origin.kind is not SourceKind.NOTHING:
        return True
    of_snapshots = {
        (snapshot, model.born) for snapshot, model in state.snapshots.items() if model.volume == key
    }
    return any(
        other.origin.key == key or (other.origin.key, other.origin.born) in of_snapshots
        for other in state.volumes.values()
    )
