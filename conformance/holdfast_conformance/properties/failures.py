"""ERR: failures are typed, explained, and leave nothing behind."""

from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Request, verb_of
from holdfast_conformance.harness_step import HarnessStep
from holdfast_conformance.judgement.evidence import (
    HELD,
    Judgement,
    Moment,
    StepMoment,
    TogetherMoment,
    Violated,
    object_of,
    violated_by,
)
from holdfast_conformance.judgement.registry import checks, checks_steps
from holdfast_conformance.model.difference import Where
from holdfast_conformance.trace import Raised
from holdfast_conformance.verdict import Level

_NO_ANSWER = (ErrorKind.INTERNAL, ErrorKind.UNKNOWN)


@checks(
    "ERR-01",
    Level.L1,
    "Every failure is one of the declared errors and names its object and its cause; no other "
    "exception escapes, and a healthy backend gives an answer.",
)
def _typed(moment: Moment) -> Judgement:
    match moment:
        case StepMoment(outcome=Raised() as outcome):
            if wrong := _wrong_failure(moment.step, outcome):
                return wrong
            if outcome.kind in _NO_ANSWER and not moment.allowed:
                return Violated(
                    f"{moment.verb}: {moment.expected_outcome}", moment.observed_outcome
                )
            return HELD
        case TogetherMoment():
            failures = [(c, s.outcome) for c, s in moment.calls if isinstance(s.outcome, Raised)]
            judged = (_wrong_failure(call, outcome) for call, outcome in failures)
            return next(filter(None, judged), HELD if failures else None)
        case _:
            return None


def _wrong_failure(step: Request, outcome: Raised) -> Violated | None:
    """What is wrong with an error, whether or not it may come here."""
    if outcome.escaped:
        return Violated("one of the declared errors", f"{outcome.escaped}: {outcome.cause}")
    if not outcome.cause.strip():
        return Violated("a cause", "an empty message")
    named = object_of(step)
    # Where the store itself cannot be opened, no verb was called that could name its object.
    verb_of_driver = not isinstance(step, HarnessStep) and outcome.verb == verb_of(step)
    if named and verb_of_driver and outcome.object not in _names_in(step):
        return Violated(f"the error names {named!r}", f"it names {outcome.object!r}")
    return None


def _names_in(step: Request) -> frozenset[str]:
    """Everything that a request names: an error may be about any of it."""
    fields = ("key", "volume", "host", "snapshot", "target", "upload", "name", "token")
    names = {str(getattr(step, field, "")) for field in fields}
    source = getattr(step, "source", None)
    names |= {str(getattr(source, field, "")) for field in ("snapshot", "volume")}
    return frozenset(names - {""})


@checks_steps(
    "ERR-02",
    Level.L2,
    "A call that fails for good has changed nothing.",
)
def _no_effect(moment: StepMoment) -> Judgement:
    outcome = moment.outcome
    if not isinstance(outcome, Raised) or not outcome.final or moment.inventory_after is None:
        return None
    return violated_by(moment.differing(where=Where.BACKEND))
