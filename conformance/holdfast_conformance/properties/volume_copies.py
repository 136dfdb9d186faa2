"""What the properties of copies say of a primary store's volumes."""

from typing import cast

from holdfast.contract.answers import OwnedKind
from holdfast_conformance.judgement.evidence import Judgement, StepMoment, agreed, object_of
from holdfast_conformance.model.difference import Aspect
from holdfast_conformance.model.primary_state import PrimaryState, Situation, SourceKind

_S = Situation
_VOLUME = OwnedKind.VOLUME
_TOUCHING = frozenset({"write_blocks", "resize_volume", "revert_volume", "delete_volume"})


def copied_volume(moment: StepMoment) -> Judgement:
    """A copy holds its source's bytes, and keeps them whatever becomes of the source."""
    if moment.before.down:
        return None
    if moment.is_situation(_S.COPY):
        return agreed(moment, *moment.differing(kind=_VOLUME), aspects=("a copy",))
    if moment.verb not in _TOUCHING or not (moment.succeeded and moment.allowed):
        return None
    touched = getattr(moment.step, "volume", "") or object_of(moment.step)
    others = _copies(moment) - {touched}
    changed = moment.differing(Aspect.DIGEST, Aspect.SIZE, Aspect.MISSING, kind=_VOLUME)
    lost = tuple(one for one in changed if one.key in others)
    return agreed(moment, *lost) if others else None


def refused_volume_copy(moment: StepMoment) -> Judgement:
    """A copy that fails leaves its source, and what is under the target's key, as they were."""
    if moment.verb != "copy_volume" or moment.before.down:
        return None
    if moment.is_situation(_S.COPY_TAKEN, _S.COPY_NO_SOURCE, _S.MAINTENANCE, _S.CREATE_FULL):
        return agreed(moment, *moment.differences)
    return None


def _copies(moment: StepMoment) -> frozenset[str]:
    """The keys of the volumes that were made by copying bytes."""
    volumes = cast("PrimaryState", moment.before).volumes
    return frozenset(key for key, one in volumes.items() if one.origin.kind is SourceKind.DATA)
