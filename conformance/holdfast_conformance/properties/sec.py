"""SEC: secrets stay secret, and names stay names."""

from holdfast.requests import Grant, InitializeStore
from holdfast_conformance.judgement.evidence import (
    HELD,
    EndMoment,
    Judgement,
    Moment,
    StepMoment,
    Violated,
    agreed,
    object_of,
)
from holdfast_conformance.judgement.registry import checks, checks_steps
from holdfast_conformance.model.difference import Aspect, Where
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.plan import InitializeBad
from holdfast_conformance.verdict import Level

_MAKING = frozenset({"create_volume", "create_snapshot", "put_object"})


@checks_steps(
    "SEC-01",
    Level.L1,
    "No secret is ever seen in an answer, a message, a log, on stdout or in a command line.",
)
def _secrets(moment: StepMoment) -> Judgement:
    if moment.stepped.canaries:
        return Violated("no secret to be seen", f"seen in {', '.join(moment.stepped.canaries)}")
    step = moment.step
    in_play = isinstance(step, (InitializeStore, InitializeBad))
    return HELD if in_play or (isinstance(step, Grant) and step.secret) else None


@checks(
    "SEC-02",
    Level.L1,
    "Whatever a name looks like, it is taken exactly as it is and reaches nothing outside the "
    "store's own place.",
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
            named = moment.is_situation(Situation.HOSTILE, Situation.BAD_KEY)
            return agreed(moment, *moment.differences) if named else None
        case _:
            return None


def _renamed(moment: StepMoment) -> str:
    """The name under which a new thing was found, where that is not the name it was given."""
    if moment.verb not in _MAKING:
        return ""
    extra = moment.differing(Aspect.EXTRA, where=Where.BACKEND)
    key = object_of(moment.step)
    return next((found.key for found in extra if found.key != key), "")
