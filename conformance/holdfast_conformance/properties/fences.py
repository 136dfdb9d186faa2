"""FEN: a call that was given up and acts later finds that it is late."""

from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import verb_of
from holdfast_conformance.judgement.evidence import Capabilities, Judgement, StepMoment, agreed
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.model.late_calls import ELSEWHERE, LATE
from holdfast_conformance.plan import LateCall
from holdfast_conformance.primary_limits import true_sizes
from holdfast_conformance.verdict import Level

_OF_IMAGE = ("start_upload", "send_part", "finish_upload", "abort_upload", "delete")


def _undeclared(declared: Capabilities) -> str | None:
    return None if declared.fences else "the store does not declare fences"


def _late(declared: Capabilities) -> tuple[str, ...]:
    """The verbs that come late, as far as the store declares them."""
    if not isinstance(declared, PrimaryCapabilities):
        return (*_OF_IMAGE, *(("copy",) if declared.copy is not None else ()))
    snapshot = declared.snapshot
    resizes = declared.resize is not None and _has_two_sizes(declared)
    return (
        "create_volume",
        "delete_volume",
        *(("grant", "revoke") if declared.access.modes else ()),
        *(("resize_volume",) if resizes else ()),
        *(("create_snapshot", "delete_snapshot") if snapshot is not None else ()),
        *(("revert_volume",) if snapshot is not None and snapshot.revert else ()),
    )


def _has_two_sizes(declared: PrimaryCapabilities) -> bool:
    smallest, largest = true_sizes(declared)
    return largest > smallest


@checks_steps(
    "FEN-01",
    Level.L1,
    "A call that comes after a later one on its object is refused as Precondition and changes "
    "nothing, whichever driver made the later one, and however long ago.",
    gate=_undeclared,
    aspects=_late,
)
def _refused(moment: StepMoment) -> Judgement:
    step = moment.step
    if not isinstance(step, LateCall) or not moment.is_situation(LATE):
        return None
    if moment.kind is ErrorKind.BUSY:
        return None  # it is not known any more: nothing was done, and nothing is shown
    return agreed(moment, *moment.differences, aspects=(verb_of(step.call),))


@checks_steps(
    "FEN-02",
    Level.L1,
    "No call is refused because a later one was made on another object.",
    gate=_undeclared,
)
def _carried_out(moment: StepMoment) -> Judgement:
    if not isinstance(moment.step, LateCall) or not moment.is_situation(ELSEWHERE):
        return None
    if moment.kind is ErrorKind.BUSY:
        return None
    return agreed(moment, *moment.differences)
