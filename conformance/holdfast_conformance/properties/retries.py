"""ERR-03 and ERR-05: a refusal says what stands in the way, and is over when that has gone."""

from holdfast.contract.errors import ErrorKind
from holdfast_conformance.judgement.evidence import (
    HELD,
    Judgement,
    StepMoment,
    Violated,
    agreed,
    object_of,
)
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.trace import Raised
from holdfast_conformance.verdict import Level


@checks_steps(
    "ERR-03",
    Level.L2,
    "A refusal leaves nothing locked or taken: the call succeeds once its cause has gone, and "
    "nothing is Busy while nothing is pending.",
)
def _over(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.kind is ErrorKind.BUSY and not moment.allowed:
        return Violated(f"{moment.verb}: {moment.expected_outcome}", moment.observed_outcome)
    if not moment.refused_before or None not in moment.expectation.kinds:
        return None
    return agreed(moment)


@checks_steps(
    "ERR-05",
    Level.L2,
    "What is in use is refused with the names of what holds it.",
)
def _holders(moment: StepMoment) -> Judgement:
    outcome = moment.outcome
    if not isinstance(outcome, Raised) or outcome.kind is not ErrorKind.IN_USE:
        return None
    if not moment.allowed:
        return None
    if not outcome.detail:
        return Violated("the names of its holders", "none")
    name = object_of(moment.step)
    namesakes = sum(thing.key == name for thing in moment.inventory_before)
    if outcome.detail == name and namesakes < 2:
        return Violated("the names of its holders", f"its own, {name!r}")
    return HELD
