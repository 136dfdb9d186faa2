"""CPY: copies made by the backend."""

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast_conformance.image_limits import can_join
from holdfast_conformance.judgement.evidence import (
    Capabilities,
    Held,
    Judgement,
    StepMoment,
    Violated,
    agreed,
    agreed_on,
    covered,
    object_of,
    violated_by,
)
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.model.difference import Where
from holdfast_conformance.model.image_state import ImageSituation, ImageState
from holdfast_conformance.model.primary_state import PrimaryState
from holdfast_conformance.primary_limits import ONE_VOLUME, holds_two
from holdfast_conformance.properties.volume_copies import copied_volume, refused_volume_copy
from holdfast_conformance.verdict import Level

_S = ImageSituation


def _no_copy(declared: Capabilities) -> str | None:
    if declared.copy is None:
        return "the store does not declare native copies"
    if isinstance(declared, PrimaryCapabilities) and not holds_two(declared):
        return ONE_VOLUME
    return None


_COPIES = {
    _S.COPY: "a copy",
    _S.COPY_EMPTY: "an object of 0 bytes",
    _S.COPY_JOINED: "an object of several parts",
    _S.COPY_AGAIN: "what is a copy already",
    _S.COPY_READ: "reading the copy",
    _S.COPY_ALONE: "reading the copy without its source",
    _S.SOURCE_GONE: "deleting or replacing the source",
}


def _copy_aspects(declared: Capabilities) -> tuple[str, ...]:
    names = dict(_COPIES)
    if isinstance(declared, ImageCapabilities) and not can_join(declared):
        del names[_S.COPY_JOINED]
    return tuple(names.values()) if isinstance(declared, ImageCapabilities) else ("a copy",)


@checks_steps(
    "CPY-01",
    Level.L1,
    "A native copy has the bytes of its source, as read from the copy, and is whole whatever "
    "becomes of the source.",
    gate=_no_copy,
    aspects=_copy_aspects,
)
def _copied(moment: StepMoment) -> Judgement:
    if isinstance(moment.before, PrimaryState):
        return copied_volume(moment)
    aspects = covered(moment, _COPIES)
    if not aspects:
        return None
    if moment.is_situation(_S.SOURCE_GONE):
        copies = _copies(moment)
        lost = (one for one in moment.differing(where=Where.BACKEND) if one.key in copies)
        judgement = violated_by(tuple(lost))
        return (
            Held(aspects) if moment.allowed and not isinstance(judgement, Violated) else judgement
        )
    return agreed(moment, *moment.differences, aspects=aspects)


def _copies(moment: StepMoment) -> frozenset[str]:
    """The keys of all copies that were there before the step, but for what the step is about."""
    if not isinstance(moment.before, ImageState):
        return frozenset()
    objects = moment.before.objects.items()
    return frozenset(key for key, model in objects if model.copied) - {object_of(moment.step)}


_REFUSED = {
    _S.COPY_OTHER: "another object under the target's key",
    _S.COPY_ABSENT: "an absent source",
    _S.MAINTENANCE: "a store in maintenance",
}


@checks_steps(
    "CPY-02",
    Level.L1,
    "A source is deleted only after its copy was verified; a copy that fails leaves the source, "
    "and what is under the target's key, as they were.",
    gate=_no_copy,
    aspects=lambda declared: (
        tuple(_REFUSED.values()) if isinstance(declared, ImageCapabilities) else ()
    ),
)
def _copy_refused(moment: StepMoment) -> Judgement:
    if isinstance(moment.before, PrimaryState):
        return refused_volume_copy(moment)
    if moment.verb != "copy":
        return None
    refused = agreed_on(moment, _REFUSED, moment.differences)
    if refused is not None:
        return refused
    source = object_of(moment.step)
    hurt = moment.differing(where=Where.BACKEND, kind=OwnedKind.OBJECT, key=source)
    judgement = violated_by(hurt)
    return judgement if isinstance(judgement, Violated) else None
