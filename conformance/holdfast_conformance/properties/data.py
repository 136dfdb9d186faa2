"""DAT: every block that is read is the block that was written there."""

from typing import cast

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import AccessMode, PrimaryCapabilities
from holdfast.contract.requests import Role
from holdfast_conformance.judgement.evidence import (
    HELD,
    Capabilities,
    Judgement,
    StepMoment,
    Violated,
    agreed,
    covered,
    violated_by,
)
from holdfast_conformance.judgement.registry import checks_steps, these
from holdfast_conformance.model.difference import Aspect, Difference
from holdfast_conformance.model.primary_state import PrimaryState, Situation
from holdfast_conformance.verdict import Level

_PUTTING_BYTES = frozenset({"write_blocks", "write_bytes", "write_ranges", "create_volume"})
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


def never_written(declared: Capabilities) -> str | None:
    """Why nothing is ever written through a handle, if so."""
    if not isinstance(declared, PrimaryCapabilities):
        return None
    if all(mode is AccessMode.READ_ONLY for mode in declared.access.modes):
        return "the store declares read-only grants alone"
    return None


@checks_steps(
    "DAT-05",
    Level.L1,
    "Any range of bytes can be written and read, down to a single byte: it is read back before it "
    "is flushed, too, and no byte beside it changes.",
    roles=(Role.PRIMARY,),
    gate=never_written,
    aspects=these("part of a block", "zeroes", "several"),
)
def _ranges(moment: StepMoment) -> Judgement:
    if moment.before.down or moment.verb not in {"write_bytes", "write_ranges", "read_bytes"}:
        return None
    if not moment.is_situation(Situation.READ, Situation.WRITE):
        return None
    named = {
        Situation.WRITE_PART: "part of a block",
        Situation.READ_PART: "part of a block",
        Situation.WRITE_ZEROES: "zeroes",
        Situation.WRITE_SEVERAL: "several",
    }
    return agreed(moment, *_bytes_differing(moment), aspects=covered(moment, named))


@checks_steps(
    "DAT-06",
    Level.L1,
    "What is discarded reads as zeroes, and no byte beside it, in no volume and no snapshot.",
    roles=(Role.PRIMARY,),
    gate=never_written,
    aspects=these("part of a block"),
)
def _discards(moment: StepMoment) -> Judgement:
    if moment.before.down or not moment.is_situation(Situation.DISCARD):
        return None
    named = {Situation.DISCARD_PART: "part of a block"}
    return agreed(moment, *_bytes_differing(moment), aspects=covered(moment, named))


def _bytes_differing(moment: StepMoment) -> tuple[Difference, ...]:
    return moment.differing(Aspect.BLOCK, Aspect.DIGEST)
