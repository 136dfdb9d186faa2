"""CON: two drivers on one store know the same."""

from holdfast_conformance.judgement.evidence import Held, Judgement, StepMoment, agreed
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.verdict import Level


@checks_steps(
    "CON-09",
    Level.L1,
    "What one driver on a store did, another one that was open all the time knows at once.",
)
def _known_at_once(moment: StepMoment) -> Judgement:
    if not moment.crossed:
        return None
    held = agreed(moment, *moment.differences)
    return Held((moment.verb,)) if isinstance(held, Held) else held
