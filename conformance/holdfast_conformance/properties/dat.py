"""DAT: every block that is read is the block that was written there."""

from typing import cast

from holdfast.infos import OwnedKind
from holdfast.requests import Role
from holdfast_conformance.judgement.evidence import (
    HELD,
    Judgement,
    StepMoment,
    Violated,
    violated_by,
)
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.model.difference import Aspect
from holdfast_conformance.model.primary_state import PrimaryState, Situation
from holdfast_conformance.verdict import Level

_PUTTING_BYTES = frozenset({"write_blocks", "create_volume"})
"""After these a volume's digest is that of its blocks, as far as the inspector sees them."""


@checks_steps(
    "DAT-01",
    Level.L1,
    "Every block read through a handle carries the stamp of the last write to that block of that "
    "volume, or zeroes where nothing was written.",
    roles=(Role.PRIMARY,),
)
def _stamped(moment: StepMoment) -> Judgement:
    wrong = moment.differing(Aspect.BLOCK)
    if moment.verb in _PUTTING_BYTES and moment.succeeded:
        wrong = (*wrong, *moment.differing(Aspect.DIGEST, kind=OwnedKind.VOLUME))
    if wrong:
        return violated_by(wrong)
    unread = moment.is_situation(Situation.READ, Situation.WRITE) and not moment.allowed
    if unread and not moment.before.down:
        return Violated(f"{moment.verb}: {moment.expected_outcome}", moment.observed_outcome)
    observed = moment.inventory_after is not None and not moment.before.down
    granted = bool(cast("PrimaryState", moment.before).grants)
    return HELD if moment.is_situation(Situation.READ) or (observed and granted) else None
