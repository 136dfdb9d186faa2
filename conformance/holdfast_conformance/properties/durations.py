"""PRF: how long calls take is on record, and no call outlives its deadline."""

from holdfast_conformance.address_steps import FetchExpired
from holdfast_conformance.judgement.evidence import (
    HELD,
    BrokenMoment,
    Judgement,
    Moment,
    StepMoment,
    TogetherMoment,
    Violated,
)
from holdfast_conformance.judgement.registry import checks
from holdfast_conformance.plan import GiveUp, UseStore, Wait
from holdfast_conformance.trace import BrokenKind
from holdfast_conformance.verdict import Level


@checks(
    "PRF-01",
    Level.L1,
    "The latency of every call is on record, and no call outlives its deadline.",
)
def _in_time(moment: Moment) -> Judgement:
    match moment:
        case BrokenMoment(broken=broken) if broken.how is BrokenKind.HUNG:
            return Violated("an answer before the deadline", broken.detail)
        case StepMoment(step=FetchExpired()):
            return None  # No call: it waits until an address has expired.
        case StepMoment(step=Wait() | UseStore() | GiveUp()):
            return None  # No call either.
        case TogetherMoment():
            slowest = max(moment.stepped, key=lambda stepped: stepped.virtual_s)
            if slowest.virtual_s > slowest.deadline_s:
                took = f"{moment.verb} at once took {slowest.virtual_s:.3f} s"
                return Violated(f"an answer within {slowest.deadline_s:g} s", took)
            return HELD
        case StepMoment(stepped=stepped):
            if stepped.virtual_s > stepped.deadline_s:
                took = f"{moment.verb} took {stepped.virtual_s:.3f} s"
                return Violated(f"an answer within {stepped.deadline_s:g} s", took)
            return HELD
        case _:
            return None
