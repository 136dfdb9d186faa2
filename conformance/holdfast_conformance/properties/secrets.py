"""SEC: secrets stay secret, and names stay names."""

from holdfast.contract.requests import Grant, Role
from holdfast_conformance.judgement.evidence import (
    HELD,
    EndMoment,
    Judgement,
    Moment,
    StepMoment,
    TogetherMoment,
    Violated,
    agreed,
    object_of,
)
from holdfast_conformance.judgement.registry import checks, these
from holdfast_conformance.model.difference import Aspect, Where
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.plan import calls_of
from holdfast_conformance.verdict import Level

_MAKING = frozenset({"create_volume", "create_snapshot", "put_object"})


@checks(
    "SEC-01",
    Level.L1,
    "No secret is ever seen in an answer, a message, a log, on stdout or in a command line.",
    spared={Role.IMAGE: "no step for an image store carries a secret, and none was seen"},
)
def _secrets(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment | TogetherMoment):
        return None
    stepped = moment.stepped if isinstance(moment, StepMoment) else moment.stepped[0]
    if stepped.canaries:
        return Violated("no secret to be seen", f"seen in {', '.join(stepped.canaries)}")
    # A secret stays in play: it must not turn up long after the grant, either.
    steps = moment.plan.steps[: moment.index + 1] if moment.index >= 0 else ()
    calls = (call for step in steps for call in calls_of(step))
    in_play = any(isinstance(call, Grant) and call.secret for call in calls)
    return HELD if in_play else None


@checks(
    "SEC-02",
    Level.L1,
    "Whatever a name looks like, it is taken exactly as it is and reaches nothing outside the "
    "store's own place.",
    aspects=these("outside"),
)
def _names(moment: Moment) -> Judgement:
    match moment:
        case EndMoment(ended=ended):
            if moment.outside_before and ended.outside_digest != moment.outside_before:
                return Violated("nothing outside the namespace changed", "it changed at the end")
            return None
        case StepMoment():
            outside = moment.differing(Aspect.OUTSIDE)
            if outside:
                return Violated(
                    "nothing outside the namespace changed", f"{moment.verb} changed it"
                )
            if renamed := _renamed(moment):
                return Violated(f"{object_of(moment.step)!r}", f"{renamed!r}")
            named = moment.is_situation(Situation.HOSTILE, Situation.LOOK_ALIKE, Situation.BAD_KEY)
            # Without a digest nobody looked at what is outside.
            looked = moment.outside_before and moment.outside_after
            aspects = ("outside",) if looked else ()
            return agreed(moment, *moment.differences, aspects=aspects) if named else None
        case _:
            return None


def _renamed(moment: StepMoment) -> str:
    """The name under which a new thing was found, where that is not the name it was given."""
    if moment.verb not in _MAKING:
        return ""
    extra = moment.differing(Aspect.EXTRA, where=Where.BACKEND)
    key = object_of(moment.step)
    return next((thing.key for thing in extra if thing.key != key), "")
